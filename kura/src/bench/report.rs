//! What was measured, as a table for people and JSON for programs.

use std::collections::BTreeMap;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use super::load::Sample;
use super::measure::Usage;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pgbench_insert_per_s: f64,
    rows: Vec<Row>,
}

/// One path.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: &'static str,
    per_s: f64,
    ratio_to_pgbench: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us_per_request: BTreeMap<String, f64>,
    rss_mib: BTreeMap<String, f64>,
}

impl Row {
    #[allow(clippy::cast_precision_loss)] // Counts and microseconds are far below 2^52.
    pub(super) fn new(name: &'static str, sample: &Sample, usage: BTreeMap<String, Usage>) -> Self {
        let at = |part: usize| {
            let place = (sample.count() * part / 100).min(sample.count().saturating_sub(1));
            round(sample.latencies_us.get(place).copied().unwrap_or_default() as f64 / 1000.0, 2)
        };
        Self {
            name,
            per_s: round(sample.count() as f64 / sample.elapsed.as_secs_f64(), 1),
            ratio_to_pgbench: 0.0,
            p50_ms: at(50),
            p99_ms: at(99),
            cpu_us_per_request: usage
                .iter()
                .map(|(name, of)| (name.clone(), round(of.cpu_us_per_request, 1)))
                .collect(),
            rss_mib: usage.into_iter().map(|(name, of)| (name, round(of.rss_mib, 1))).collect(),
        }
    }
}

impl Report {
    /// The yardstick is the mean of its runs. `None` without any.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn new(yardsticks: &[f64], mut rows: Vec<Row>) -> Option<Self> {
        if yardsticks.is_empty() {
            return None;
        }
        let pgbench = yardsticks.iter().sum::<f64>() / yardsticks.len() as f64;
        for row in &mut rows {
            row.ratio_to_pgbench = round(row.per_s / pgbench, 3);
        }
        Some(Self { pgbench_insert_per_s: round(pgbench, 1), rows })
    }

    #[allow(clippy::print_stdout, clippy::print_stderr)] // Its output is the answer.
    pub(super) fn print(&self, json: bool) -> Result<()> {
        let table = self.table();
        if json {
            eprintln!("{table}");
            println!("{}", serde_json::to_string_pretty(self)?);
        } else {
            println!("{table}");
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["path", "per s", "÷ pgbench", "p50 ms", "p99 ms", "CPU µs per request", "RSS MiB"]);
        table.add_row(["pgbench insert", &self.pgbench_insert_per_s.to_string(), "1", "", "", "", ""]);
        for row in &self.rows {
            let list = |values: &BTreeMap<String, f64>| {
                let shown = values.iter().filter(|(_, value)| **value >= 0.05);
                shown.map(|(name, value)| format!("{name} {value:.0}")).collect::<Vec<_>>().join("\n")
            };
            table.add_row([
                row.name.to_owned(),
                row.per_s.to_string(),
                format!("{:.2}", row.ratio_to_pgbench),
                row.p50_ms.to_string(),
                row.p99_ms.to_string(),
                list(&row.cpu_us_per_request),
                list(&row.rss_mib),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn round(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}
