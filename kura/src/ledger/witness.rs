//! `cargo kura ledger witness`: what the console kept, by the console's own program: no zone but its own reads its database.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::services;
use crate::terminal::say;
use crate::tools::{clean_environment, output};
use crate::workspace;

/// Write what the witness kept of the ledger to a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The vault node
    #[arg(long, default_value_t = 0)]
    node: u16,
    /// The file; it must not exist yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Run the program in this directory
    #[arg(long, value_name = "DIR", env = "KURA_BIN_DIR")]
    bin_dir: Option<PathBuf>,
}

/// Exports.
pub(crate) async fn run(state: &Path, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let directory = match &arguments.bin_dir {
        Some(directory) => directory.clone(),
        None => workspace::built_programs()?,
    };
    let mut command = Command::new(directory.join(services::program("admin")));
    clean_environment(&mut command);
    command.arg("--config").arg(state.join("admin/admin.toml")).arg("export-witness");
    command.args(["--node", &arguments.node.to_string(), "--out"]).arg(&arguments.out);
    let printed = output("exporting what the witness kept", &mut command, None).await?;
    if json {
        say(printed.trim());
    } else {
        say(&format!("what the witness kept is in {}", arguments.out.display()));
    }
    Ok(ExitCode::SUCCESS)
}
