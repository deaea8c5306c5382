//! The test programs: found among what cargo built, run a few at a time, each with its output apart.

use std::collections::VecDeque;
use std::io::Read as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::count::Count;

/// So many run at once: most of them wait for their services most of the time.
pub(super) const AT_ONCE: usize = 3;

/// What takes longest begins first, so that nothing long is left over at the end. The log says how long each took.
const LONGEST: [&str; 12] = [
    "contract",
    "planted",
    "merchants_and_admins",
    "ledger",
    "lists",
    "three_d_secure",
    "cardless",
    "crash",
    "webhooks",
    "money",
    "custody",
    "trees",
];

/// What holds the machine to a time, and so has it to itself at the end.
const ALONE: [&str; 2] = ["budgets", "api_keys"];

/// The crate that these lists are about.
const HARNESS: &str = "tests";

/// A test program, or whatever else counts tests.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    command: Command,
}

/// How one ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) output: Vec<u8>,
    pub(super) count: Count,
    pub(super) took: Duration,
}

/// What cargo says of one thing that it built, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

/// A built test program.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    /// Its crate's directory.
    directory: PathBuf,
    /// `crash` for one under `tests/`, else what it tests: `lib`, `bin kura`.
    name: String,
    executable: PathBuf,
}

impl Built {
    fn is_one_of(&self, names: &[&str]) -> bool {
        self.directory.ends_with(HARNESS) && names.contains(&self.name.as_str())
    }
}

impl Program {
    /// Anything else that says `test result:`.
    pub(super) fn new(name: String, command: Command) -> Self {
        Self { name, command }
    }

    fn run(mut self) -> Result<Ended> {
        let began = Instant::now();
        let (mut reader, writer) = std::io::pipe()?;
        let child = self.command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).spawn();
        let mut child = child.with_context(|| format!("can't run {}", self.name))?;
        // It holds the pipe's other end, which must close when the child does.
        drop(self.command);
        let mut output = Vec::new();
        reader.read_to_end(&mut output)?;
        let succeeded = child.wait()?.success();
        let mut count = Count::default();
        String::from_utf8_lossy(&output).lines().for_each(|line| count.read(line));
        if !succeeded && count.failed == 0 {
            // It died before it could say so.
            count = count.plus(Count::of_stage(false));
        }
        Ok(Ended { name: self.name, output, count, took: began.elapsed() })
    }
}

/// The test programs in what `cargo build --message-format=json` said: those that run beside others, in the order to begin them
/// in, and those that run alone. `prepare` makes the command of an executable and its crate's directory.
///
/// # Errors
/// When it can't be understood, or a list of this file names a program that isn't there.
pub(super) fn find(
    root: &Path,
    messages: &[u8],
    prepare: impl Fn(&Path, &Path) -> Command,
) -> Result<(Vec<Program>, Vec<Program>)> {
    let (beside, alone) = in_order(built(messages)?)?;
    let program = |built: Built| {
        let of = built.directory.strip_prefix(root).unwrap_or(&built.directory);
        Program::new(format!("{}: {}", of.display(), built.name), prepare(&built.executable, &built.directory))
    };
    Ok((beside.into_iter().map(program).collect(), alone.into_iter().map(program).collect()))
}

fn in_order(built: Vec<Built>) -> Result<(Vec<Built>, Vec<Built>)> {
    let is_there = |name: &str| built.iter().any(|program| program.is_one_of(&[name]));
    if let Some(gone) = LONGEST.iter().chain(&ALONE).find(|name| !is_there(name)) {
        bail!("{} names the test program {gone}, which is none", file!());
    }
    let (alone, mut beside): (Vec<_>, Vec<_>) = built.into_iter().partition(|program| program.is_one_of(&ALONE));
    beside.sort_by_key(|program| LONGEST.iter().position(|name| program.is_one_of(&[name])).unwrap_or(LONGEST.len()));
    Ok((beside, alone))
}

fn built(messages: &[u8]) -> Result<Vec<Built>> {
    let mut found = Vec::new();
    for message in serde_json::Deserializer::from_slice(messages).into_iter::<Message>() {
        let Message { manifest_path, target, profile, executable, .. } =
            message.context("can't read what cargo built")?;
        let (Some(manifest), Some(target), Some(executable)) = (manifest_path, target, executable) else { continue };
        if !profile.is_some_and(|profile| profile.test) {
            continue;
        }
        let name = match target.kind.first().map_or("", String::as_str) {
            "test" => target.name,
            "bin" => format!("bin {}", target.name),
            kind => kind.to_owned(),
        };
        let directory = manifest.parent().context("a manifest is in a directory")?.to_owned();
        found.push(Built { directory, name, executable });
    }
    found.sort();
    Ok(found)
}

/// Runs programs, so many at once, in this order. Tells each end as it comes, from any thread but one at a time, with what runs
/// then.
///
/// # Errors
/// When one can't be run, or an end can't be told.
pub(super) fn run(
    programs: Vec<Program>,
    at_once: usize,
    begun: impl Fn(&[String]) + Sync,
    ended: impl FnMut(Ended) -> Result<()> + Send,
) -> Result<()> {
    let waiting = Mutex::new(VecDeque::from(programs));
    let running = Mutex::new(Vec::new());
    let ended = Mutex::new(ended);
    let work = || {
        loop {
            let Some(program) = lock(&waiting).pop_front() else { return Ok(()) };
            let name = program.name.clone();
            let now = |change: &dyn Fn(&mut Vec<String>)| {
                let mut running = lock(&running);
                change(&mut running);
                begun(&running);
            };
            now(&|running| running.push(name.clone()));
            let end = program.run();
            now(&|running| running.retain(|other| *other != name));
            lock(&ended)(end?)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ends.collect::<Vec<_>>().into_iter().collect()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
        {"reason":"build-script-executed","package_id":"x","linked_libs":[]}
        {"reason":"compiler-artifact","manifest_path":"/k/vault/Cargo.toml","target":{"kind":["lib"],"name":"kura_vault"},
         "profile":{"test":false},"executable":null}
        {"reason":"compiler-artifact","manifest_path":"/k/vault/Cargo.toml","target":{"kind":["bin"],"name":"kura-vault"},
         "profile":{"test":false},"executable":"/t/kura-vault"}
        {"reason":"compiler-artifact","manifest_path":"/k/vault/Cargo.toml","target":{"kind":["lib"],"name":"kura_vault"},
         "profile":{"test":true},"executable":"/t/deps/kura_vault-1"}
        {"reason":"compiler-artifact","manifest_path":"/k/kura/Cargo.toml","target":{"kind":["bin"],"name":"kura"},
         "profile":{"test":true},"executable":"/t/deps/kura-2"}
        {"reason":"compiler-artifact","manifest_path":"/k/tests/Cargo.toml","target":{"kind":["test"],"name":"crash"},
         "profile":{"test":true},"executable":"/t/deps/crash-3"}
        {"reason":"build-finished","success":true}"#;

    fn of_harness(name: &str) -> Built {
        Built { directory: "/k/tests".into(), name: name.into(), executable: format!("/t/{name}").into() }
    }

    /// Test programs are told from everything else that cargo builds.
    #[test]
    fn test_programs_are_found() {
        let found = built(MESSAGES.as_bytes()).unwrap();
        let names: Vec<_> = found.iter().map(|program| (program.directory.to_str().unwrap(), &*program.name)).collect();
        assert_eq!(names, [("/k/kura", "bin kura"), ("/k/tests", "crash"), ("/k/vault", "lib")]);
        assert!(built(b"{\"reason\":").is_err());
    }

    /// The longest begin first, what measures runs alone, nothing is lost, and a name in a list that is none is told.
    #[test]
    fn programs_begin_in_order() {
        let mut all = vec![of_harness("another"), Built { directory: "/k/vault".into(), ..of_harness("budgets") }];
        assert!(in_order(vec![of_harness("another")]).is_err());
        all.extend(ALONE.iter().chain(LONGEST.iter().rev()).map(|name| of_harness(name)));
        let (beside, alone) = in_order(all).unwrap();
        let names = |programs: &[Built]| programs.iter().map(|program| program.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&alone), ALONE);
        assert_eq!(names(&beside), [LONGEST.as_slice(), &["another", "budgets"]].concat());
    }

    fn shell(name: &str, script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::new(name.to_owned(), command)
    }

    /// Every program's end is told with its own output, whatever ran beside it; one that dies unheard counts as failed.
    #[test]
    fn outputs_are_kept_apart() {
        let talk =
            |word: &str| format!("for n in 1 2 3; do echo {word}; sleep 0.01; done; echo 'test result: ok. 2 passed;'");
        let mut programs: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| shell(name, &talk(name))).collect();
        programs.push(shell("died", "echo 'test result: ok. 1 passed;' >&2; kill -9 $$"));
        programs.push(shell("failed", "echo 'test result: FAILED. 1 passed; 2 failed;'; exit 101"));
        let mut ends = Vec::new();
        run(
            programs,
            3,
            |running| assert!(running.len() <= 3),
            |end| {
                ends.push((end.name, String::from_utf8(end.output).unwrap(), end.count));
                Ok(())
            },
        )
        .unwrap();
        ends.sort_by(|one, other| one.0.cmp(&other.0));
        let of = |name: &str| ends.iter().find(|end| end.0 == name).unwrap();
        assert_eq!(ends.len(), 6);
        for name in ["a", "b", "c", "d"] {
            assert_eq!(of(name).1, format!("{name}\n{name}\n{name}\ntest result: ok. 2 passed;\n"));
        }
        assert_eq!(of("died").2, Count { passed: 1, failed: 1 });
        assert_eq!(of("failed").2, Count { passed: 1, failed: 2 });
        assert!(run(vec![Program::new("none".into(), Command::new("/none"))], 1, |_| (), |_| Ok(())).is_err());
    }
}
