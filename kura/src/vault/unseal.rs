//! `cargo kura vault unseal`

use std::process::ExitCode;

use anyhow::Result;
use kura_wire::custody::SharePurpose;

use super::control::Control;
use super::shares::{ShareSource, enter, text};

/// Enter one custodian's share; with the last one that is needed, the vault is unsealed
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: ShareSource,
}

/// Enters a share.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let share = arguments.source.read()?;
    let status = enter(control, &share, SharePurpose::Unseal).await?;
    control.print(&status, text)?;
    Ok(ExitCode::SUCCESS)
}
