//! `cargo kura vault seal`

use std::process::ExitCode;

use anyhow::Result;
use kura_wire::custody::{CustodyStatus, PATH_CUSTODY, PATH_SEAL};

use super::control::Control;
use super::shares::text;
use crate::terminal::note;

/// Drop the vault's keys at once: no card is opened or sealed until it is unsealed again
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Do it; without this, only what it would do is said
    #[arg(long)]
    execute: bool,
}

/// Seals.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let before: CustodyStatus = control.get(PATH_CUSTODY, &()).await?;
    let again = if before.provider == "shamir" {
        "a threshold of the custodians enters their shares"
    } else {
        "it is started again"
    };
    if !arguments.execute {
        note(&format!(
            "  would seal node {}: payments by card fail from then on, until {again}. --execute does it",
            before.node
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let status: CustodyStatus = control.post(PATH_SEAL, &()).await?;
    note(&format!("  sealed, until {again}"));
    control.print(&status, text)?;
    Ok(ExitCode::SUCCESS)
}
