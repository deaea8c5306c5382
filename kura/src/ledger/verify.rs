//! `cargo kura ledger verify`: offline; a file, and what was pinned elsewhere.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use kura_ledger::note::PublicIdentity;
use kura_ledger::verify::{Expected, Report, verify};
use kura_ledger::witnessed::Witnessed;
use serde_json::json;

use crate::terminal::{note, say};

/// Tampered with.
const TAMPERED: u8 = 2;

/// Verify an export, offline.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What `ledger export` wrote
    file: PathBuf,
    /// What `ledger witness` wrote: also finds a history that was rewritten with the vault's own key
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
    /// The vault's identity as browsers have it pinned (65 bytes, base64url)
    #[arg(long, value_name = "KEY")]
    identity: Option<String>,
}

/// Verifies.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let identity = match &arguments.identity {
        Some(text) => Some(PublicIdentity::parse(text).context("--identity is no public key (65 bytes, base64url)")?),
        None => None,
    };
    let witness = match &arguments.witness {
        Some(path) => Some(Witnessed::read(open(path)?).with_context(|| path.display().to_string())?),
        None => None,
    };
    let expected = Expected { identity, witness };
    let report = verify(open(&arguments.file)?, &expected).with_context(|| arguments.file.display().to_string())?;
    if json {
        say(&serde_json::to_string_pretty(&as_json(&report))?);
    } else {
        print(&report, expected.witness.is_some());
    }
    Ok(if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::from(TAMPERED) })
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

fn as_json(report: &Report) -> serde_json::Value {
    json!({
        "origin": report.origin,
        "intact": report.is_intact(),
        "first_row": report.base + 1,
        "rows": report.rows,
        "checkpoints": report.checkpoints,
        "witnessed": report.witnessed,
        "witnessed_before": report.witnessed_before,
        "root": report.root.map(|root| root.to_string()),
        "identity_was_pinned": report.identity_was_pinned,
        "findings": report.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "more_findings": report.more_findings,
    })
}

fn print(report: &Report, with_witness: bool) {
    let from = if report.base > 0 { format!(" from row {} on", report.base + 1) } else { String::new() };
    say(&format!("{}: {} rows{from}, {} checkpoints that hold", report.origin, report.rows, report.checkpoints));
    if with_witness {
        say(&format!("  {} checkpoints of the witness agree", report.witnessed));
    }
    if report.witnessed_before > 0 {
        note(&format!("  {} older ones are about rows that this export leaves out", report.witnessed_before));
    }
    if !report.identity_was_pinned {
        note("  the vault's identity was taken from the export itself; pin it with --identity or --witness");
    }
    for finding in &report.findings {
        say(&format!("  {finding}"));
    }
    if report.more_findings > 0 {
        say(&format!("  and {} more", report.more_findings));
    }
    say(if report.is_intact() { "intact" } else { "TAMPERED WITH" });
}
