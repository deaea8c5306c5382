//! `run.json`: where a running Kura is, for tests, `bench` and other tools. It holds test keys, so only its owner reads it.

use anyhow::Result;
use serde_json::json;

use super::bring_up::Facts;
use super::supervisor::Supervisor;
use crate::ports::{Ports, VaultPorts, local, url};
use crate::postgres::Cluster;
use crate::state::{State, write_private_json};

/// Writes it anew: at the start, and when a process was restarted.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write(state: &State, ports: &Ports, facts: &Facts, supervisor: &Supervisor) -> Result<()> {
    let pids = supervisor.pids();
    let cluster = |cluster: &Cluster, process: &str| {
        json!({
            "socket": cluster.socket(),
            "port": cluster.port(),
            "pid": pids.get(process),
            "data": cluster.data(),
            "pgpass": cluster.password_file(),
            "psql": cluster.psql_program(),
        })
    };
    let vault = |(number, ports): (usize, VaultPorts)| json!({ "node": number, "data_plane": local(ports.data), "control_plane": local(ports.control) });
    let vaults: Vec<_> = ports.vaults().into_iter().enumerate().map(vault).collect();
    let (main, other) = (&facts.merchants.main, &facts.merchants.other);
    let run = json!({
        "gateway": url(ports.gateway),
        "admin": url(ports.admin),
        "fronts": url(ports.fronts),
        "networks": url(ports.networks),
        "keys": {
            "pk_test": main.pk_test,
            "sk_test": main.sk_test,
            "other_pk_test": other.pk_test,
            "other_sk_test": other.sk_test,
        },
        "merchants": { "main": main.merchant, "other": other.merchant },
        "admin_enrolment": facts.enrolment,
        "pid": std::process::id(),
        "pids": pids,
        "restarts": supervisor.restarts(),
        "state": state.root(),
        "postgres": {
            "vault": cluster(&facts.vault, "postgres-vault"),
            "main": cluster(&facts.main, "postgres-main"),
        },
        "control": { "gateway": local(ports.gateway_control), "vault": local(ports.vault_control) },
        "vault_identity": facts.vault_identity,
        "vault_data_plane": local(ports.vault_data),
        "vaults": vaults,
        "acquirer": local(ports.acquirer),
        "services": local(ports.services),
        "tls": {
            "vault": state.path("vault/tls"),
            "gateway": state.path("gateway/tls"),
            "admin": state.path("admin/tls"),
            "networks": state.path("networks/tls"),
            "networks_services": state.path("networks/services-tls"),
            "vault_to_acquirer": state.path("vault/acquirer-tls"),
        },
        "logs": state.path("logs"),
    });
    write_private_json(&state.run_file(), &run)
}
