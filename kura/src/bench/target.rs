//! The Kura under measurement: its own state directory and ports, no rate limits, started and stopped here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kura_platform::tls::TlsConfig;
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::state::run_file;

const READY_WITHIN: Duration = Duration::from_secs(120);
const UNLIMITED: [&str; 4] = ["per_address_per_second", "per_address_burst", "per_key_per_second", "per_key_burst"];

/// What `run.json` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(super) struct RunFile {
    pub(super) gateway: String,
    pub(super) fronts: String,
    pub(super) keys: Keys,
    pub(super) merchants: Merchants,
    pub(super) pids: std::collections::BTreeMap<String, i32>,
    pub(super) postgres: Clusters,
    pub(super) vault_data_plane: std::net::SocketAddr,
    tls: TlsDirectories,
}

#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    pub(super) pk_test: String,
    pub(super) sk_test: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Merchants {
    pub(super) main: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Clusters {
    pub(super) vault: ClusterFacts,
}

#[derive(Debug, Deserialize)]
pub(super) struct ClusterFacts {
    pub(super) socket: PathBuf,
    pub(super) port: u16,
    pub(super) pgpass: PathBuf,
}

#[derive(Debug, Deserialize)]
struct TlsDirectories {
    gateway: PathBuf,
}

/// A running Kura.
pub(super) struct Target {
    child: Child,
    pub(super) run: RunFile,
}

impl Target {
    /// Starts it from nothing and waits until it is ready.
    pub(super) async fn start(state: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("where is this program?")?;
        let mut command = Command::new(own);
        command.args(["up", "--no-build", "--fresh", "--port-base", "0", "--state"]).arg(state);
        command.arg("--stop-with-parent").arg(std::process::id().to_string());
        for limit in UNLIMITED {
            command.arg("--set").arg(format!("gateway.rate_limits.{limit}=100000000"));
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(false).spawn()?;
        let file = run_file(state);
        let waiting = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    bail!("the Kura under measurement did not start ({status})");
                }
                if let Ok(text) = std::fs::read_to_string(&file) {
                    return Ok(serde_json::from_str(&text)?);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let run: RunFile = tokio::time::timeout(READY_WITHIN, waiting).await.context("it was not ready in time")??;
        Ok(Self { child, run })
    }

    /// Stops it, as Ctrl-C would.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.child.wait().await?;
        Ok(())
    }

    /// The gateway's own certificate: the load on the vault comes as the gateway's would.
    pub(super) fn gateway_tls(&self) -> TlsConfig {
        let file = |name: &str| self.run.tls.gateway.join(name);
        TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") }
    }
}
