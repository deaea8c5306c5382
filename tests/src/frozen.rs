//! Database servers that are stopped where they stand: there, connected, and silent.

use rustix::process::{Pid, Signal, kill_process};

use crate::Stack;

/// A server that is stopped. Dropped, it goes on.
#[derive(Debug)]
pub struct Frozen(Vec<i32>);

impl Stack {
    /// Stops one of this stack's database servers, `vault` or `main`, with all that it serves.
    ///
    /// # Panics
    /// When it doesn't run.
    pub fn freeze_database(&self, cluster: &str) -> Frozen {
        let server = self.run_now().pids[&format!("postgres-{cluster}")];
        // It first: so it starts no other one.
        send(server, Signal::STOP);
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).expect("its children");
        let children: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
        children.iter().for_each(|pid| send(*pid, Signal::STOP));
        assert!(children.len() > 4, "a database server has processes");
        Frozen(children.into_iter().chain([server]).collect())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| send(*pid, Signal::CONT));
    }
}

/// A process that ended meanwhile needs no signal.
fn send(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a process number"), signal);
}
