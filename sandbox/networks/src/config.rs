//! What `networks.toml` says.

use std::net::SocketAddr;
use std::path::PathBuf;

use kura_platform::tls::TlsConfig;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the acquirer listens for ISO 8583 over TLS.
    pub iso8583_listener: SocketAddr,
    /// Where the books can be read over plain HTTP.
    pub http_listener: SocketAddr,
    /// The journal of the books; made when it isn't there.
    pub books: PathBuf,
    /// The acquirer's certificate, and the networks' CA that clients' certificates must come from.
    pub tls: TlsConfig,
}
