//! `cargo kura bench`: how fast the card path is, beside a yardstick of the same run.
//!
//! Closed-loop load over 64 connections on four paths, and `pgbench` inserting rows of a comparable shape into the same
//! cluster with the same settings (fsync and synchronous_commit on), before and after. The ratio between the two is what
//! can be compared between machines.

mod boxes;
mod door;
mod load;
mod measure;
mod pgbench;
mod report;
mod target;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::terminal::{note, say};
use crate::workspace;
use report::{Report, Row};
use target::Target;

/// Connections, each with one request at a time.
const CONNECTIONS: usize = 64;

/// Measure the card path beside pgbench on the same cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON on standard output, and the table on standard error
    #[arg(long)]
    json: bool,
    /// How long each path is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// Where the measured Kura keeps its data; it is deleted first [default: target/kura-bench]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Tokenize for so many minutes instead, and show the vault's memory as it goes
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
    /// Measure only these paths
    #[arg(long, value_enum, value_name = "PATH")]
    only: Vec<load::Path>,
    /// Run what was built before
    #[arg(long)]
    no_build: bool,
}

/// Starts a Kura of its own, measures, stops it.
///
/// # Errors
/// When it can't be started, or a request fails.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = workspace::root()?;
    if !arguments.no_build {
        workspace::build(&root)?;
    }
    let state = arguments.state.clone().unwrap_or_else(|| root.join("target/kura-bench"));
    let target = Target::start(&state).await?;
    let duration = Duration::from_secs(arguments.seconds.max(1));
    if let Some(minutes) = arguments.soak {
        soak(&target, duration, Duration::from_secs(minutes.saturating_mul(60))).await?;
        target.stop().await?;
        return Ok(ExitCode::SUCCESS);
    }

    note("  pgbench: one-row inserts …");
    let mut yardsticks = vec![pgbench::inserts_per_second(&target, duration)?];
    let mut rows = Vec::new();
    for path in load::Path::value_variants().iter().copied() {
        if !arguments.only.is_empty() && !arguments.only.contains(&path) {
            continue;
        }
        note(&format!("  {} …", path.name()));
        let prepared = load::prepare(&target, path, duration).await?;
        let before = measure::snapshot(&target)?;
        let sample = load::run(prepared, duration).await?;
        let usage = measure::since(&before, &measure::snapshot(&target)?, sample.count());
        rows.push(Row::new(path.name(), &sample, usage));
        if path == load::Path::VaultTokenize {
            note("  pgbench again …");
            yardsticks.push(pgbench::inserts_per_second(&target, duration)?);
        }
    }
    target.stop().await?;
    let report = Report::new(&yardsticks, rows).context("nothing was measured")?;
    report.print(arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Round after round of tokenization; a vault that keeps what it should let go of grows from one to the next.
async fn soak(target: &Target, round: Duration, whole: Duration) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < whole {
        let prepared = load::prepare(target, load::Path::VaultTokenize, round).await?;
        let before = measure::snapshot(target)?;
        let sample = load::run(prepared, round).await?;
        let usage = measure::since(&before, &measure::snapshot(target)?, sample.count());
        let rss = usage.get("vault").map_or(0.0, |usage| usage.rss_mib);
        say(&format!("  {:>4} s  {:>7} cards  vault {rss:.1} MiB", began.elapsed().as_secs(), sample.count()));
    }
    Ok(())
}
