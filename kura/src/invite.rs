//! `cargo kura invite EMAIL`: one more admin.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::state::run_file;
use crate::terminal::{Style, say};
use crate::tools::{clean_environment, output};
use crate::up::{Invitation, last_json};
use crate::{services, workspace};

/// Make a link with which one more person becomes an admin of the Kura that is running.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whom it is for
    email: String,
    /// The person's name [default: the address up to the @]
    #[arg(long)]
    name: Option<String>,
    /// The running Kura's directory [default: .kura in the clone]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where the programs are
    #[arg(long, value_name = "DIR", env = "KURA_BIN_DIR")]
    bin_dir: Option<PathBuf>,
}

/// Asks the console's own program for a link.
///
/// # Errors
/// When nothing runs on that state, or the console refuses.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let state = match arguments.state {
        Some(directory) => directory,
        None => workspace::root()?.join(".kura"),
    };
    if !run_file(&state).is_file() {
        bail!("Kura does not run on {}; start it with `cargo kura up`", state.display());
    }
    let binaries = arguments.bin_dir.map_or_else(workspace::built_programs, Ok)?;
    let name = arguments.name.or_else(|| arguments.email.split('@').next().map(str::to_owned)).unwrap_or_default();
    let mut invite = Command::new(binaries.join(services::program("admin")));
    clean_environment(&mut invite);
    invite.arg("--config").arg(state.join("admin/admin.toml")).args([
        "invite",
        "--email",
        &arguments.email,
        "--name",
        &name,
    ]);
    let printed = output("inviting", &mut invite, None).await?;
    let Some(invitation) = last_json::<Invitation>(&printed) else { bail!("the console printed no link") };
    let style = Style::stdout();
    say(&format!("  {}  {}", style.link(&invitation.enrolment), style.dim("works once, within 24 hours")));
    Ok(ExitCode::SUCCESS)
}
