//! `cargo kura scale`: the breach's own numbers, as a program of the tests' crate, which alone may look into the vault.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace;

/// Import cards, rotate all keys under load and count what was lost, at any scale.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many cards
    #[arg(long, default_value_t = 2_415_750)]
    cards: u32,
    /// How many of their tokens are charged
    #[arg(long, default_value_t = 10_000)]
    sample: u32,
    /// Print JSON on standard output, and the table on standard error
    #[arg(long)]
    json: bool,
    /// Run what was built before
    #[arg(long)]
    no_build: bool,
}

/// Runs it to its end.
///
/// # Errors
/// When the programs can't be built or run.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = workspace::root()?;
    if !arguments.no_build {
        workspace::build(&root)?;
    }
    let mut scale = Command::new(workspace::built_programs()?.join("kura-scale"));
    scale.arg(arguments.cards.to_string()).arg(arguments.sample.to_string()).current_dir(&root);
    if arguments.json {
        scale.arg("--json");
    }
    let status = scale.env("KURA_NO_BUILD", "1").status().context("can't run kura-scale")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
