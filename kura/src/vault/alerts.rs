//! `cargo kura vault alerts`

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use kura_wire::guard::{Alert, AlertQuery, PATH_ALERTS};

use super::control::Control;

/// Show what the vault wants somebody to look at, newest first.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// So many at the most
    #[arg(long, default_value_t = 100)]
    limit: u16,
}

/// Shows them.
pub(super) async fn run(control: &Control, arguments: &Arguments) -> Result<ExitCode> {
    let query = AlertQuery { limit: Some(arguments.limit), after: None };
    let alerts: Vec<Alert> = control.get(PATH_ALERTS, &query).await?;
    control.print(&alerts, |alerts| text(alerts))?;
    Ok(ExitCode::SUCCESS)
}

fn text(alerts: &[Alert]) -> String {
    if alerts.is_empty() {
        return "no alerts".to_owned();
    }
    let mut text = String::new();
    for alert in alerts {
        let _ = write!(text, "{}{}  {}  {}", if text.is_empty() { "" } else { "\n" }, alert.id, alert.at, alert.kind);
        let said = |text: &mut String, name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(text, "  {name} {value}");
            }
        };
        said(&mut text, "peer", alert.peer.clone());
        said(&mut text, "purpose", alert.purpose.clone());
        said(&mut text, "merchant", alert.merchant.map(|id| id.to_string()));
        said(&mut text, "record", alert.record.clone());
        said(&mut text, "request", alert.request_id.map(|id| id.to_string()));
    }
    text
}
