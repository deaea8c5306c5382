//! `cargo kura vault status`

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use kura_wire::control::{PATH_STATUS, ServiceStatus};
use kura_wire::custody::{CustodyStatus, PATH_CUSTODY};
use serde::Serialize;

use super::control::Control;
use super::shares;

/// What is told.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    service: ServiceStatus,
    custody: CustodyStatus,
}

/// Shows how the vault does; fails when a check does.
pub(super) async fn run(control: &Control) -> Result<ExitCode> {
    let service: ServiceStatus = control.get(PATH_STATUS, &()).await?;
    let custody: CustodyStatus = control.get(PATH_CUSTODY, &()).await?;
    let well = service.ready && service.checks.iter().all(|(_, holds)| *holds);
    let identity = shares::fingerprint(control.vault_identity());
    control.print(&Status { service, custody }, |status| format!("{}\nidentity: {identity}…", text(status)))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(status: &Status) -> String {
    let mut text = format!("vault {}, up since {}", status.service.version, status.service.started_at);
    for (check, holds) in &status.service.checks {
        let _ = write!(text, "\n  {} {check}", if *holds { "yes" } else { "NO " });
    }
    let _ = write!(text, "\n{}", shares::text(&status.custody));
    text
}
