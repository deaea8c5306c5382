//! The developer's command line: `listen`, `trigger`, `logs`, `resource`, `completion`. What merchants' programmers do against a
//! gateway, theirs or a Kura on their own machine.
//!
//! It knows no more than the API: a key, and `/openapi.json`. Keys come from the environment or standard input, never from the
//! command line, which everybody on the machine can read. Data goes to standard output and everything else to standard error.
//! It sends nothing to anybody but the gateway that is named, and, forwarding, the address that is named.

mod client;
mod completion;
mod failure;
mod listen;
mod logs;
mod openapi;
mod resource;
mod sse;
mod trigger;
mod triggers;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::terminal::note;
use client::Connection;
use failure::Failure;

/// What failures end with, for `--help`.
const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  something else went wrong
   2  the command line can't be meant
   3  no key, or one that may not do this (401, 403)
   4  no such object (404)
   5  the request can't be done as it stands (other 4xx)
   6  the card was refused (402)
   7  too much at once (429)
   8  the gateway failed (5xx)
   9  the gateway can't be reached

The key is in KURA_API_KEY, or the first line of standard input with --key-stdin.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forward events to a server on this machine as they happen, signed as webhooks are
    #[command(after_help = EXIT_CODES)]
    Listen(listen::Arguments),
    /// Make an event happen, with the calls that lead to it
    #[command(after_help = EXIT_CODES)]
    Trigger(trigger::Arguments),
    /// Your requests to the API
    #[command(after_help = EXIT_CODES)]
    Logs(logs::Arguments),
    /// Any operation of the API: `resource customers create -d name=…`
    #[command(after_help = EXIT_CODES)]
    Resource(resource::Arguments),
    /// Print a completion script for a shell
    Completion(completion::Arguments),
}

/// Runs it. Its failures have exit codes of their own.
///
/// # Errors
/// Never; the runner's other commands have.
pub(crate) async fn run(command: Command, program: clap::Command) -> Result<ExitCode> {
    Ok(match command {
        Command::Listen(arguments) => finish(listen::run(arguments)).await,
        Command::Trigger(arguments) => finish(trigger::run(arguments)).await,
        Command::Logs(arguments) => finish(logs::run(arguments)).await,
        Command::Resource(arguments) => finish(resource::run(arguments)).await,
        Command::Completion(arguments) => completion::run(&arguments, program),
    })
}

/// Ctrl-C is how a person ends what would go on for ever, so it is a good end.
async fn finish(work: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let outcome = tokio::select! {
        outcome = work => outcome,
        _ = kura_platform::shutdown_signal() => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(&format!("error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}
