//! `cargo kura up`: build, prepare, start, show, watch, stop.

mod bring_up;
mod page;
mod run_file;
mod supervisor;

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::ports::Ports;
use crate::postgres::Programs;
use crate::processes::{Identity, Record, end_leftovers};
use crate::settings::Setting;
use crate::state::State;
use crate::terminal::{Progress, failure, note};
use crate::workspace;
use bring_up::{BringUp, Facts};
pub(crate) use bring_up::{Invitation, last_json};
pub(crate) use supervisor::{Program, Stop, Supervisor};

/// How often to look for deaths that no signal told of.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// Build and run everything on this machine, with sample data; Ctrl-C stops it all.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where databases, keys, certificates and logs live [default: .kura in the clone]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The eight ports are the ones after this; 0 takes any that are free
    #[arg(long, value_name = "PORT", default_value_t = 7100)]
    port_base: u16,
    /// Vault nodes side by side, on two ports more each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    vault_nodes: u8,
    /// Delete all data of earlier runs first
    #[arg(long)]
    fresh: bool,
    /// Change a value in a service's configuration, such as gateway.rate_limits.per_key_burst=1000
    #[arg(long, value_name = "SERVICE.KEY=VALUE")]
    set: Vec<Setting>,
    /// Start a service again when it dies, instead of stopping everything
    #[arg(long)]
    restart: bool,
    /// Go on without this process when it dies
    #[arg(long, value_name = "NAME")]
    spare: Vec<String>,
    /// Run what was built before
    #[arg(long)]
    no_build: bool,
    /// Run the programs in this directory, and build nothing
    #[arg(long, value_name = "DIR", env = "KURA_BIN_DIR")]
    bin_dir: Option<PathBuf>,
    /// Stop when the process with this number ends
    #[arg(long, value_name = "PID")]
    stop_with_parent: Option<i32>,
    /// Delete the state at the end, unless a file `failed` was put there
    #[arg(long)]
    throwaway: bool,
}

/// Runs until told to stop.
///
/// # Errors
/// What kept it from starting, or which service died.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = workspace::root()?;
    if !arguments.no_build && arguments.bin_dir.is_none() {
        workspace::build(&root)?;
    }
    let binaries = match &arguments.bin_dir {
        Some(directory) => directory.canonicalize().with_context(|| format!("no directory {}", directory.display()))?,
        None => workspace::built_programs()?,
    };
    let began = Instant::now();
    let state = State::take(&arguments.state.clone().unwrap_or_else(|| root.join(".kura")))?;
    let record = state.path("processes.json");
    for name in end_leftovers(&record).await? {
        note(&format!("  ended {name}, left behind by a run that was killed"));
    }
    let _ = std::fs::remove_file(state.run_file());
    if arguments.fresh {
        state.clear()?;
    }
    let ports = Ports::choose(arguments.port_base, usize::from(arguments.vault_nodes), &state)?;
    let programs = Programs::ensure()?;
    let parent = arguments
        .stop_with_parent
        .map(Identity::of)
        .map(|parent| parent.context("--stop-with-parent: no such process"));
    let parent = parent.transpose()?;

    let supervisor = Rc::new(Supervisor::new(Record::new(record)));
    let mut interruption = Interruption::new(parent)?;
    let progress = Progress::new();
    let bring_up = BringUp {
        workspace: &root,
        binaries: &binaries,
        state: &state,
        ports: &ports,
        settings: &arguments.set,
        programs: &programs,
        supervisor: &supervisor,
        progress: &progress,
    };
    let outcome = tokio::select! {
        biased;
        () = interruption.wait() => Ok(None),
        facts = bring_up.run() => facts.map(Some),
    };
    let outcome = match outcome {
        Ok(Some(facts)) => {
            run_file::write(&state, &ports, &facts, &supervisor)?;
            page::print(&root, &state, &ports, &facts, began.elapsed());
            watch(&arguments, &state, &ports, &facts, &supervisor, &mut interruption).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    let _ = std::fs::remove_file(state.run_file());
    if let Err(error) = &outcome {
        failure(error);
    }
    stop(&supervisor, &mut interruption, outcome.is_ok()).await;
    if arguments.throwaway && outcome.is_ok() && !state.path("failed").exists() {
        state.discard()?;
    }
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Until somebody wants it to stop, or a service dies.
async fn watch(
    arguments: &Arguments,
    state: &State,
    ports: &Ports,
    facts: &Facts,
    supervisor: &Supervisor,
    interruption: &mut Interruption,
) -> Result<()> {
    let mut children = signal(SignalKind::child())?;
    loop {
        if let Some(death) = supervisor.death() {
            if arguments.spare.iter().any(|spare| spare == death.name) {
                supervisor.forget(&death);
                note(&format!("{} died ({}); going on without it", death.name, death.status));
                run_file::write(state, ports, facts, supervisor)?;
                continue;
            }
            if !arguments.restart {
                bail!("{}", death.report());
            }
            supervisor.restart(&death).await?;
            note(&format!("{} died ({}); started again", death.name, death.status));
            run_file::write(state, ports, facts, supervisor)?;
            continue;
        }
        tokio::select! {
            () = interruption.wait() => return Ok(()),
            _ = children.recv() => {}
            () = tokio::time::sleep(WATCH_EVERY) => {}
        }
    }
}

async fn stop(supervisor: &Supervisor, interruption: &mut Interruption, asked: bool) {
    if supervisor.pids().is_empty() {
        return;
    }
    note(if asked { "\nstopping (Ctrl-C again to hurry)" } else { "\nstopping the rest" });
    let hurry = std::cell::Cell::new(false);
    let stopping = supervisor.stop(|| hurry.get());
    tokio::pin!(stopping);
    let killed = loop {
        tokio::select! {
            killed = &mut stopping => break killed,
            () = interruption.again(), if !hurry.get() => hurry.set(true),
        }
    };
    if killed.is_empty() {
        note("stopped; the data stays for the next start");
    } else {
        note(&format!("stopped; had to kill {}", killed.join(", ")));
    }
}

/// Ctrl-C, SIGTERM, or the end of the process that we belong to.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    parent: Option<Identity>,
}

impl Interruption {
    fn new(parent: Option<Identity>) -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            parent,
        })
    }

    async fn wait(&mut self) {
        let parent = self.parent;
        tokio::select! {
            () = self.again() => {}
            () = ended(parent) => {}
        }
    }

    async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

async fn ended(process: Option<Identity>) {
    let Some(process) = process else { return std::future::pending().await };
    while process.is_alive() {
        tokio::time::sleep(WATCH_EVERY).await;
    }
}
