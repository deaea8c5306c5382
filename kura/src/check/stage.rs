//! One stage: its commands, its log, its line on the terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::count::Count;
use super::tools::{BROWSER_SIDES, Tools};
use crate::terminal::{Progress, Step, note};
use crate::workspace;

/// A failing stage's output is shown up to here; the log has all of it.
const SHOWN_LINES: usize = 600;

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
            Self::Build => "all programs are built",
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
        let commands = self.commands(stage);
        let path = self.log(stage);
        let mut log = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
        let step = self.progress.begin(stage.name());
        let mut tests = Count::default();
        let mut succeeded = true;
        for command in commands {
            succeeded &= run_logged(command, &mut log, &mut tests, &step)?;
        }
        let count = match stage {
            Stage::Test if succeeded || tests.failed > 0 => tests,
            Stage::Test => tests.plus(Count::of_stage(false)),
            _ => Count::of_stage(succeeded),
        };
        if count.failed == 0 {
            let detail =
                if stage == Stage::Test { format!("{} tests", count.passed) } else { stage.meaning().to_owned() };
            step.done(&detail);
        } else {
            step.failed(&path.strip_prefix(self.root).unwrap_or(&path).display().to_string());
            show(&path);
        }
        Ok(count)
    }

    fn log(&self, stage: Stage) -> PathBuf {
        self.root.join(".kura/logs").join(format!("test-{}.log", stage.name()))
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = workspace::cargo(self.root);
        cargo.args(arguments).env("CARGO_TERM_COLOR", "never").env("KURA_NO_BUILD", "1");
        self.tools.add_to(&mut cargo);
        cargo
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
            Stage::Build => vec![self.cargo(&["build", "--release", "--workspace", "--bins"])],
            Stage::Test => {
                let mut test = self.cargo(&["test", "--release", "--workspace", "--no-fail-fast"]);
                test.args(self.filter);
                vec![test]
            }
        }
    }
}

/// Runs one command with both its outputs in the log, its newest line in the step. Gives whether it succeeded.
fn run_logged(mut command: Command, log: &mut File, tests: &mut Count, step: &Step<'_>) -> Result<bool> {
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
        tests.read(&text);
        step.at(text.trim().to_owned());
        line.clear();
    }
    Ok(child.wait()?.success())
}

fn show(path: &Path) {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(SHOWN_LINES);
    if skipped > 0 {
        note(&format!("    ({skipped} lines are left out here)"));
    }
    lines.iter().skip(skipped).for_each(|line| note(&format!("    {line}")));
}
