//! `cargo kura vault watchlist add | list | remove`

use std::io::BufRead;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use kura_wire::exposed::{
    BatchDone, MAX_BATCH_LINES, PATH_WATCHLIST, PATH_WATCHLIST_REMOVE, WatchlistAdd, WatchlistRemove, WatchlistRemoved,
    WatchlistSource,
};
use kura_wire::operator_box::PURPOSE_WATCHLIST;
use serde::Serialize;
use zeroize::Zeroizing;

use super::control::Control;
use super::sealer::{Sealer, add, text};

/// What to do with it.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put cards on it: numbers on standard input, one a line
    Add {
        /// Who says that they are exposed
        #[arg(long)]
        source: String,
    },
    /// Show its sources
    List,
    /// Take a source off it; a dry run unless --execute is given
    Remove {
        /// Which
        #[arg(long)]
        source: String,
        /// Do it
        #[arg(long)]
        execute: bool,
    },
}

#[derive(Serialize)]
struct Line {
    line: u64,
    number: Zeroizing<String>,
}

/// Does it.
pub(super) async fn run(control: &Control, command: Command) -> Result<ExitCode> {
    match command {
        Command::Add { source } => add_all(control, source).await,
        Command::List => list(control).await,
        Command::Remove { source, execute } => {
            let removed: WatchlistRemoved =
                control.post(PATH_WATCHLIST_REMOVE, &WatchlistRemove { source, execute }).await?;
            control.print(&removed, |removed| {
                let would = if execute { "taken off" } else { "would be taken off (dry run; add --execute)" };
                format!("{} cards {would}", removed.cards)
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn add_all(control: &Control, source: String) -> Result<ExitCode> {
    let mut sealer = Sealer::new(control, PURPOSE_WATCHLIST, source)?;
    let mut sum = BatchDone::default();
    let mut batch = Vec::with_capacity(MAX_BATCH_LINES);
    for (line, text) in (1..).zip(std::io::stdin().lock().lines()) {
        let text = Zeroizing::new(text.context("a line is not UTF-8")?);
        if !text.trim().is_empty() {
            batch.push(Line { line, number: Zeroizing::new(text.trim().to_owned()) });
        }
        if batch.len() == MAX_BATCH_LINES {
            send(control, &mut sealer, &mut batch, &mut sum).await?;
        }
    }
    send(control, &mut sealer, &mut batch, &mut sum).await?;
    control.print(&sum, text)?;
    Ok(if sum.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn send(control: &Control, sealer: &mut Sealer<'_>, batch: &mut Vec<Line>, sum: &mut BatchDone) -> Result<()> {
    if !batch.is_empty() {
        let sealed = sealer.seal(batch).await?;
        batch.clear();
        let request = WatchlistAdd { source: sealer.subject().to_owned(), sealed };
        add(sum, control.post(PATH_WATCHLIST, &request).await?);
    }
    Ok(())
}

async fn list(control: &Control) -> Result<ExitCode> {
    let sources: Vec<WatchlistSource> = control.get(PATH_WATCHLIST, &()).await?;
    control.print(&sources, |sources| {
        let line = |source: &WatchlistSource| {
            format!(
                "{}: {} cards, {} flagged uses, last added {}",
                source.source, source.cards, source.uses, source.last_added_at
            )
        };
        if sources.is_empty() {
            "no sources".to_owned()
        } else {
            sources.iter().map(line).collect::<Vec<_>>().join("\n")
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
