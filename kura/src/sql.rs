//! `cargo kura sql`: what every SQL statement in the services looks like to a real database, recorded in `.sqlx/`, so that
//! a build needs none.
//!
//! The database is a throwaway cluster with the roles and migrations of this clone; each migration runs as the schema's
//! owner, as it will in earnest.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::postgres::{Cluster, Place, Programs, Spec, apply_roles};
use crate::processes::Record;
use crate::state::{State, private_directory, random_secret};
use crate::terminal::{Progress, say};
use crate::up::{Program, Stop, Supervisor};
use crate::workspace;

const SERVICES: [&str; 3] = ["vault", "gateway", "admin"];
const CLUSTER: Spec = Spec { name: "sql", shared_buffers: "64MB", durable: false };
const CLUSTER_WITHIN: Duration = Duration::from_secs(30);
const CLUSTER_STOP: Duration = Duration::from_secs(10);
/// `sqlx migrate` makes this before the first migration, and migrations grant rights on it.
const MIGRATIONS_TABLE: &str = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, \
    execution_time BIGINT NOT NULL);\n";

/// Record what the services' SQL statements look like to the database, after a change to one (.sqlx/).
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail when the record is not what it would be
    #[arg(long)]
    check: bool,
}

/// Records or checks.
///
/// # Errors
/// When the migrations or the statements are wrong, or with `--check` when the record is.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = workspace::root()?;
    let programs = Programs::ensure()?;
    let scratch = std::env::temp_dir().join(format!("kura-sql-{}", random_secret().get(..8).unwrap_or_default()));
    let state = State::take(&scratch)?;
    let supervisor = Supervisor::new(Record::new(state.path("processes.json")));
    let outcome = tokio::select! {
        outcome = record(&root, &programs, &state, &supervisor) => outcome,
        interrupted = kura_platform::shutdown_signal() => interrupted.map_err(Into::into).and_then(|()| bail!("interrupted")),
    };
    supervisor.stop(|| false).await;
    let outcome = outcome.and_then(|()| settle(&state.path("record"), &root.join(".sqlx"), arguments.check));
    let discarded = state.discard();
    outcome.and_then(|code| discarded.map(|()| code))
}

async fn record(root: &Path, programs: &Programs, state: &State, supervisor: &Supervisor) -> Result<()> {
    let progress = Progress::new();
    let step = progress.step("database");
    let cluster = start(programs, state, supervisor).await?;
    for service in SERVICES {
        apply_roles(&cluster, state, root, service).await?;
        migrate(&cluster, root, service).await?;
    }
    step.done("roles and migrations");

    let directory = state.path("record");
    private_directory(&directory)?;
    for service in SERVICES {
        // A statement is looked at when its crate is compiled, and cargo compiles what has changed.
        let library = root.join(service).join("src/lib.rs");
        let touched = File::options().append(true).open(&library);
        touched
            .and_then(|file| file.set_modified(kura_platform::clock::now().into()))
            .with_context(|| format!("can't touch {}", library.display()))?;
    }
    let mut cargo = workspace::cargo(root);
    cargo.args(["check", "--release", "--workspace", "--quiet"]);
    cargo.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", &directory).env("PGPASSFILE", cluster.password_file());
    for service in SERVICES {
        cargo.env(format!("{}_DATABASE_URL", service.to_uppercase()), cluster.url(service, "postgres"));
    }
    let step = progress.step("statements");
    let status = tokio::process::Command::from(cargo).kill_on_drop(true).status().await.context("can't run cargo")?;
    if !status.success() {
        bail!("the statements don't fit the migrations, or the services don't compile; see above");
    }
    step.done("checked against the schema");
    Ok(())
}

async fn start(programs: &Programs, state: &State, supervisor: &Supervisor) -> Result<Cluster> {
    let place = Place::ensure(state)?;
    let cluster = Cluster::ensure(state, programs, &place, CLUSTER).await?;
    let (path, arguments) = cluster.server()?;
    supervisor.start(Program {
        name: "postgres-sql",
        path,
        arguments,
        account: cluster.account(),
        log: state.path("postgres.log"),
        stop: Stop { signal: Signal::INT, deadline: CLUSTER_STOP, turn: 0 },
    })?;
    supervisor.ready("postgres-sql", CLUSTER_WITHIN, async |pid, _, _| cluster.is_ready(pid)).await?;
    Ok(cluster)
}

async fn migrate(cluster: &Cluster, root: &Path, service: &str) -> Result<()> {
    let as_owner = format!("SET ROLE {service}_owner;\n");
    cluster.psql("making the table of migrations", service, &format!("{as_owner}{MIGRATIONS_TABLE}")).await?;
    for path in migrations(&root.join("migrations").join(service))? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        cluster.psql(&name, service, &format!("{as_owner}BEGIN;\n{text}\n;COMMIT;\n")).await?;
    }
    Ok(())
}

/// In the order of their numbers.
fn migrations(directory: &Path) -> Result<Vec<PathBuf>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(directory).with_context(|| format!("can't read {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();
    Ok(paths)
}

/// Puts the new record in the place of the old one, or says how they differ.
fn settle(new: &Path, old: &Path, check: bool) -> Result<ExitCode> {
    let (wanted, found) = (statements(new)?, statements(old)?);
    let mut changes = Vec::new();
    for (name, content) in &wanted {
        match found.get(name) {
            Some(known) if known == content => continue,
            Some(_) => changes.push(format!("  changed  .sqlx/{name}")),
            None => changes.push(format!("  new      .sqlx/{name}")),
        }
        if !check {
            std::fs::create_dir_all(old)?;
            std::fs::write(old.join(name), content)?;
        }
    }
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        changes.push(format!("  unused   .sqlx/{name}"));
        if !check {
            std::fs::remove_file(old.join(name))?;
        }
    }
    if changes.is_empty() {
        say(&format!("  {} statements, all as recorded", wanted.len()));
        return Ok(ExitCode::SUCCESS);
    }
    changes.iter().for_each(|change| say(change));
    if check {
        bail!("the record of SQL statements is out of date; run `cargo kura sql` and commit .sqlx/");
    }
    say(&format!("  {} statements recorded; commit .sqlx/", wanted.len()));
    Ok(ExitCode::SUCCESS)
}

fn statements(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            found.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(found)
}
