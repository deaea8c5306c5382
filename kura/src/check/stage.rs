//! One stage: its commands, its log, its line on the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use super::count::Count;
use super::programs::{self, Ended, Program};
use super::tools::{BROWSER_SIDES, Tools};
use crate::terminal::{Progress, Step, note, spoken};
use crate::workspace;

/// The end of a failing stage's output is shown, so many lines; the log has all of it. Of test programs that failed, all is shown.
const SHOWN_LINES: usize = 600;

/// All programs and all test programs in one go, so that no core waits for the last of the ones to begin the others.
const BUILD: [&str; 5] = ["build", "--release", "--workspace", "--bins", "--tests"];

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Fmt,
    Clippy,
    Deny,
    Sql,
    Checkout,
    Build,
    Test,
}

impl Stage {
    /// All of them.
    pub(crate) const ALL: [Self; 7] =
        [Self::Fmt, Self::Clippy, Self::Deny, Self::Sql, Self::Checkout, Self::Build, Self::Test];

    /// As `--only` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Deny => "deny",
            Self::Sql => "sql",
            Self::Checkout => "checkout",
            Self::Build => "build",
            Self::Test => "test",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Fmt => "the code is formatted",
            Self::Clippy => "the compiler and clippy have nothing to say",
            Self::Deny => "no crate that is banned, unlicensed or from elsewhere",
            Self::Sql => "every statement fits the migrations",
            Self::Checkout => "the browser side passes, and dist/ is what its source makes",
            Self::Build => "all programs are built, and their tests",
            Self::Test => "",
        }
    }
}

/// What every stage is run with.
pub(crate) struct Run<'a> {
    pub(crate) root: &'a Path,
    pub(crate) tools: &'a Tools,
    pub(crate) filter: Option<&'a str>,
    pub(crate) progress: &'a Progress,
}

impl Run<'_> {
    /// Runs a stage to its end and shows what it said if it failed.
    ///
    /// # Errors
    /// When its log can't be written.
    pub(crate) fn stage(&self, stage: Stage) -> Result<Count> {
        let path = self.log(stage);
        let mut log = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
        let step = self.progress.begin(stage.name());
        let (count, failures) = if stage == Stage::Test {
            self.tests(&mut log, &step)?
        } else {
            let mut succeeded = true;
            for command in self.commands(stage) {
                succeeded &= run_logged(command, &mut log, &step)?;
            }
            let failures = if succeeded { Vec::new() } else { std::fs::read(&path)? };
            (Count::of_stage(succeeded), failures)
        };
        if count.failed == 0 {
            let detail =
                if stage == Stage::Test { format!("{} tests", count.passed) } else { stage.meaning().to_owned() };
            step.done(&detail);
        } else {
            step.failed(&path.strip_prefix(self.root).unwrap_or(&path).display().to_string());
            show(&failures, if stage == Stage::Test { usize::MAX } else { SHOWN_LINES });
        }
        Ok(count)
    }

    /// Builds what is still to be built and runs every test. Gives what the failed programs said.
    fn tests(&self, log: &mut File, step: &Step<'_>) -> Result<(Count, Vec<u8>)> {
        step.at("building");
        let mut build = self.cargo(&BUILD);
        let built = build.arg("--message-format=json-render-diagnostics").stderr(Stdio::piped()).output()?;
        log.write_all(&built.stderr)?;
        if !built.status.success() {
            return Ok((Count::of_stage(false), built.stderr));
        }
        let (mut beside, alone) = programs::find(self.root, &built.stdout, |executable, directory| {
            let mut program = workspace::test_program(executable, directory);
            program.args(self.filter);
            self.add_environment(&mut program);
            program
        })?;
        let mut examples = self.cargo(&["test", "--release", "--workspace", "--no-fail-fast", "--doc"]);
        examples.args(self.filter);
        beside.insert(0, Program::new("examples in comments".to_owned(), examples));

        let all = beside.len() + alone.len();
        let (mut count, mut failures, left) = (Count::default(), Vec::new(), AtomicUsize::new(all));
        let began = |running: &[String]| {
            step.at(format!("{} to go: {}", left.load(Ordering::Relaxed), running.join(", ")));
        };
        let mut ended = |end: Ended| {
            left.fetch_sub(1, Ordering::Relaxed);
            let said = [format!("{}, {}\n", end.name, spoken(end.took)).as_bytes(), &end.output].concat();
            log.write_all(&said)?;
            count = count.plus(end.count);
            if end.count.failed > 0 {
                failures.extend(said);
            }
            Ok(())
        };
        programs::run(beside, programs::AT_ONCE, began, &mut ended)?;
        programs::run(alone, 1, began, &mut ended)?;
        Ok((count, failures))
    }

    fn log(&self, stage: Stage) -> PathBuf {
        self.root.join(".kura/logs").join(format!("test-{}.log", stage.name()))
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = workspace::cargo(self.root);
        cargo.args(arguments);
        self.add_environment(&mut cargo);
        cargo
    }

    fn add_environment(&self, command: &mut Command) {
        command.env("CARGO_TERM_COLOR", "never").env("KURA_NO_BUILD", "1");
        self.tools.add_to(command);
    }

    fn npm(&self, directory: &str, script: &str) -> Command {
        let mut npm = Command::new("npm");
        npm.args(["run", "--silent", script]).current_dir(self.root.join(directory));
        self.tools.add_to(&mut npm);
        npm
    }

    fn commands(&self, stage: Stage) -> Vec<Command> {
        match stage {
            Stage::Fmt => vec![self.cargo(&["fmt", "--all", "--", "--check"])],
            Stage::Clippy => {
                vec![self.cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])]
            }
            Stage::Deny => {
                let check = ["--offline", "check", "--allow", "unused-wrapper", "bans", "licenses", "sources"];
                let mut deny = Command::new(self.tools.cargo_deny());
                deny.args(check).current_dir(self.root).env("CARGO_TERM_COLOR", "never");
                vec![self.cargo(&["fetch", "--locked"]), deny]
            }
            Stage::Sql => {
                vec![self.cargo(&["run", "--quiet", "--release", "--bin", "kura", "--", "sql", "--check"])]
            }
            Stage::Checkout => {
                let scripts = ["verify-dist", "check", "test"];
                BROWSER_SIDES.iter().flat_map(|side| scripts.map(|script| self.npm(side, script))).collect()
            }
            Stage::Build | Stage::Test => vec![self.cargo(&BUILD)],
        }
    }
}

/// Runs one command with both its outputs in the log, its newest line in the step. Gives whether it succeeded.
fn run_logged(mut command: Command, log: &mut File, step: &Step<'_>) -> Result<bool> {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    writeln!(log, "$ {}", words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))?;
    let (reader, writer) = std::io::pipe()?;
    let child = command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            writeln!(log, "can't run it: {error}")?;
            return Ok(false);
        }
    };
    // It holds the pipe's other end, which must close when the child does.
    drop(command);
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        log.write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        step.at(text.trim().to_owned());
        line.clear();
    }
    Ok(child.wait()?.success())
}

fn show(said: &[u8], most: usize) {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(most);
    if skipped > 0 {
        note(&format!("    ({skipped} lines are left out here)"));
    }
    lines.iter().skip(skipped).for_each(|line| note(&format!("    {line}")));
}
