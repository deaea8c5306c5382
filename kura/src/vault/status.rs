//! `cargo kura vault status`

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use kura_wire::control::{PATH_STATUS, ServiceStatus};

use super::control::Control;

/// Shows how the vault does; fails when a check does.
pub(super) async fn run(control: &Control) -> Result<ExitCode> {
    let status: ServiceStatus = control.get(PATH_STATUS, &()).await?;
    control.print(&status, text)?;
    let well = status.ready && status.checks.iter().all(|(_, holds)| *holds);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(status: &ServiceStatus) -> String {
    let mut text = format!("vault {}, up since {}", status.version, status.started_at);
    for (check, holds) in &status.checks {
        let _ = write!(text, "\n  {} {check}", if *holds { "yes" } else { "NO " });
    }
    text
}
