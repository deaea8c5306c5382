//! From an empty directory to a gateway that takes payments, in the order that things need each other.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use data_encoding::BASE64URL_NOPAD;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::supervisor::{Program, Stop, Supervisor, logged};
use crate::ports::{Ports, VaultPorts, local, url};
use crate::postgres::{Cluster, Place, Programs, Spec, apply_roles, owner_password_file};
use crate::services::KeyProvider;
use crate::settings::{Setting, configuration};
use crate::state::{
    State, private_directory, read_if_there, secret_in, signing_secret_in, write_private, write_private_json,
};
use crate::terminal::Progress;
use crate::tools::{clean_environment, output};
use crate::vault::Control;
use crate::{certificates, custodians, services};

const VAULT_CLUSTER: Spec = Spec { name: "vault", shared_buffers: "256MB", durable: true };
const MAIN_CLUSTER: Spec = Spec { name: "main", shared_buffers: "128MB", durable: true };
const CLUSTER_WITHIN: Duration = Duration::from_secs(30);
const SERVICE_WITHIN: Duration = Duration::from_secs(30);
const HEALTH_WITHIN: Duration = Duration::from_secs(2);
/// The acquirer drains what it was asked, the vault waits for the acquirer, the gateway for the vault.
const SERVICE_STOP: Duration = Duration::from_secs(12);
const CLUSTER_STOP: Duration = Duration::from_secs(20);
/// Whom the first link to the console is for.
const FIRST_ADMIN: (&str, &str) = ("admin@kura.example", "First administrator");

/// A merchant's keys, as the gateway gave them, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) merchant: String,
    pub(crate) pk_test: String,
    pub(crate) sk_test: String,
}

/// The two sample merchants: one with a shop, and one that must never see anything of the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Merchants {
    pub(crate) main: Merchant,
    pub(crate) other: Merchant,
}

/// What a bring-up found out or made.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) merchants: Merchants,
    /// What browsers and imports have pinned.
    pub(crate) vault_identity: String,
    /// The link with which the first admin enrols, as long as it is unused.
    pub(crate) enrolment: Option<String>,
    pub(crate) vault: Cluster,
    pub(crate) main: Cluster,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Invitation {
    pub(crate) enrolment: String,
}

/// Everything that a bring-up uses.
pub(crate) struct BringUp<'a> {
    pub(crate) workspace: &'a Path,
    pub(crate) binaries: &'a Path,
    pub(crate) state: &'a State,
    pub(crate) ports: &'a Ports,
    pub(crate) settings: &'a [Setting],
    pub(crate) key_provider: KeyProvider,
    pub(crate) leave_sealed: bool,
    pub(crate) programs: &'a Programs,
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) progress: &'a Progress,
}

impl BringUp<'_> {
    /// # Errors
    /// What could not be made or did not get ready.
    pub(crate) async fn run(&self) -> Result<Facts> {
        self.prepare()?;
        self.configure("networks", services::networks(self.state, self.ports))?;
        self.start("networks", 3)?;

        let step = self.progress.step("databases");
        let place = Place::ensure(self.state)?;
        let (vault, main) = tokio::try_join!(
            self.cluster(&place, VAULT_CLUSTER, "postgres-vault", &["vault"]),
            self.cluster(&place, MAIN_CLUSTER, "postgres-main", &["gateway", "admin"]),
        )?;
        step.done("two private PostgreSQL clusters");

        let step = self.progress.step("schemas and sample data");
        let identity = self.configure_zones(&vault, &main).await?;
        let ((), merchants, invited) =
            tokio::try_join!(self.migrate("vault", &vault), self.merchants(&main), self.invitation(&main))?;
        write_private(&self.state.path("fronts/secret.key"), merchants.main.sk_test.as_bytes())?;
        self.configure("fronts", services::fronts(self.state, self.ports, &merchants.main.pk_test))?;
        step.done(&format!("vault identity {}…", identity.get(..12).unwrap_or_default()));

        let http = kura_platform::tls::public_http_client(HEALTH_WITHIN)?;
        self.healthy("networks", &http, self.ports.networks).await?;
        // One after the other: the first makes the keys that all need.
        for (name, ports) in self.vaults() {
            self.start(name, 2)?;
            self.vault_ready(name, ports).await?;
            if self.key_provider == KeyProvider::Shamir {
                self.custody(name, ports, &identity).await?;
            }
        }
        self.start("gateway", 1)?;
        self.start("admin", 1)?;
        tokio::try_join!(
            self.healthy("gateway", &http, self.ports.gateway),
            self.healthy("admin", &http, self.ports.admin)
        )?;
        self.start("fronts", 0)?;
        self.healthy("fronts", &http, self.ports.fronts).await?;

        let enrolment = match invited {
            Some(link) if is_unused(&http, &link).await => Some(link),
            _ => None,
        };
        Ok(Facts { merchants, vault_identity: identity, enrolment, vault, main })
    }

    fn prepare(&self) -> Result<()> {
        let further = self.vaults().map(|(name, _)| name).skip(1);
        for service in services::NAMES.into_iter().chain(further) {
            let program = self.binaries.join(services::program(service));
            if !program.is_file() {
                bail!("{} is missing; build it with `cargo build --release --workspace --bins`", program.display());
            }
            private_directory(&self.state.path(service))?;
        }
        private_directory(&self.state.path("logs"))?;
        certificates::ensure(self.state)?;
        private_directory(&self.state.path("notices"))?;
        for network in services::NETWORKS {
            signing_secret_in(&services::notice_secret(self.state, network))?;
        }
        secret_in(&self.state.path("gateway/gateway.secret")).map(drop)
    }

    /// The vault's nodes: name and ports.
    fn vaults(&self) -> impl Iterator<Item = (&'static str, VaultPorts)> {
        services::VAULT_NODES.into_iter().zip(self.ports.vaults())
    }

    fn configure(&self, service: &str, content: Value) -> Result<()> {
        let toml = configuration(service, content, self.settings)?;
        write_private(&services::configuration_file(self.state, service), toml.as_bytes())
    }

    /// The three zones' configurations. Gateway and console pin the vault's identity, which the vault makes.
    async fn configure_zones(&self, vault: &Cluster, main: &Cluster) -> Result<String> {
        for (number, (name, own)) in self.vaults().enumerate() {
            self.configure(name, services::vault(self.state, self.ports, number, own, vault, self.key_provider))?;
        }
        let printed = self.command("vault", "making the vault's keys", &["make-dev-keys"]).await?;
        let identity = printed.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
        if BASE64URL_NOPAD.decode(identity.as_bytes()).map_or(0, |point| point.len()) != 65 {
            bail!("`kura-vault make-dev-keys` printed no public key (65 bytes, base64url)");
        }
        self.configure("gateway", services::gateway(self.state, self.ports, main, &identity))?;
        self.configure("admin", services::admin(self.state, self.ports, main, &identity))?;
        Ok(identity)
    }

    async fn cluster(&self, place: &Place, spec: Spec, name: &'static str, databases: &[&str]) -> Result<Cluster> {
        let cluster = Cluster::ensure(self.state, self.programs, place, spec).await?;
        let (path, arguments) = cluster.server()?;
        self.supervisor.start(Program {
            name,
            path,
            arguments,
            account: cluster.account(),
            log: self.log(name),
            // SIGINT is PostgreSQL's "fast" shutdown: clients are let go, everything is written.
            stop: Stop { signal: Signal::INT, deadline: CLUSTER_STOP, turn: 4 },
        })?;
        self.supervisor.ready(name, CLUSTER_WITHIN, async |pid, _, _| cluster.is_ready(pid)).await?;
        for service in databases {
            apply_roles(&cluster, self.state, self.workspace, service).await?;
        }
        Ok(cluster)
    }

    async fn migrate(&self, service: &str, cluster: &Cluster) -> Result<()> {
        let url = cluster.url(service, &format!("{service}_owner"));
        let password = owner_password_file(self.state, service);
        let arguments = ["migrate", "--database-url", &url, "--password-file", &password.to_string_lossy()];
        self.command(service, &format!("migrating the database of {service}"), &arguments).await.map(drop)
    }

    /// The sample merchants, made once: their keys can't be asked for again.
    async fn merchants(&self, main: &Cluster) -> Result<Merchants> {
        self.migrate("gateway", main).await?;
        let file = self.state.path("keys.json");
        if let Some(json) = read_if_there(&file)? {
            return serde_json::from_str(&json).with_context(|| format!("{} holds no keys", file.display()));
        }
        let origins = [url(self.ports.fronts), format!("http://{}", local(self.ports.fronts))];
        let add = async |name: &str| -> Result<Merchant> {
            let arguments = ["add-merchant", "--name", name, "--origin", &origins[0], "--origin", &origins[1]];
            let printed = self.command("gateway", "adding a sample merchant", &arguments).await?;
            last_json(&printed).context("`kura-gateway add-merchant` printed no keys")
        };
        let merchants = Merchants { main: add("Kura Sample Shop").await?, other: add("Another Sample Shop").await? };
        write_private_json(&file, &merchants)?;
        Ok(merchants)
    }

    /// The first admin's link; from the second start on, the one that was made then, used or not.
    async fn invitation(&self, main: &Cluster) -> Result<Option<String>> {
        self.migrate("admin", main).await?;
        let file = self.state.path("enrolment.json");
        if let Some(json) = read_if_there(&file)? {
            let known = serde_json::from_str::<Invitation>(&json).ok().map(|invitation| invitation.enrolment);
            return Ok(known.filter(|link| link.starts_with(&url(self.ports.admin))));
        }
        let (email, name) = FIRST_ADMIN;
        let printed =
            self.command("admin", "inviting the first admin", &["invite", "--email", email, "--name", name]).await?;
        let invitation: Invitation = last_json(&printed).context("`kura-admin invite` printed no link")?;
        write_private_json(&file, &invitation)?;
        Ok(Some(invitation.enrolment))
    }

    /// Runs one of a service's commands to its end.
    async fn command(&self, service: &str, what: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.binaries.join(services::program(service)));
        clean_environment(&mut command);
        command.arg("--config").arg(services::configuration_file(self.state, service)).args(arguments);
        output(what, &mut command, None).await
    }

    fn log(&self, name: &str) -> std::path::PathBuf {
        self.state.path("logs").join(format!("{name}.log"))
    }

    fn start(&self, service: &'static str, turn: u8) -> Result<()> {
        let file = services::configuration_file(self.state, service);
        self.supervisor.start(Program {
            name: service,
            path: self.binaries.join(services::program(service)),
            arguments: vec!["--config".to_owned(), file.to_string_lossy().into_owned(), "serve".to_owned()],
            account: None,
            log: self.log(service),
            stop: Stop { signal: Signal::TERM, deadline: SERVICE_STOP, turn },
        })
    }

    async fn healthy(&self, service: &str, http: &reqwest::Client, port: u16) -> Result<()> {
        let step = self.progress.step(service);
        let health = format!("http://{}/healthz", local(port));
        let answers = async |_: i32, _: &Path, _: u64| {
            http.get(&health).send().await.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK)
        };
        self.supervisor.ready(service, SERVICE_WITHIN, answers).await?;
        step.done(&url(port));
        Ok(())
    }

    /// A vault of shares starts sealed. The demo's custodians unseal it, and that is said.
    async fn custody(&self, node: &str, ports: VaultPorts, identity: &str) -> Result<()> {
        let step = self.progress.step(&format!("custodians of {node}"));
        if self.leave_sealed {
            step.done("the vault stays SEALED until shares are entered: cargo kura vault unseal");
            return Ok(());
        }
        let tls = self.state.path("admin/tls");
        let control = Control::at(local(ports.control), &tls, identity.to_owned())?;
        let unsealed = custodians::unseal(self.state, &control).await;
        step.done(&unsealed.context(
            "the sample custodians could not unseal the vault; data of a run with another key provider needs --fresh",
        )?);
        Ok(())
    }

    /// The vault talks to nobody without a certificate, so it is asked through its log, and by a connection alone.
    async fn vault_ready(&self, name: &'static str, ports: VaultPorts) -> Result<()> {
        let step = self.progress.step(name);
        let planes = [local(ports.data), local(ports.control)];
        let listens = async |_: i32, log: &Path, from: u64| {
            let said = logged(log, from).lines().any(is_ready_event);
            said && TcpStream::connect(planes[0]).await.is_ok() && TcpStream::connect(planes[1]).await.is_ok()
        };
        self.supervisor.ready(name, SERVICE_WITHIN, listens).await?;
        step.done("mutual TLS only");
        Ok(())
    }
}

/// The last line that is JSON of this shape.
pub(crate) fn last_json<T: serde::de::DeserializeOwned>(printed: &str) -> Option<T> {
    printed.lines().rev().find_map(|line| serde_json::from_str(line.trim()).ok())
}

fn is_ready_event(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|event| event.get("message").is_some_and(|said| said == "ready"))
}

/// A link that was used, or has run out, answers anything but 200.
async fn is_unused(http: &reqwest::Client, link: &str) -> bool {
    http.get(link).send().await.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK)
}
