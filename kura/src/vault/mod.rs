//! `cargo kura vault …`: the vault's operators, from a terminal on the management network.
//!
//! It speaks to the vault's control plane with the console's certificate. Answers go to standard output (`--json` for
//! programs), the rest to standard error. What destroys is a dry run unless `--execute` is given.

mod alerts;
mod canary;
mod control;
mod freezes;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use control::Control;

/// Run the vault from the management network: its state, keys, imports, erasure.
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
    /// Show how the vault does.
    Status,
    /// Show what the vault wants somebody to look at, newest first.
    Alerts(alerts::Arguments),
    /// Show what peers may not do any more.
    Freezes(freezes::Arguments),
    /// Let a peer do it again.
    Release(freezes::ReleaseArguments),
    /// Records that nobody has a reason to use: their first use stops the thief.
    Canary(canary::Arguments),
}

/// Does one thing.
///
/// # Errors
/// When the vault can't be reached, or refuses.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let control = Control::of(arguments.state.as_deref(), arguments.json)?;
    match arguments.command {
        Command::Status => status::run(&control).await,
        Command::Alerts(arguments) => alerts::run(&control, &arguments).await,
        Command::Freezes(arguments) => freezes::run(&control, &arguments).await,
        Command::Release(arguments) => freezes::release(&control, &arguments).await,
        Command::Canary(arguments) => canary::run(&control, &arguments).await,
    }
}
