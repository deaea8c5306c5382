//! `cargo kura vault …`: the vault's operators, from a terminal on the management network.
//!
//! It speaks to the vault's control plane with the console's certificate. Answers go to standard output (`--json` for
//! programs), the rest to standard error. What destroys is a dry run unless `--execute` is given.

mod control;
mod custodian_key;
mod init;
mod reshare;
mod seal;
mod share;
mod shares;
mod status;
mod unseal;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use control::Control;
pub(crate) use shares::enter;

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
    CustodianKey(custodian_key::Arguments),
    Share(share::Arguments),
    Init(init::Arguments),
    Unseal(unseal::Arguments),
    Seal(seal::Arguments),
    Reshare(reshare::Arguments),
}

/// Does one thing.
///
/// # Errors
/// When the vault can't be reached, or refuses.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let control = || Control::of(arguments.state.as_deref(), arguments.json);
    match &arguments.command {
        Command::Status => status::run(&control()?).await,
        Command::CustodianKey(of) => custodian_key::run(of, arguments.json),
        Command::Share(of) => share::run(of),
        Command::Init(of) => init::run(&control()?, of).await,
        Command::Unseal(of) => unseal::run(&control()?, of).await,
        Command::Seal(of) => seal::run(&control()?, of).await,
        Command::Reshare(of) => reshare::run(&control()?, of).await,
    }
}
