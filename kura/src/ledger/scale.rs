//! `cargo kura scale-ledger`: the scale program of the tests, on what was built.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace;

/// Measure the access ledger at the breach's own scale.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Rows to make
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Run what was built before
    #[arg(long)]
    no_build: bool,
}

/// Runs it to its end.
///
/// # Errors
/// When it can't be run; what it measured and missed is its exit code.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = workspace::root()?;
    if !arguments.no_build {
        workspace::build(&root)?;
    }
    let mut scale = tokio::process::Command::new(workspace::built_programs()?.join("kura-ledger-scale"));
    scale.current_dir(&root).args(["--rows", &arguments.rows.to_string()]).env("KURA_NO_BUILD", "1");
    if arguments.json {
        scale.arg("--json");
    }
    let status = scale.status().await.context("can't run kura-ledger-scale")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
