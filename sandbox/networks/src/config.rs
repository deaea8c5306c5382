//! What `networks.toml` says.

use std::net::SocketAddr;
use std::path::PathBuf;

use kura_platform::tls::TlsConfig;
use serde::Deserialize;

use crate::courier::CourierConfig;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the acquirer listens for ISO 8583 over TLS.
    pub iso8583_listener: SocketAddr,
    /// Where the vault asks the other services over mutual TLS.
    pub services_listener: SocketAddr,
    /// Where the books can be read, and shoppers are asked, over plain HTTP.
    pub http_listener: SocketAddr,
    /// The address of `http_listener` as browsers have it, without a slash at its end: `http://localhost:7106`.
    pub public_url: String,
    /// The journal of the books; made when it isn't there.
    pub books: PathBuf,
    /// The folder of the other services' journals; made when it isn't there.
    pub journals: PathBuf,
    /// How the gateway is told of what happened; it isn't, when this is missing.
    pub notices: Option<CourierConfig>,
    /// How long a shopper has for a 3-D Secure challenge, where it isn't ten minutes.
    pub challenge_life_ms: Option<u64>,
    /// The acquirer's certificate, and the networks' CA that clients' certificates must come from.
    pub tls: TlsConfig,
    /// The other services' certificate, and the same CA.
    pub services_tls: TlsConfig,
}
