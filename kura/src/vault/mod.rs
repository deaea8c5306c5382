//! `cargo kura vault …`: the vault's operators, from a terminal on the management network.
//!
//! It speaks to the vault's control plane with the console's certificate. Answers go to standard output (`--json` for
//! programs), the rest to standard error. What destroys is a dry run unless `--execute` is given.

mod control;
mod import;
mod keys;
mod rotate;
mod rotation;
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
    /// List every key of the vault: what it is for, its state, age, uses and cryptoperiod. No key is shown.
    Keys,
    /// Rotate keys, online. A dry run unless --execute is given.
    Rotate(rotate::Arguments),
    /// Show the rotation that is under way, or the last one; change how fast it goes.
    Rotation(rotation::Arguments),
    /// Import cards: CSV on standard input, tokens on standard output.
    Import(import::Arguments),
}

/// Does one thing.
///
/// # Errors
/// When the vault can't be reached, or refuses.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let control = Control::of(arguments.state.as_deref(), arguments.json)?;
    match arguments.command {
        Command::Status => status::run(&control).await,
        Command::Keys => keys::run(&control).await,
        Command::Rotate(arguments) => rotate::run(&control, arguments).await,
        Command::Rotation(arguments) => rotation::run(&control, arguments).await,
        Command::Import(arguments) => import::run(control, arguments).await,
    }
}
