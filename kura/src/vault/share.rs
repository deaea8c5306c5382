//! `cargo kura vault share`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use kura_custody::custodian_key::CustodianKey;
use kura_wire::custody::SealedShare;

use super::shares::read_private;
use crate::state::write_private;
use crate::terminal::{note, say};

/// Open the share that was sealed to a custodian, on the custodian's own machine
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The custodian's key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The sealed share
    #[arg(long, value_name = "FILE")]
    sealed: PathBuf,
    /// Write the share's text there instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Opens it; prints or writes its text form.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let key = CustodianKey::parse(&read_private(&arguments.key)?)?;
    let sealed =
        std::fs::read(&arguments.sealed).with_context(|| format!("can't read {}", arguments.sealed.display()))?;
    let sealed: SealedShare = serde_json::from_slice(&sealed).context("that file holds no sealed share")?;
    let share = key.open(&sealed)?;
    note(&format!(
        "  share {} of {}: any {} of its custodians' shares open the vault. Keep it where nobody else can read it, never beside another.",
        share.index(),
        share.set(),
        share.threshold()
    ));
    match &arguments.out {
        Some(file) => write_private(file, share.reveal_as_text().as_bytes())?,
        None => say(&share.reveal_as_text()),
    }
    Ok(ExitCode::SUCCESS)
}
