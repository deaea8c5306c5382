//! Roles and databases: `migrations/roles/<service>.sql`, with passwords made here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Cluster;
use crate::state::{State, private_directory, secret_in};

/// The file with the password of the role that a service runs as.
pub(crate) fn password_file(state: &State, service: &str) -> PathBuf {
    state.path(service).join("database.password")
}

/// The file with the password of the role that the gateway's own work is done as, across merchants.
pub(crate) fn work_password_file(state: &State, service: &str) -> PathBuf {
    state.path(service).join("database-work.password")
}

/// The file with the password of the role that owns a service's schema and migrates it.
pub(crate) fn owner_password_file(state: &State, service: &str) -> PathBuf {
    state.path(service).join("database-owner.password")
}

/// Makes a service's roles and database when they are missing, and sets their rights and passwords.
///
/// # Errors
/// When the script is missing or a statement fails.
pub(crate) async fn apply_roles(cluster: &Cluster, state: &State, workspace: &Path, service: &str) -> Result<()> {
    private_directory(&state.path(service))?;
    let path = workspace.join("migrations/roles").join(format!("{service}.sql"));
    let script = std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let owner = secret_in(&owner_password_file(state, service))?;
    let app = secret_in(&password_file(state, service))?;
    let mut passwords = format!("\\set owner_password '{owner}'\n\\set app_password '{app}'\n");
    if service == "gateway" {
        let work = secret_in(&work_password_file(state, service))?;
        passwords.push_str(&format!("\\set work_password '{work}'\n"));
    }
    let script = format!("{passwords}{script}");
    cluster.psql(&format!("making the roles of {service}"), "postgres", &script).await.map(drop)
}
