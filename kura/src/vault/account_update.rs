//! `cargo kura vault account-update < updates.csv`

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use kura_wire::exposed::{AccountUpdates, BatchDone, MAX_BATCH_LINES, PATH_ACCOUNT_UPDATES, RefusedLine};
use kura_wire::operator_box::PURPOSE_ACCOUNT_UPDATE;
use kura_wire::vault::VaultErrorCode;
use serde::Serialize;
use zeroize::Zeroizing;

use super::control::Control;
use super::sealer::{Sealer, add, text};

const COLUMNS: [&str; 4] = ["token", "number", "exp_month", "exp_year"];

/// Replace cards under their tokens.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file's name, for the history
    #[arg(long, default_value = "stdin")]
    source: String,
}

#[derive(Serialize)]
struct Line {
    line: u64,
    token: String,
    number: Zeroizing<String>,
    exp_month: u8,
    exp_year: u16,
}

/// Seals the lines in batches, and tells what became of each that was refused.
pub(super) async fn run(control: &Control, arguments: Arguments) -> Result<ExitCode> {
    let mut sealer = Sealer::new(control, PURPOSE_ACCOUNT_UPDATE, arguments.source)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(std::io::stdin());
    ensure!(reader.headers()?.iter().eq(COLUMNS), "the first line must be {}", COLUMNS.join(","));
    let mut sum = BatchDone::default();
    let mut batch = Vec::with_capacity(MAX_BATCH_LINES);
    for record in reader.records() {
        let record = record.ok().context("a line is not UTF-8")?;
        match read(&record) {
            Ok(line) => batch.push(line),
            Err(refused) => sum.refused.push(refused),
        }
        if batch.len() == MAX_BATCH_LINES {
            send(control, &mut sealer, &mut batch, &mut sum).await?;
        }
    }
    send(control, &mut sealer, &mut batch, &mut sum).await?;
    control.print(&sum, text)?;
    Ok(if sum.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(record: &csv::StringRecord) -> Result<Line, RefusedLine> {
    let line = record.position().map_or(0, csv::Position::line);
    let refused = |code| RefusedLine { line, code };
    let column = |place| record.get(place).ok_or(refused(VaultErrorCode::Malformed));
    Ok(Line {
        line,
        token: column(0)?.to_owned(),
        number: Zeroizing::new(column(1)?.to_owned()),
        exp_month: column(2)?.parse().map_err(|_| refused(VaultErrorCode::ExpiryMonthInvalid))?,
        exp_year: column(3)?.parse().map_err(|_| refused(VaultErrorCode::ExpiryYearInvalid))?,
    })
}

async fn send(control: &Control, sealer: &mut Sealer<'_>, batch: &mut Vec<Line>, sum: &mut BatchDone) -> Result<()> {
    if !batch.is_empty() {
        let sealed = sealer.seal(batch).await?;
        batch.clear();
        let request = AccountUpdates { source: sealer.subject().to_owned(), sealed };
        add(sum, control.post(PATH_ACCOUNT_UPDATES, &request).await?);
    }
    Ok(())
}
