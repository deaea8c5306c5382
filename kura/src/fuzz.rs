//! `cargo kura fuzz`: the readers that meet strangers' bytes, under libFuzzer with coverage, on the stable toolchain.
//!
//! What cargo-fuzz passes to a nightly compiler as `-Z sanitizer` is passed as LLVM's own options here.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::terminal::note;
use crate::workspace;

const TARGETS: [&str; 4] = ["sealed_box", "card", "share", "iso8583"];
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Feed the readers that meet strangers' bytes with ever stranger ones.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// sealed_box, card, share or iso8583 [default: all, one after the other]
    targets: Vec<String>,
    /// How long for each
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

/// Builds the targets and runs them.
///
/// # Errors
/// When they don't build. A reader that breaks a promise is a failure.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    if let Some(unknown) = arguments.targets.iter().find(|name| !TARGETS.contains(&name.as_str())) {
        bail!("no target is called {unknown:?}; there are {}", TARGETS.join(", "));
    }
    let root = workspace::root()?;
    let mut failed = Vec::new();
    build(&root)?;
    for target in TARGETS {
        if !arguments.targets.is_empty() && !arguments.targets.iter().any(|wanted| wanted == target) {
            continue;
        }
        note(&format!("  {target} …"));
        if !fuzz(&root, target, &arguments)? {
            failed.push(target);
        }
    }
    if !failed.is_empty() {
        bail!("{} broke a promise; the bytes that did it are in tests/fuzz/artifacts", failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn build(root: &Path) -> Result<()> {
    let mut cargo = workspace::cargo(root);
    cargo.args(["build", "--release", "--bins", "--manifest-path", "tests/fuzz/Cargo.toml"]);
    // With a target named, build scripts and macros are left without coverage.
    cargo.args(["--target", env!("KURA_TARGET"), "--target-dir", "target/fuzz"]).env("RUSTFLAGS", COVERAGE);
    let built = cargo.status().context("can't run cargo")?;
    if !built.success() {
        bail!("the fuzz targets don't build");
    }
    Ok(())
}

fn fuzz(root: &Path, target: &str, arguments: &Arguments) -> Result<bool> {
    let corpus = root.join("tests/fuzz/corpus").join(target);
    let scratch = root.join("target/fuzz/corpus").join(target);
    let artifacts = root.join("tests/fuzz/artifacts");
    std::fs::create_dir_all(&scratch)?;
    std::fs::create_dir_all(&artifacts)?;
    let program = root.join("target/fuzz").join(env!("KURA_TARGET")).join("release").join(target);
    let mut fuzz = Command::new(program);
    fuzz.arg(format!("-max_total_time={}", arguments.seconds)).arg("-print_final_stats=1").arg("-max_len=4096");
    fuzz.arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
    // New entries go to the first directory: what reaches new code is kept between runs, and not in the repository, which
    // has one entry of each kind, and each that once broke a promise.
    Ok(fuzz.arg(scratch).arg(corpus).status().context("can't run the target")?.success())
}
