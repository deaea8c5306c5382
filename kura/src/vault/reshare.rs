//! `cargo kura vault reshare`

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use kura_wire::custody::SharePurpose;

use super::control::Control;
use super::shares::{NewSet, ShareSource, enter, make_set, text};
use crate::terminal::note;

/// Replace the custodians, or their shares: new shares of a new key; the old ones then open nothing
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Make the new set; the present one stays in force until both have entered their shares
    Begin(NewSet),
    /// Enter a share of the present set or of the new one
    Enter(ShareSource),
}

/// One step of it.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.step {
        Step::Begin(set) => {
            make_set(control, set).await?;
            note("  now a threshold of the present custodians and one of the new enter their shares:");
            note("      cargo kura vault reshare enter");
        }
        Step::Enter(source) => {
            let share = source.read()?;
            let status = enter(control, &share, SharePurpose::Reshare).await?;
            control.print(&status, text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
