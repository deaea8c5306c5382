//! The vault's configuration file.

use std::net::SocketAddr;
use std::num::NonZeroU32;
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
    /// The networks' other services by mode: 3-D Secure, deposits.
    #[serde(default)]
    pub services: Services,
    /// Ceilings on openings, in place of those that `guard::budgets` has by itself.
    #[serde(default)]
    pub budgets: Vec<BudgetConfig>,
    /// How long a security code is held, less than the 15 minutes of [`crate::cvc_store::MAX_HELD`]; development only.
    pub cvc_hold_ms: Option<u64>,
    /// Whether cards on the watchlist are refused; otherwise they are only flagged.
    #[serde(default)]
    pub refuse_exposed_cards: bool,
    /// How the sweeper erases what is past its time.
    #[serde(default)]
    pub sweeper: SweeperConfig,
}

/// The sweeper's pace.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweeperConfig {
    /// Seconds between two passes over a table.
    pub pass_every_s: u32,
    /// Records that one step looks at.
    pub rows_per_step: u32,
    /// Rest between two steps.
    pub pause_ms: u64,
}

impl Default for SweeperConfig {
    fn default() -> Self {
        Self { pass_every_s: 6 * 60 * 60, rows_per_step: 2000, pause_ms: 100 }
    }
}

/// How many records a peer may open for a purpose, by all nodes together. Beyond, the purpose is frozen for that peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// The name in its certificate: `gateway.kura.internal`.
    pub peer: String,
    /// As it stands in the access ledger: `authorize`.
    pub purpose: String,
    /// Records in a minute.
    pub per_minute: NonZeroU32,
    /// Records in a day (UTC).
    pub per_day: NonZeroU32,
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

/// The networks' other services, for each mode.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// For test keys.
    pub test: Option<ServicesConfig>,
    /// For live keys.
    pub live: Option<ServicesConfig>,
}

/// How to reach them: HTTPS, mutual.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicesConfig {
    /// Where they listen. The vault connects nowhere else.
    pub address: SocketAddr,
    /// The name that their certificate must carry.
    pub server_name: String,
    /// How long to wait for an answer.
    pub response_timeout_ms: u64,
    /// Our certificate for them, and its CA.
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
