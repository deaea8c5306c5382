//! `cargo kura`: the runner. It builds Kura, makes everything that Kura needs on one machine, runs it, tests it, and
//! records its SQL.
//!
//! Purpose: one command between a clone and a running gateway. Development only; production has `deploy/`.
//! What may enter: the workspace's own programs and scripts, PostgreSQL's and Debian's.
//! What may leave: addresses and test keys, to the person who started it; secrets only to files of mode 0600.
//! What never does: anything to another machine, besides package downloads that are said aloud.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// All heap that this process frees is wiped first: cards that are imported pass through buffers of libraries too.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

mod bench;
mod certificates;
mod check;
mod custodians;
mod developer;
mod fuzz;
mod install;
mod invite;
mod ledger;
mod ports;
mod postgres;
mod processes;
mod scale;
mod services;
mod settings;
mod sql;
mod state;
mod terminal;
mod tools;
mod up;
mod vault;
mod workspace;

/// Kura, a hardened tokenized payment gateway: run it, test it, take it apart.
#[derive(Debug, Parser)]
#[command(name = "cargo kura", bin_name = "cargo kura", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and run everything on this machine, with sample data; Ctrl-C stops it all.
    Up(up::Arguments),
    /// Make a link with which one more person becomes an admin of the Kura that is running.
    Invite(invite::Arguments),
    /// Run everything that CI runs.
    Test(check::Arguments),
    /// Measure the card path beside pgbench on the same cluster.
    Bench(bench::Arguments),
    /// Feed the readers that meet strangers' bytes with ever stranger ones, under coverage.
    Fuzz(fuzz::Arguments),
    /// Import cards, rotate all keys under load and count what was lost, at any scale.
    Scale(scale::Arguments),
    /// Run the vault from the management network: its state, keys, imports, erasure.
    Vault(vault::Arguments),
    /// Export the vault's access ledger, verify an export offline, find what was opened.
    Ledger(ledger::Arguments),
    /// Measure the access ledger at the breach's own scale: export, verification, scope.
    ScaleLedger(ledger::scale::Arguments),
    /// Record what the services' SQL statements look like to the database, after a change to one (.sqlx/).
    Sql(sql::Arguments),
    #[command(flatten)]
    Developer(developer::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One thread: children are started by it alone, and a child's "my parent died" signal is bound to the thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match arguments.command {
                Command::Up(arguments) => up::run(arguments).await,
                Command::Invite(arguments) => invite::run(arguments).await,
                Command::Test(arguments) => check::run(arguments).await,
                Command::Bench(arguments) => bench::run(arguments).await,
                Command::Fuzz(arguments) => fuzz::run(arguments).await,
                Command::Scale(arguments) => scale::run(arguments),
                Command::Vault(arguments) => vault::run(arguments).await,
                Command::Ledger(arguments) => ledger::run(arguments).await,
                Command::ScaleLedger(arguments) => ledger::scale::run(arguments).await,
                Command::Sql(arguments) => sql::run(arguments).await,
                Command::Developer(command) => developer::run(command, Arguments::command()).await,
            }
        })
    });
    outcome.unwrap_or_else(|error| {
        terminal::failure(&error);
        ExitCode::FAILURE
    })
}
