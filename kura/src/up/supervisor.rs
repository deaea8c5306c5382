//! Starts processes, knows which have died, stops them in order.
//!
//! Every process gets its own group (a Ctrl-C on the terminal is ours to pass on) and ends when we do, even when we are
//! killed: `setpriv --pdeathsig`, and where that is missing the record that the next start reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::processes::{Identity, Record};
use crate::tools::{clean_environment, find, indented};

const LOG_LINES: usize = 12;
/// A log file's end that is read for its last lines.
const LOG_TAIL_BYTES: u64 = 16 * 1024;
const TICK: Duration = Duration::from_millis(20);
const RESTART_WINDOW: Duration = Duration::from_secs(5);
const RESTARTS_IN_WINDOW: usize = 10;
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// How a program is told to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    pub(crate) signal: Signal,
    /// What follows when it hasn't by then is SIGKILL.
    pub(crate) deadline: Duration,
    /// Lower ones stop first; equal ones together.
    pub(crate) turn: u8,
}

/// A program to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// OS user and group, when not ours.
    pub(crate) account: Option<(u32, u32)>,
    pub(crate) log: PathBuf,
    pub(crate) stop: Stop,
}

struct Running {
    program: Program,
    child: Child,
    identity: Identity,
    /// Where its log began.
    log_from: u64,
    restarts: Vec<Instant>,
}

/// A process that ended though nobody asked it to.
#[derive(Debug)]
pub(crate) struct Death {
    pub(crate) name: &'static str,
    pub(crate) status: ExitStatus,
    log: PathBuf,
}

impl Death {
    /// Which, how, and what it said last.
    pub(crate) fn report(&self) -> String {
        let tail = last_lines(&self.log);
        let said = if tail.is_empty() { "    (nothing)".to_owned() } else { indented(&tail) };
        format!("{} died: {}\n  the last lines of {}:\n{said}", self.name, self.status, self.log.display())
    }
}

/// All processes of one run. Used from one thread; never borrowed across an await.
pub(crate) struct Supervisor {
    running: RefCell<Vec<Running>>,
    record: RefCell<Record>,
    setpriv: Option<PathBuf>,
}

impl Supervisor {
    /// With an empty record.
    pub(crate) fn new(record: Record) -> Self {
        Self { running: RefCell::default(), record: RefCell::new(record), setpriv: find("setpriv") }
    }

    /// Starts a program, with a new log file; the last run's is kept beside it.
    ///
    /// # Errors
    /// When it can't be started or written down.
    pub(crate) fn start(&self, program: Program) -> Result<()> {
        let old = program.log.with_extension("log.1");
        let _ = std::fs::rename(&program.log, old);
        let running = self.spawn(program, Vec::new())?;
        self.running.borrow_mut().push(running);
        Ok(())
    }

    fn spawn(&self, program: Program, restarts: Vec<Instant>) -> Result<Running> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&program.log);
        let log = log.with_context(|| format!("can't write to {}", program.log.display()))?;
        let log_from = log.metadata()?.len();
        let mut command = match &self.setpriv {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                // Its own stop signal: PostgreSQL takes SIGTERM for "when the last client has left".
                let signal = if program.stop.signal == Signal::INT { "INT" } else { "TERM" };
                command.args(["--pdeathsig", signal, "--"]).arg(&program.path);
                command
            }
            None => Command::new(&program.path),
        };
        clean_environment(&mut command);
        command.args(&program.arguments).process_group(0).current_dir("/");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some((uid, gid)) = program.account {
            command.uid(uid).gid(gid);
        }
        let child = command.spawn().with_context(|| format!("can't start {}", program.path.display()))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("a process without a number")?;
        let identity = Identity::of(pid).with_context(|| format!("{} ended at once", program.name))?;
        self.record.borrow_mut().add(program.name, identity)?;
        Ok(Running { program, child, identity, log_from, restarts })
    }

    /// The process number of each.
    pub(crate) fn pids(&self) -> BTreeMap<&'static str, i32> {
        self.running.borrow().iter().map(|running| (running.program.name, running.identity.pid)).collect()
    }

    /// How often each was restarted.
    pub(crate) fn restarts(&self) -> BTreeMap<&'static str, usize> {
        self.running.borrow().iter().map(|running| (running.program.name, running.restarts.len())).collect()
    }

    /// The first that has died, if any has.
    pub(crate) fn death(&self) -> Option<Death> {
        self.running.borrow_mut().iter_mut().find_map(death_of)
    }

    /// Waits until `ready` says so of this process's number and of what it has logged since its start.
    ///
    /// # Errors
    /// When it dies before, or takes too long; both with its last log lines.
    pub(crate) async fn ready<F>(&self, name: &str, within: Duration, ready: F) -> Result<()>
    where
        F: AsyncFn(i32, &Path, u64) -> bool,
    {
        let until = Instant::now() + within;
        loop {
            let (pid, log, log_from) = self.look(name)?;
            if ready(pid, &log, log_from).await {
                return Ok(());
            }
            if Instant::now() > until {
                let said = indented(&last_lines(&log));
                bail!(
                    "{name} is not ready after {} s\n  the last lines of {}:\n{said}",
                    within.as_secs(),
                    log.display()
                );
            }
            tokio::time::sleep(TICK).await;
        }
    }

    fn look(&self, name: &str) -> Result<(i32, PathBuf, u64)> {
        let mut all = self.running.borrow_mut();
        let running = all.iter_mut().find(|running| running.program.name == name);
        let running = running.with_context(|| format!("{name} was never started"))?;
        if let Some(death) = death_of(running) {
            bail!("{}", death.report());
        }
        Ok((running.identity.pid, running.program.log.clone(), running.log_from))
    }

    /// Starts a dead one again, unless it does little else than die.
    ///
    /// # Errors
    /// When it died too often lately.
    pub(crate) async fn restart(&self, death: &Death) -> Result<()> {
        tokio::time::sleep(RESTART_PAUSE).await;
        let mut all = self.running.borrow_mut();
        let slot = all.iter_mut().find(|running| running.program.name == death.name);
        let slot = slot.with_context(|| format!("{} was never started", death.name))?;
        let mut restarts = slot.restarts.clone();
        let lately = restarts.iter().filter(|at| at.elapsed() < RESTART_WINDOW).count();
        if lately >= RESTARTS_IN_WINDOW {
            bail!("{}\n  it died {lately} times within {} s; giving up", death.report(), RESTART_WINDOW.as_secs());
        }
        restarts.push(Instant::now());
        *slot = self.spawn(slot.program.clone(), restarts)?;
        Ok(())
    }

    /// Goes on without a dead one.
    pub(crate) fn forget(&self, death: &Death) {
        self.running.borrow_mut().retain(|running| running.program.name != death.name);
    }

    /// Stops all of them, turn by turn. `hurry` says whether to stop waiting politely. Gives the names of those that had to
    /// be killed.
    pub(crate) async fn stop(&self, hurry: impl Fn() -> bool) -> Vec<&'static str> {
        let mut all = std::mem::take(&mut *self.running.borrow_mut());
        all.sort_by_key(|running| running.program.stop.turn);
        let mut queue = VecDeque::from(all);
        let mut killed = Vec::new();
        while let Some(first) = queue.pop_front() {
            let turn = first.program.stop.turn;
            let mut together = vec![first];
            while queue.front().is_some_and(|next| next.program.stop.turn == turn) {
                together.extend(queue.pop_front());
            }
            killed.extend(stop_together(together, &hurry).await);
        }
        self.record.borrow().remove();
        killed
    }
}

async fn stop_together(mut together: Vec<Running>, hurry: &impl Fn() -> bool) -> Vec<&'static str> {
    for running in &together {
        running.identity.signal(running.program.stop.signal);
    }
    let began = Instant::now();
    let mut killed = Vec::new();
    loop {
        together.retain_mut(|running| !matches!(running.child.try_wait(), Ok(Some(_))));
        if together.is_empty() {
            return killed;
        }
        for running in &together {
            let late = hurry() || began.elapsed() > running.program.stop.deadline;
            if late && !killed.contains(&running.program.name) {
                running.identity.signal(Signal::KILL);
                killed.push(running.program.name);
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

fn death_of(running: &mut Running) -> Option<Death> {
    let status = running.child.try_wait().ok().flatten()?;
    Some(Death { name: running.program.name, status, log: running.program.log.clone() })
}

/// What a process has logged since its start.
pub(crate) fn logged(log: &Path, from: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(log)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

fn last_lines(log: &Path) -> String {
    let length = std::fs::metadata(log).map_or(0, |found| found.len());
    let text = logged(log, length.saturating_sub(LOG_TAIL_BYTES));
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_LINES);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}
