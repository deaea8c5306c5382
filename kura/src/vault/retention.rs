//! `cargo kura vault retention`

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};
use kura_wire::erasure::{PATH_RETENTION, RetentionChange, RetentionReport};

use super::control::Control;
use crate::terminal::note;

/// What is kept, and for how long.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Change a limit, such as card=730; the sweeper then erases what is past it. A dry run unless --execute is given
    #[arg(long, value_name = "RULE=DAYS", value_parser = change)]
    set: Option<RetentionChange>,
    /// Do it
    #[arg(long)]
    execute: bool,
}

fn change(text: &str) -> Result<RetentionChange> {
    let (rule, days) = text.split_once('=').context("write RULE=DAYS")?;
    Ok(RetentionChange { rule: rule.to_owned(), days: days.parse()? })
}

/// Shows the report; fails when something is overdue, or kept without a reason.
pub(super) async fn run(control: &Control, arguments: Arguments) -> Result<ExitCode> {
    let report: RetentionReport = match &arguments.set {
        Some(change) if arguments.execute => control.post(PATH_RETENTION, change).await?,
        _ => control.get(PATH_RETENTION, &()).await?,
    };
    control.print(&report, text)?;
    if let Some(change) = arguments.set.filter(|_| !arguments.execute) {
        note(&format!("a dry run: {} would be kept for {} days; add --execute", change.rule, change.days));
    }
    let well = report.held.iter().all(|held| held.overdue == 0)
        && report.security_code_columns.is_empty()
        && report.unexplained_columns.is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(report: &RetentionReport) -> String {
    let mut text = format!("retention at {}\n\nheld:", report.at);
    for held in &report.held {
        let _ = write!(
            text,
            "\n  {} of {}: {} records, oldest {}, limit {} days, {} overdue",
            held.rule, held.merchant, held.records, held.oldest_at, held.limit_days, held.overdue
        );
    }
    text.push_str("\n\nlast sweeps:");
    for sweep in &report.sweeps {
        let at = sweep.last_finished_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let _ = write!(text, "\n  {}: {at}, {} passes, {} records erased", sweep.table, sweep.passes, sweep.erased);
    }
    text.push_str("\n\nerased so far:");
    for erased in &report.erased {
        let (rule, merchant) = (&erased.rule, erased.merchant);
        let _ = write!(text, "\n  {rule} of {merchant}: {} records, {} keys", erased.records, erased.keys);
    }
    text.push_str("\n\nwhere account and personal data is kept, and why:");
    for column in &report.columns {
        let _ = write!(text, "\n  {}: {}", column.column, column.why);
    }
    for column in &report.unexplained_columns {
        let _ = write!(text, "\n  {column}: NO REASON IS ON RECORD");
    }
    let codes = if report.security_code_columns.is_empty() { "none" } else { "SOME" };
    let _ = write!(
        text,
        "\n\ncolumns that could hold a security code: {codes} {}",
        report.security_code_columns.join(", ")
    );
    text
}
