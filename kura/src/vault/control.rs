//! The way to the vault's control plane.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kura_platform::tls::{Gateway, TlsConfig, Vault};
use kura_wire::control::ControlErrorBody;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::state::run_file;
use crate::terminal::say;
use crate::workspace;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long it takes at the most to find out that a node isn't there.
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// What `run.json` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct RunFile {
    control: ControlPlanes,
    /// All nodes; what is asked here any of them can answer.
    #[serde(default)]
    vaults: Vec<VaultNode>,
    tls: TlsDirectories,
}

#[derive(Debug, Deserialize)]
struct VaultNode {
    control_plane: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct ControlPlanes {
    gateway: SocketAddr,
    vault: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct TlsDirectories {
    admin: PathBuf,
}

/// The client, and how to print what it was told.
pub(super) struct Control {
    http: reqwest::Client,
    base: String,
    /// The gateway's control plane, for what both must know.
    gateway: (reqwest::Client, String),
    json: bool,
}

impl Control {
    /// For the Kura that runs on this state directory.
    pub(super) fn of(state: Option<&Path>, json: bool) -> Result<Self> {
        let state = match state {
            Some(directory) => directory.to_owned(),
            None => workspace::root()?.join(".kura"),
        };
        let Ok(text) = std::fs::read(run_file(&state)) else {
            bail!("Kura does not run on {}; start it with `cargo kura up`", state.display());
        };
        let run: RunFile = serde_json::from_slice(&text).context("run.json is of another version")?;
        let file = |name: &str| run.tls.admin.join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let is_there = |address: &SocketAddr| TcpStream::connect_timeout(address, LOOK_WITHIN).is_ok();
        let address = run.vaults.iter().map(|node| node.control_plane).find(is_there).unwrap_or(run.control.vault);
        let http = tls.http_client::<Vault>(address, ANSWER_WITHIN)?;
        let gateway = run.control.gateway;
        let gateway = (tls.http_client::<Gateway>(gateway, ANSWER_WITHIN)?, TlsConfig::base_url::<Gateway>(gateway));
        Ok(Self { http, base: TlsConfig::base_url::<Vault>(address), gateway, json })
    }

    /// Whether programs read the output.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// `GET`.
    pub(super) async fn get<A: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<A> {
        answer(self.http.get(format!("{}{path}", self.base)).query(query)).await
    }

    /// `POST`.
    pub(super) async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A> {
        answer(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// `POST` to the gateway's control plane, which says only whether it did it.
    pub(super) async fn post_to_gateway(&self, path: &str, body: &impl Serialize) -> Result<()> {
        let (http, base) = &self.gateway;
        let request = http.post(format!("{base}{path}")).json(body);
        let status = request.send().await.context("the gateway's control plane can't be reached")?.status();
        if status.is_success() { Ok(()) } else { bail!("the gateway refused ({status})") }
    }

    /// Prints an answer: as JSON where that is wanted, else as `text` puts it.
    pub(super) fn print<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        say(&if self.is_json() { serde_json::to_string_pretty(answer)? } else { text(answer) });
        Ok(())
    }
}

async fn answer<A: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<A> {
    let response = request.send().await.context("the vault's control plane can't be reached")?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.context("the vault's answer is of another version");
    }
    match response.json::<ControlErrorBody>().await {
        Ok(body) => bail!("the vault refused: {}", body.code),
        Err(_) => bail!("the vault refused ({status})"),
    }
}
