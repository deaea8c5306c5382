//! `cargo kura test`: everything that CI runs, in stages, each with its own log.
//!
//! The last line is `N passed, N failed`: every test of cargo's counts, and every other stage as one.

mod count;
mod programs;
mod stage;
mod tools;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::state::private_directory;
use crate::terminal::{Progress, note, say, spoken};
use crate::workspace;
use count::Count;
use stage::{Run, Stage};
use tools::Tools;

/// Run everything that CI runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these stages: fmt, clippy, deny, sql, checkout, build, test
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Only cargo's tests whose name contains this
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
}

/// Runs the stages.
///
/// # Errors
/// When a tool is missing and can't be installed. Stages that fail are counted, not raised.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = workspace::root()?;
    let began = Instant::now();
    let wanted = wanted(&arguments)?;
    private_directory(&root.join(".kura"))?;
    private_directory(&root.join(".kura/logs"))?;
    let progress = Progress::new();
    let tools = Tools::ensure(&root, &wanted, &progress)?;
    let run = Run { root: &root, tools: &tools, filter: arguments.filter.as_deref(), progress: &progress };
    let mut total = Count::default();
    let mut failed = Vec::new();
    for stage in wanted {
        let count = run.stage(stage)?;
        if count.failed > 0 {
            failed.push(stage.name());
        }
        total = total.plus(count);
    }
    note("");
    if !failed.is_empty() {
        note(&format!("  failed: {}; their output is above, and whole in .kura/logs/test-*.log", failed.join(", ")));
    }
    note("  not run: cargo deny check advisories (it needs the network)");
    note(&format!("  took {}\n", spoken(began.elapsed())));
    say(&format!("{} passed, {} failed", total.passed, total.failed));
    Ok(if total.failed == 0 && total.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn wanted(arguments: &Arguments) -> Result<Vec<Stage>> {
    if let Some(unknown) = arguments.only.iter().find(|name| !Stage::ALL.iter().any(|stage| stage.name() == **name)) {
        let names: Vec<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
        bail!("no stage is called {unknown:?}; there are {}", names.join(", "));
    }
    let narrowed = arguments.filter.is_some() && arguments.only.is_empty();
    Ok(Stage::ALL
        .into_iter()
        .filter(|stage| match (narrowed, arguments.only.is_empty()) {
            (true, _) => matches!(stage, Stage::Build | Stage::Test),
            (_, true) => true,
            _ => arguments.only.iter().any(|name| name == stage.name()),
        })
        .collect())
}
