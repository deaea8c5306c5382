//! `run.json`, as a running Kura writes it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// Where everything is.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// The merchants' API and the checkout.
    pub gateway: String,
    /// The console.
    pub admin: String,
    /// The sample shop.
    pub fronts: String,
    /// The simulated networks' own page.
    pub networks: String,
    /// The sample merchants' keys.
    pub keys: Keys,
    /// The sample merchants' ids.
    pub merchants: Merchants,
    /// The first admin's link, while unused.
    pub admin_enrolment: Option<String>,
    /// The runner's own process number.
    pub pid: i32,
    /// The services' and the database servers' process numbers.
    pub pids: BTreeMap<String, i32>,
    /// How often each was restarted.
    pub restarts: BTreeMap<String, usize>,
    /// The state directory.
    pub state: PathBuf,
    /// Both clusters: `vault` and `main`.
    pub postgres: BTreeMap<String, Postgres>,
    /// Control planes: `gateway` and `vault`.
    pub control: BTreeMap<String, SocketAddr>,
    /// The vault's public key, as card forms have it pinned.
    pub vault_identity: String,
    /// The vault's listener for the gateway.
    pub vault_data_plane: SocketAddr,
    /// All vault nodes, node 0 first.
    pub vaults: Vec<VaultNode>,
    /// The simulated acquirer's ISO 8583 listener.
    pub acquirer: SocketAddr,
    /// The simulated networks' other services, over mutual TLS.
    pub services: SocketAddr,
    /// Directories with `certificate.pem`, `key.pem` and `ca.pem`.
    pub tls: BTreeMap<String, PathBuf>,
    /// The directory with one log for each process.
    pub logs: PathBuf,
}

/// Test keys of the sample merchants.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // Named as merchants name them.
pub struct Keys {
    pub pk_test: String,
    pub sk_test: String,
    pub other_pk_test: String,
    pub other_sk_test: String,
}

/// The sample merchants: one that the tests pay, and one that must see nothing of it.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Merchants {
    pub main: String,
    pub other: String,
}

/// A vault node.
#[derive(Debug, Clone, Deserialize)]
pub struct VaultNode {
    /// Its number; its process is called `vault`, `vault-1`, …
    pub node: u16,
    /// Its listener for the gateway.
    pub data_plane: SocketAddr,
    /// Its listener for the console.
    pub control_plane: SocketAddr,
}

/// A private cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct Postgres {
    /// The socket's directory.
    pub socket: PathBuf,
    /// The number in the socket's name.
    pub port: u16,
    /// The postmaster.
    pub pid: i32,
    /// The data directory.
    pub data: PathBuf,
    /// The superuser's password file.
    pub pgpass: PathBuf,
    /// The client.
    pub psql: PathBuf,
}
