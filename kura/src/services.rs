//! The five programs: what they are configured with and how they are known to be ready.

use std::path::Path;

use serde_json::{Value, json};

use crate::ports::{Ports, VaultPorts, local, url};
use crate::postgres::{Cluster, password_file, work_password_file};
use crate::state::State;

/// Every service, in the order of the zones.
pub(crate) const NAMES: [&str; 5] = ["networks", "vault", "gateway", "admin", "fronts"];

/// The vault's nodes, by number: how their processes, logs and directories are called.
pub(crate) const VAULT_NODES: [&str; 8] =
    ["vault", "vault-1", "vault-2", "vault-3", "vault-4", "vault-5", "vault-6", "vault-7"];

/// What a process is one of: each node of the vault is a vault.
pub(crate) fn kind(service: &str) -> &str {
    if VAULT_NODES.contains(&service) { "vault" } else { service }
}

/// The program's file name.
pub(crate) fn program(service: &str) -> String {
    format!("kura-{}", kind(service))
}

/// Its configuration's file, in the state directory.
pub(crate) fn configuration_file(state: &State, service: &str) -> std::path::PathBuf {
    state.path(service).join(format!("{service}.toml"))
}

fn tls(directory: &Path) -> Value {
    json!({
        "certificate": directory.join("certificate.pem"),
        "private_key": directory.join("key.pem"),
        "ca": directory.join("ca.pem"),
    })
}

fn database(state: &State, cluster: &Cluster, service: &str, max_connections: u32) -> Value {
    json!({
        "url": cluster.url(service, &format!("{service}_app")),
        "password_file": password_file(state, service),
        "max_connections": max_connections,
    })
}

/// The gateway's own work, across merchants, has a role of its own.
fn work_database(state: &State, cluster: &Cluster, max_connections: u32) -> Value {
    json!({
        "url": cluster.url("gateway", "gateway_work"),
        "password_file": work_password_file(state, "gateway"),
        "max_connections": max_connections,
    })
}

/// Where the vault's root key is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeyProvider {
    /// A file
    DevFile,
    /// Shares of three sample custodians, two of which make it
    Shamir,
}

/// The networks whose notices the gateway takes.
pub(crate) const NETWORKS: [&str; 4] = ["card", "konbini", "payeasy", "emoney"];

/// What a network signs its notices with; the gateway knows it too.
pub(crate) fn notice_secret(state: &State, network: &str) -> std::path::PathBuf {
    state.path("notices").join(format!("{network}.secret"))
}

fn notice_secrets(state: &State) -> Value {
    NETWORKS.iter().map(|network| ((*network).to_owned(), json!(notice_secret(state, network)))).collect()
}

/// `networks.toml`
pub(crate) fn networks(state: &State, ports: &Ports) -> Value {
    json!({
        "iso8583_listener": local(ports.acquirer),
        "services_listener": local(ports.services),
        "http_listener": local(ports.networks),
        "public_url": url(ports.networks),
        "books": state.path("networks/books.jsonl"),
        "journals": state.path("networks"),
        "tls": tls(&state.path("networks/tls")),
        "services_tls": tls(&state.path("networks/services-tls")),
        "notices": { "gateway": format!("http://{}", local(ports.gateway)), "secrets": notice_secrets(state) },
    })
}

/// `vault.toml`, `vault-1.toml`, …: one vault, so one identity, one certificate and one database; each node has its ports.
pub(crate) fn vault(
    state: &State,
    ports: &Ports,
    node: usize,
    own: VaultPorts,
    cluster: &Cluster,
    key_provider: KeyProvider,
) -> Value {
    let key_provider = match key_provider {
        KeyProvider::DevFile => json!({ "kind": "dev-file", "path": state.path("vault/dev-keys.json") }),
        KeyProvider::Shamir => json!({ "kind": "shamir" }),
    };
    json!({
        "environment": "development",
        "node": node,
        "data_plane": local(own.data),
        "control_plane": local(own.control),
        "identity_key": state.path("vault/identity.pem"),
        "tls": tls(&state.path("vault/tls")),
        "database": database(state, cluster, "vault", 16),
        "key_provider": key_provider,
        // A load test on one's own machine is no theft.
        "budgets": [{
            "peer": "gateway.kura.internal",
            "purpose": "authorize",
            "per_minute": 1_000_000,
            "per_day": 1_000_000_000,
        }],
        "acquirer": { "test": {
            "address": local(ports.acquirer),
            "server_name": "acquirer.networks.example",
            "response_timeout_ms": 5000,
            "tls": tls(&state.path("vault/acquirer-tls")),
        } },
        "services": { "test": {
            "address": local(ports.services),
            "server_name": "services.networks.example",
            "response_timeout_ms": 5000,
            "tls": tls(&state.path("vault/acquirer-tls")),
        } },
    })
}

/// `gateway.toml`
pub(crate) fn gateway(state: &State, ports: &Ports, cluster: &Cluster, vault_identity: &str) -> Value {
    let node = |(number, vault): (usize, VaultPorts)| json!({ "node": number, "address": local(vault.data) });
    let nodes: Vec<Value> = ports.vaults().into_iter().enumerate().map(node).collect();
    json!({
        "environment": "development",
        "public_listener": local(ports.gateway),
        "public_url": url(ports.gateway),
        "control_plane": local(ports.gateway_control),
        "vault_identity": vault_identity,
        "secret_file": state.path("gateway/gateway.secret"),
        "tls": tls(&state.path("gateway/tls")),
        "database": database(state, cluster, "gateway", 16),
        "work_database": work_database(state, cluster, 8),
        "vault": { "nodes": nodes, "timeout_ms": 15000 },
        "rate_limits": {
            "per_address_per_second": 100,
            "per_address_burst": 400,
            "per_key_per_second": 100,
            "per_key_burst": 400,
        },
        "notice_secrets": notice_secrets(state),
        "recovery": { "every_ms": 1000, "after_ms": 8000 },
        // A merchant's server is on the same machine here.
        "webhooks": { "development": true, "every_ms": 250 },
    })
}

/// `admin.toml`
pub(crate) fn admin(state: &State, ports: &Ports, cluster: &Cluster, vault_identity: &str) -> Value {
    let further: Vec<Value> =
        ports.further_vaults.iter().map(|vault| json!({ "address": local(vault.control) })).collect();
    json!({
        "listener": local(ports.admin),
        "public_url": url(ports.admin),
        "vault_identity": vault_identity,
        "tls": tls(&state.path("admin/tls")),
        "database": database(state, cluster, "admin", 8),
        "gateway": { "address": local(ports.gateway_control) },
        "vault": { "address": local(ports.vault_control) },
        "further_vaults": further,
    })
}

/// `fronts.toml`
pub(crate) fn fronts(state: &State, ports: &Ports, publishable_key: &str) -> Value {
    json!({
        "listener": local(ports.fronts),
        "public_url": url(ports.fronts),
        "gateway_url": url(ports.gateway),
        "publishable_key": publishable_key,
        "secret_key_file": state.path("fronts/secret.key"),
    })
}
