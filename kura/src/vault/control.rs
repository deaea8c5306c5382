//! The way to the vault's control plane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kura_platform::tls::{TlsConfig, Vault};
use kura_wire::control::ControlErrorBody;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::state::run_file;
use crate::terminal::say;
use crate::workspace;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What `run.json` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct RunFile {
    control: ControlPlanes,
    vault_identity: String,
    tls: TlsDirectories,
}

#[derive(Debug, Deserialize)]
struct ControlPlanes {
    vault: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct TlsDirectories {
    admin: PathBuf,
}

/// The client, and how to print what it was told.
pub(crate) struct Control {
    http: reqwest::Client,
    base: String,
    vault_identity: String,
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
        Ok(Self { json, ..Self::at(run.control.vault, &run.tls.admin, run.vault_identity)? })
    }

    /// For one node, with the console's certificate from this directory.
    pub(crate) fn at(address: SocketAddr, tls: &Path, vault_identity: String) -> Result<Self> {
        let file = |name: &str| tls.join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let http = tls.http_client::<Vault>(address, ANSWER_WITHIN)?;
        Ok(Self { http, base: TlsConfig::base_url::<Vault>(address), vault_identity, json: false })
    }

    /// The vault's public key, as card forms have it pinned.
    pub(super) fn vault_identity(&self) -> &str {
        &self.vault_identity
    }

    /// Whether programs read the output.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// `GET`.
    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<A> {
        answer(self.http.get(format!("{}{path}", self.base)).query(query)).await
    }

    /// `POST`.
    pub(crate) async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A> {
        answer(self.http.post(format!("{}{path}", self.base)).json(body)).await
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
