//! The console's configuration file.

use std::net::SocketAddr;

use kura_platform::database::DatabaseConfig;
use kura_platform::tls::TlsConfig;
use serde::Deserialize;
use url::Url;

/// `admin.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the console listens; a proxy with TLS stands before it outside of one's own machine.
    pub listener: SocketAddr,
    /// The address that browsers use: the origin of its passkeys, cookies and forms.
    pub public_url: Url,
    /// This zone's identity towards the others.
    pub tls: TlsConfig,
    /// The console's own database, as its own role.
    pub database: DatabaseConfig,
    /// The gateway's control plane.
    pub gateway: PeerConfig,
    /// The vault's control plane: that of node 0.
    pub vault: PeerConfig,
    /// Those of its other nodes, in the order of their numbers.
    #[serde(default)]
    pub further_vaults: Vec<PeerConfig>,
}

/// Another zone's control plane.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its listener.
    pub address: SocketAddr,
    /// How long an answer may take.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

fn default_timeout_ms() -> u64 {
    3000
}

/// The public address can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// Passkeys and `__Host-` cookies need a secure context.
    #[error("public_url must be https, or http://localhost for one's own machine")]
    Insecure,
    /// Passkeys are bound to a host name.
    #[error("public_url must have a host name (not an address), and no path, query or user")]
    NotAnOrigin,
}

/// The console's one origin, checked.
#[derive(Debug, Clone)]
pub struct PublicOrigin {
    url: Url,
    /// `http://localhost:7108`, as browsers write it in `Origin`.
    pub origin: String,
    /// `localhost:7108`, as browsers write it in `Host`.
    pub authority: String,
    /// `localhost`: the passkeys' relying party.
    pub rp_id: String,
    /// Whether browsers may be told to come back over https only.
    pub is_https: bool,
}

impl PublicOrigin {
    /// Checks the configured address.
    ///
    /// # Errors
    /// [`PublicUrlError`].
    pub fn new(url: &Url) -> Result<Self, PublicUrlError> {
        let host = url.domain().ok_or(PublicUrlError::NotAnOrigin)?.to_owned();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !bare {
            return Err(PublicUrlError::NotAnOrigin);
        }
        let is_https = url.scheme() == "https";
        let own_machine = url.scheme() == "http" && host == "localhost";
        if !(is_https || own_machine) {
            return Err(PublicUrlError::Insecure);
        }
        let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let origin = url.origin().ascii_serialization();
        Ok(Self { url: url.clone(), origin, authority, rp_id: host, is_https })
    }

    /// The address itself.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<PublicOrigin, PublicUrlError> {
        PublicOrigin::new(&Url::parse(text).unwrap())
    }

    /// Only https and one's own machine will do, as a bare origin with a host name.
    #[test]
    fn the_public_address_is_a_secure_origin() {
        let local = origin("http://localhost:7108").unwrap();
        assert_eq!((local.origin.as_str(), local.authority.as_str()), ("http://localhost:7108", "localhost:7108"));
        assert!(!local.is_https);
        let public = origin("https://console.example").unwrap();
        assert_eq!((public.authority.as_str(), public.rp_id.as_str()), ("console.example", "console.example"));
        assert_eq!(origin("http://console.example").unwrap_err(), PublicUrlError::Insecure);
        for text in ["https://127.0.0.1:7108", "https://console.example/admin", "https://me@console.example"] {
            assert_eq!(origin(text).unwrap_err(), PublicUrlError::NotAnOrigin, "{text}");
        }
    }
}
