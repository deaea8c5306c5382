//! Processes of ours that may outlive us: written down as they start, found again by number and start time, and ended by
//! number. A number alone is never trusted; the kernel gives it to others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::state::{read_if_there, write_private_json};

const TERM_DEADLINE: Duration = Duration::from_secs(12);
const KILL_DEADLINE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(50);

/// One process, beyond doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks from the machine's start to the process's.
    started: u64,
}

impl Identity {
    /// Of a running process; `None` when there is none of that number, or only its remains.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, can hold anything; proc_pid_stat(5) counts the fields from 1, behind it from 3.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, started })
    }

    /// Whether this very process still runs.
    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends it a signal, if it still runs.
    pub(crate) fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid)
            && self.is_alive()
        {
            let _ = kill_process(pid, signal);
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    boot: String,
    processes: BTreeMap<String, Identity>,
}

/// The list on disk.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    content: Content,
}

impl Record {
    /// An empty list. Call [`end_leftovers`] before.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, content: Content { boot: boot_id(), processes: BTreeMap::new() } }
    }

    /// Adds one, or puts it in the place of its predecessor.
    ///
    /// # Errors
    /// When the list can't be written.
    pub(crate) fn add(&mut self, name: &str, identity: Identity) -> Result<()> {
        self.content.processes.insert(name.to_owned(), identity);
        write_private_json(&self.path, &self.content)
    }

    /// Everything has ended.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Ends what a runner left behind that was killed: all at once, politely, then not. Gives the names.
///
/// # Errors
/// When one can't be ended: nothing may then start on the same files.
pub(crate) async fn end_leftovers(path: &Path) -> Result<Vec<String>> {
    let content = read_if_there(path)?.and_then(|json| serde_json::from_str::<Content>(&json).ok()).unwrap_or_default();
    let alive: Vec<(String, Identity)> = content
        .processes
        .into_iter()
        .filter(|(_, identity)| content.boot == boot_id() && identity.is_alive())
        .collect();
    for (name, identity) in &alive {
        identity.signal(if name.starts_with("postgres") { Signal::INT } else { Signal::TERM });
    }
    for (signal, deadline) in [(None, TERM_DEADLINE), (Some(Signal::KILL), KILL_DEADLINE)] {
        if let Some(signal) = signal {
            alive.iter().for_each(|(_, identity)| identity.signal(signal));
        }
        let until = Instant::now() + deadline;
        while alive.iter().any(|(_, identity)| identity.is_alive()) && Instant::now() < until {
            tokio::time::sleep(TICK).await;
        }
    }
    if let Some((name, identity)) = alive.iter().find(|(_, identity)| identity.is_alive()) {
        bail!("{name} of an earlier run (process {}) does not end, even when killed", identity.pid);
    }
    let _ = std::fs::remove_file(path);
    Ok(alive.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process is known by number and start time together: the right number with another start time is a stranger.
    #[test]
    fn a_reused_number_is_a_stranger() {
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
    }

    /// A process that ended is not alive, even while its parent has not collected it.
    #[test]
    fn remains_are_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        identity.signal(Signal::KILL);
        while identity.is_alive() {
            std::thread::sleep(TICK);
        }
        child.wait().unwrap();
    }
}
