//! `cargo kura vault freezes` and `cargo kura vault release`

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use kura_wire::guard::{Freeze, FreezeQuery, PATH_FREEZES, PATH_RELEASE, Release};

use super::control::Control;
use crate::terminal::note;

/// Show what peers may not do any more.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Those that were released too
    #[arg(long)]
    all: bool,
}

/// Let a peer do it again. What its budget has counted is forgiven.
#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArguments {
    /// The freeze's number
    id: i64,
    /// Why; it stays on record
    #[arg(long)]
    reason: String,
    /// Who asks for it
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
    /// Do it; without this it is only shown
    #[arg(long)]
    execute: bool,
}

/// Shows them.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let freezes: Vec<Freeze> = control.get(PATH_FREEZES, &FreezeQuery { all: arguments.all }).await?;
    control.print(&freezes, |freezes| text(freezes))?;
    Ok(ExitCode::SUCCESS)
}

/// Releases one.
pub(super) async fn release(control: &Control, arguments: &ReleaseArguments) -> Result<ExitCode> {
    if !arguments.execute {
        let freezes: Vec<Freeze> = control.get(PATH_FREEZES, &FreezeQuery { all: false }).await?;
        let freeze = freezes.into_iter().find(|freeze| freeze.id == arguments.id);
        let freeze = freeze.with_context(|| format!("no freeze {} is in force", arguments.id))?;
        note("dry run; with --execute this would be released:");
        control.print(&freeze, |freeze| text(std::slice::from_ref(freeze)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let request = Release { id: arguments.id, by: arguments.by.clone(), reason: arguments.reason.clone() };
    let freeze: Freeze = control.post(PATH_RELEASE, &request).await?;
    control.print(&freeze, |freeze| text(std::slice::from_ref(freeze)))?;
    Ok(ExitCode::SUCCESS)
}

fn text(freezes: &[Freeze]) -> String {
    if freezes.is_empty() {
        return "nothing is frozen".to_owned();
    }
    let mut text = String::new();
    for freeze in freezes {
        let lead = if text.is_empty() { "" } else { "\n" };
        let Freeze { id, peer, purpose, reason, node, frozen_at, .. } = freeze;
        let _ = write!(text, "{lead}{id}  {frozen_at}  {peer} may not {purpose}: {reason} (node {node})");
        if let (Some(at), Some(by), Some(why)) = (freeze.released_at, &freeze.released_by, &freeze.release_reason) {
            let _ = write!(text, "; released {at} by {by}: {why}");
        }
    }
    text
}
