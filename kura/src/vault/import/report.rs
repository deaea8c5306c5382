//! What the operator gets: tokens on standard output, refused rows on standard error and in a file, and how far it is.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kura_wire::import::{Import, ImportedBatch};
use kura_wire::vault::VaultErrorCode;

use super::rows::{BadRow, Batch};
use crate::terminal::{note, spoken};

/// Refused rows that are told on standard error; the file has all of them.
const TOLD: u64 = 100;

/// Writes as batches are answered.
pub(super) struct Report {
    tokens: csv::Writer<std::io::Stdout>,
    rejects: Option<csv::Writer<File>>,
    bar: ProgressBar,
    began: Instant,
    taken: u64,
    refused: u64,
}

impl Report {
    /// Opens the file of refused rows, emptied, for its owner alone.
    pub(super) fn new(rejects: Option<&Path>) -> Result<Self> {
        let rejects = match rejects {
            Some(path) => {
                let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
                let file = file.with_context(|| format!("can't write {}", path.display()))?;
                let mut writer = csv::Writer::from_writer(file);
                writer.write_record(["line", "reference", "code"])?;
                Some(writer)
            }
            None => None,
        };
        let mut tokens = csv::Writer::from_writer(std::io::stdout());
        tokens.write_record(["reference", "token"])?;
        Ok(Self { tokens, rejects, bar: progress_bar()?, began: Instant::now(), taken: 0, refused: 0 })
    }

    /// A batch was answered: its tokens are durable.
    pub(super) fn batch(&mut self, batch: &Batch, answer: &ImportedBatch) -> Result<()> {
        let codes: HashMap<u32, VaultErrorCode> = answer.refused.iter().map(|row| (row.row, row.code)).collect();
        let mut tokens = answer.tokens.iter();
        for sent in &batch.sent {
            match codes.get(&sent.row) {
                Some(code) => {
                    self.refuse(&BadRow { line: sent.line, reference: sent.reference.clone(), code: word(*code) })?;
                }
                None => {
                    let token = tokens.next().context("the vault answered fewer tokens than rows")?;
                    self.tokens.write_record([&sent.reference, &token.to_string()])?;
                    self.taken += 1;
                }
            }
        }
        ensure!(tokens.next().is_none(), "the vault answered more tokens than rows");
        for bad in &batch.bad {
            self.refuse(bad)?;
        }
        self.flush()?;
        self.bar.set_position(batch.read);
        self.bar.set_message(format!("{} cards, {} refused", HumanCount(self.taken), HumanCount(self.refused)));
        Ok(())
    }

    fn refuse(&mut self, bad: &BadRow) -> Result<()> {
        self.refused += 1;
        if self.refused <= TOLD {
            self.bar.suspend(|| note(&format!("line {}: {}", bad.line, bad.code)));
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.write_record([&bad.line.to_string(), &bad.reference, &bad.code])?;
        }
        Ok(())
    }

    /// What was written is where it should be.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.tokens.flush().context("standard output is closed or full; go on with --resume")?;
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        Ok(())
    }

    /// Sums up; fails when a row was refused, or when the vault counts otherwise than we do.
    pub(super) fn finish(mut self, import: &Import) -> Result<ExitCode> {
        self.flush()?;
        self.bar.finish_and_clear();
        if self.refused > TOLD {
            note(&format!("and {} more", HumanCount(self.refused - TOLD)));
        }
        let seconds = self.began.elapsed();
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // For people.
        let rate = (self.taken as f64 / seconds.as_secs_f64()) as u64;
        note(&format!(
            "{} cards imported in {} ({} in a second), {} rows refused",
            HumanCount(self.taken),
            spoken(seconds),
            HumanCount(rate),
            HumanCount(self.refused)
        ));
        ensure!(u64::try_from(import.cards) == Ok(self.taken), "the vault counts {} cards", import.cards);
        std::io::stdout().flush()?;
        Ok(if self.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn progress_bar() -> Result<ProgressBar> {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    // A file's length is known; a pipe's is not.
    let len = std::fs::metadata("/dev/stdin").ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let bar = ProgressBar::with_draw_target(len, target);
    let template = match len {
        Some(_) => "  {bar:40.cyan} {percent}%  {eta} left  {wide_msg:.dim}",
        None => "  {spinner:.cyan} {wide_msg:.dim}",
    };
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}

/// A code's word, as the interface spells it.
fn word(code: VaultErrorCode) -> String {
    serde_json::to_value(code).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
