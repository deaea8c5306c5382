//! CPU time and memory of each process, from /proc.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::target::Target;

/// Of one process, with its children for PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    cpu_ticks: u64,
    rss_kib: u64,
}

/// What a path cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// Microseconds of CPU for each request.
    pub(super) cpu_us_per_request: f64,
    /// Resident memory at the end.
    pub(super) rss_mib: f64,
}

/// Reads all processes of the Kura under measurement.
pub(super) fn snapshot(target: &Target) -> Result<BTreeMap<String, Reading>> {
    let parents = parents()?;
    target
        .run
        .pids
        .iter()
        .map(|(name, pid)| {
            let mut reading = read(*pid).with_context(|| format!("{name} is gone"))?;
            for (child, _) in parents.iter().filter(|(_, parent)| parent == pid) {
                let of_child = read(*child).unwrap_or_default();
                reading.cpu_ticks += of_child.cpu_ticks;
                reading.rss_kib += of_child.rss_kib;
            }
            Ok((name.clone(), reading))
        })
        .collect()
}

/// The difference, for each request.
#[allow(clippy::cast_precision_loss)] // Ticks and counts are far below 2^52.
pub(super) fn since(
    before: &BTreeMap<String, Reading>,
    after: &BTreeMap<String, Reading>,
    requests: usize,
) -> BTreeMap<String, Usage> {
    let tick_us = 1_000_000.0 / rustix::param::clock_ticks_per_second() as f64;
    let usage = |name: &String, reading: &Reading| {
        let earlier = before.get(name).map_or(0, |earlier| earlier.cpu_ticks);
        Usage {
            cpu_us_per_request: reading.cpu_ticks.saturating_sub(earlier) as f64 * tick_us / requests.max(1) as f64,
            rss_mib: reading.rss_kib as f64 / 1024.0,
        }
    };
    after.iter().map(|(name, reading)| (name.clone(), usage(name, reading))).collect()
}

/// Each process of this machine and its parent.
fn parents() -> Result<Vec<(i32, i32)>> {
    let processes = std::fs::read_dir("/proc")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect())
}

/// The fields of `/proc/PID/stat` behind the name, which may hold anything: state first, parent second.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn read(pid: i32) -> Option<Reading> {
    let fields = stat(pid)?;
    // proc(5): utime and stime are fields 14 and 15, the state is field 3.
    let ticks = |place: usize| fields.get(place - 3)?.parse::<u64>().ok();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let rss_kib = rss.split_whitespace().next()?.parse().ok()?;
    Some(Reading { cpu_ticks: ticks(14)? + ticks(15)?, rss_kib })
}
