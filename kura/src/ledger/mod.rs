//! `cargo kura ledger …`: the access ledger, for those who must be able to say what was opened, and prove it.
//!
//! `export` and `scope` speak to the vault's control plane with the console's certificate, `witness` asks the console's own
//! program. `verify` needs no Kura at all: a file, and what was pinned elsewhere.

mod export;
pub(crate) mod scale;
mod scope;
mod verify;
mod witness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::vault::control::Control;
use crate::workspace;

/// Export the vault's access ledger, verify an export offline, find what was opened.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The running Kura's directory [default: .kura in the clone]
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the ledger's rows and checkpoints to a file, for verification elsewhere
    Export(export::Arguments),
    /// Write what the witness kept of the ledger to a file
    Witness(witness::Arguments),
    /// Verify an export, offline: 0 when it is intact, 2 when it was tampered with, 1 when it can't be read
    Verify(verify::Arguments),
    /// Say exactly which records were opened: by whom, when, by which requests
    Scope(scope::Arguments),
}

/// Does one thing.
///
/// # Errors
/// When the vault can't be reached or refuses, or a file can't be read or written.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let state = arguments.state.as_deref();
    match arguments.command {
        Command::Verify(command) => verify::run(&command, arguments.json),
        Command::Export(command) => export::run(&Control::of(state, arguments.json)?, &command).await,
        Command::Scope(command) => scope::run(&Control::of(state, arguments.json)?, &command).await,
        Command::Witness(command) => witness::run(&directory(state)?, &command, arguments.json).await,
    }
}

fn directory(state: Option<&Path>) -> Result<PathBuf> {
    match state {
        Some(directory) => Ok(directory.to_owned()),
        None => Ok(workspace::root()?.join(".kura")),
    }
}
