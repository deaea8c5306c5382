//! `kura completion SHELL`.

use std::process::ExitCode;

use clap_complete::Shell;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which
    shell: Shell,
}

/// Prints it: `source <(kura completion bash)`.
pub(super) fn run(arguments: &Arguments, mut program: clap::Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "kura", &mut script);
    // A closed pipe is the reader's own decision.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    ExitCode::SUCCESS
}
