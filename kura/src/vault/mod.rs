//! `cargo kura vault …`: the vault's operators, from a terminal on the management network.
//!
//! It speaks to the vault's control plane with the console's certificate. Answers go to standard output (`--json` for
//! programs), the rest to standard error. What destroys is a dry run unless `--execute` is given.

mod account_update;
mod alerts;
mod canary;
pub(crate) mod control;
mod custodian_key;
mod erase;
mod erasures;
mod freezes;
mod import;
mod init;
mod keys;
mod reshare;
mod retention;
mod rotate;
mod rotation;
mod seal;
mod sealer;
mod share;
mod shares;
mod status;
mod unseal;
mod watchlist;

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
    /// Show what the vault wants somebody to look at, newest first.
    Alerts(alerts::Arguments),
    /// Show what peers may not do any more.
    Freezes(freezes::Arguments),
    /// Let a peer do it again.
    Release(freezes::ReleaseArguments),
    /// Records that nobody has a reason to use: their first use stops the thief.
    Canary(canary::Arguments),
    /// Replace cards under their tokens: CSV on standard input with the columns token, number, exp_month, exp_year
    AccountUpdate(account_update::Arguments),
    /// The watchlist of exposed cards
    #[command(subcommand)]
    Watchlist(watchlist::Command),
    /// Erase a record, a merchant, or what is older than so many days; a dry run unless --execute is given
    #[command(subcommand)]
    Erase(erase::Command),
    /// All erasures, each proof checked against the vault's identity
    Erasures,
    /// What is kept, why, for how long, and that nothing is overdue (PCI DSS 3.2.1)
    Retention(retention::Arguments),
    /// List every key of the vault: what it is for, its state, age, uses and cryptoperiod. No key is shown.
    Keys,
    /// Rotate keys, online. A dry run unless --execute is given.
    Rotate(rotate::Arguments),
    /// Show the rotation that is under way, or the last one; change how fast it goes.
    Rotation(rotation::Arguments),
    /// Import cards: CSV on standard input, tokens on standard output.
    Import(import::Arguments),
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
    match arguments.command {
        Command::Status => status::run(&control()?).await,
        Command::Alerts(of) => alerts::run(&control()?, &of).await,
        Command::Freezes(of) => freezes::run(&control()?, &of).await,
        Command::Release(of) => freezes::release(&control()?, &of).await,
        Command::Canary(of) => canary::run(&control()?, &of).await,
        Command::AccountUpdate(of) => account_update::run(&control()?, of).await,
        Command::Watchlist(command) => watchlist::run(&control()?, command).await,
        Command::Erase(command) => erase::run(&control()?, command).await,
        Command::Erasures => erasures::run(&control()?).await,
        Command::Retention(of) => retention::run(&control()?, of).await,
        Command::Keys => keys::run(&control()?).await,
        Command::Rotate(of) => rotate::run(&control()?, of).await,
        Command::Rotation(of) => rotation::run(&control()?, of).await,
        Command::Import(of) => import::run(control()?, of).await,
        Command::CustodianKey(of) => custodian_key::run(&of, arguments.json),
        Command::Share(of) => share::run(&of),
        Command::Init(of) => init::run(&control()?, &of).await,
        Command::Unseal(of) => unseal::run(&control()?, &of).await,
        Command::Seal(of) => seal::run(&control()?, &of).await,
        Command::Reshare(of) => reshare::run(&control()?, &of).await,
    }
}
