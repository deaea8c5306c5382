//! The configuration file of the gateway: `gateway.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use kura_platform::database::DatabaseConfig;
use kura_platform::tls::TlsConfig;
use kura_wire::ids::NodeId;
use kura_wire::notice::Network;
use serde::Deserialize;
use url::Url;

/// Everything that the operator says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it runs.
    pub environment: Environment,
    /// Where merchants and shoppers connect.
    pub public_listener: SocketAddr,
    /// How many proxies of our own stand before it, each of which appends the address that it was reached from to
    /// `X-Forwarded-For`. Without any, that header is nobody's word.
    #[serde(default)]
    pub trusted_proxies: u8,
    /// How they name it, such as `https://api.example`. Its origin is the one that the card fields live on.
    pub public_url: Url,
    /// Where the console connects, over mutual TLS.
    pub control_plane: SocketAddr,
    /// The vault's identity: a P-256 point, raw, base64url. Browsers check sealing keys against it.
    pub vault_identity: String,
    /// 32 random bytes as base64url text. Keys for hashing are derived from it.
    pub secret_file: PathBuf,
    /// This zone's certificate.
    pub tls: TlsConfig,
    /// This zone's database, as the role that works for one merchant at a time.
    pub database: DatabaseConfig,
    /// The same database, as the role that finds out whose a key is, keeps the workers' queues and serves the console.
    pub work_database: DatabaseConfig,
    /// The vault's data plane.
    pub vault: VaultConfig,
    /// How much one address and one key may ask.
    pub rate_limits: RateLimits,
    /// With what each payment network signs its notices: a file with `whsec_…` by the network's word. A network that is not
    /// here is not listened to.
    #[serde(default)]
    pub notice_secrets: BTreeMap<Network, PathBuf>,
    /// The worker that settles attempts whose end is not known.
    pub recovery: RecoveryConfig,
    /// Telling merchants' servers of events.
    #[serde(default)]
    pub webhooks: WebhooksConfig,
}

impl Config {
    /// What can't be meant.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.webhooks.development && self.environment == Environment::Production {
            return Err("webhooks.development = true is for environment = \"development\" alone");
        }
        Ok(())
    }
}

/// How webhooks are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Endpoints may be on this machine, over http: for development alone. Said aloud wherever it matters.
    pub development: bool,
    /// PEM: authorities to be trusted besides the public ones.
    pub ca: Option<PathBuf>,
    /// Pause between two looks at the queue.
    pub every_ms: u64,
    /// How long an endpoint may take.
    pub timeout_ms: u64,
    /// Deliveries of one endpoint at once.
    pub at_once_per_endpoint: NonZeroU32,
    /// Deliveries at once.
    pub at_once: NonZeroU32,
    /// Before the second attempt; each pause is twice as long as the one before, up to six hours.
    pub first_pause_ms: u32,
    /// How long a delivery is tried, and how long an endpoint may do nothing but fail.
    pub give_up_after_ms: u64,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            development: false,
            ca: None,
            every_ms: 500,
            timeout_ms: 10_000,
            at_once_per_endpoint: NonZeroU32::MIN.saturating_add(7),
            at_once: NonZeroU32::MIN.saturating_add(127),
            first_pause_ms: 10_000,
            give_up_after_ms: 3 * 24 * 60 * 60 * 1000,
        }
    }
}

/// Where a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// One machine, sample data.
    Development,
    /// Everything else.
    Production,
}

/// How to reach the vault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultConfig {
    /// The data plane of each node.
    pub nodes: Vec<VaultNode>,
    /// How long to wait for an answer. Longer than the vault waits for the network.
    pub timeout_ms: u64,
}

/// One vault node: `{ node = 0, address = "10.0.0.7:7103" }`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultNode {
    /// Its number, as tokens and sealing keys name it.
    pub node: NodeId,
    /// Its data plane.
    pub address: SocketAddr,
}

/// Token buckets (so many a second, so many at once), and what one address may hold at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Of one source address.
    pub per_address_per_second: NonZeroU32,
    /// Of one source address, at once.
    pub per_address_burst: NonZeroU32,
    /// Of one API key.
    pub per_key_per_second: NonZeroU32,
    /// Of one API key, at once.
    pub per_key_burst: NonZeroU32,
    /// Connections of one source address at once.
    #[serde(default = "connections_per_address")]
    pub connections_per_address: NonZeroUsize,
    /// Bodies of one source address that are being read at once.
    #[serde(default = "bodies_per_address")]
    pub bodies_per_address: NonZeroUsize,
}

fn connections_per_address() -> NonZeroUsize {
    kura_platform::serve::CONNECTIONS_PER_ADDRESS
}

fn bodies_per_address() -> NonZeroUsize {
    crate::edge::limits::BODIES_PER_ADDRESS
}

/// When the recovery worker looks, and at what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryConfig {
    /// Pause between two looks.
    pub every_ms: u64,
    /// How long an attempt may be under way before the worker asks about it.
    pub after_ms: u64,
}
