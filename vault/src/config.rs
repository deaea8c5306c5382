//! The vault's configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use kura_platform::database::DatabaseConfig;
use kura_platform::tls::TlsConfig;
use serde::Deserialize;

use crate::crypto::key_provider::ProviderKind;

/// `vault.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where this runs.
    pub environment: Environment,
    /// This node's number, 0 to 1023; no two running nodes may share one.
    pub node: u16,
    /// Listener for the gateway.
    pub data_plane: SocketAddr,
    /// Listener for the console.
    pub control_plane: SocketAddr,
    /// PKCS #8 PEM of the identity that browsers have pinned.
    pub identity_key: PathBuf,
    /// The zone's certificate.
    pub tls: TlsConfig,
    /// The vault's own database.
    pub database: DatabaseConfig,
    /// Where the KEK lives.
    pub key_provider: KeyProviderConfig,
    /// The provider of the next KEK, while custody moves to another one.
    pub next_key_provider: Option<KeyProviderConfig>,
    /// The networks by mode.
    pub acquirer: Acquirers,
}

/// Where a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// One machine, sample data.
    Development,
    /// Real cards.
    Production,
}

/// A key provider.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeyProviderConfig {
    /// A file; development only.
    DevFile {
        /// The file.
        path: PathBuf,
    },
    /// Custodians' shares: the vault starts sealed.
    Shamir {},
    /// An HSM.
    Pkcs11 {
        /// The vendor's PKCS #11 module, a shared library.
        module: PathBuf,
        /// The token.
        token_label: String,
        /// A file of mode 0600 with the user's PIN.
        pin_file: PathBuf,
    },
}

impl KeyProviderConfig {
    /// Which kind.
    pub fn kind(&self) -> ProviderKind {
        match self {
            Self::DevFile { .. } => ProviderKind::DevFile,
            Self::Shamir {} => ProviderKind::Shamir,
            Self::Pkcs11 { .. } => ProviderKind::Pkcs11,
        }
    }
}

/// One acquirer for each mode.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acquirers {
    /// For test keys.
    pub test: Option<AcquirerConfig>,
    /// For live keys.
    pub live: Option<AcquirerConfig>,
}

/// How to reach an acquirer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquirerConfig {
    /// Where it listens. The vault connects nowhere else.
    pub address: SocketAddr,
    /// The name that its certificate must carry.
    pub server_name: String,
    /// How long to wait for an answer.
    pub response_timeout_ms: u64,
    /// Our certificate for it, and its CA.
    pub tls: TlsConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample is a configuration.
    #[test]
    fn the_sample_parses() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vault.sample.toml");
        let config: Config = kura_platform::config::load(&path).unwrap();
        assert_eq!(config.environment, Environment::Development);
    }
}
