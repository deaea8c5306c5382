//! What came out, for people and for programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::json;

use super::load::Latency;

/// Import is at least this share of COPY.
const IMPORT_SHARE: f64 = 0.5;
/// Reseal is at least this share of COPY, or this many rows in a second.
const RESEAL_SHARE: f64 = 0.5;
const RESEAL_ROWS_PER_SECOND: f64 = 50_000.0;
/// The pause seen by the gateway stays below this.
const PAUSE_MS: f64 = 100.0;

/// All figures of a run.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) cards: u32,
    pub(super) copy_rows_per_second: f64,
    pub(super) import_rows_per_second: f64,
    pub(super) kek_seconds: f64,
    pub(super) resealed: u64,
    pub(super) reseal_rows_per_second: f64,
    pub(super) passes: u64,
    pub(super) latency_before: Latency,
    pub(super) latency_during: Latency,
    pub(super) sampled: u32,
    pub(super) authorized: u32,
    pub(super) opened_rows_per_second: f64,
    pub(super) opened_right: u32,
    pub(super) lost: u32,
    pub(super) damaged: u64,
    pub(super) alerts: u64,
    pub(super) every_batch_recorded: bool,
}

impl Figures {
    fn import_share(&self) -> f64 {
        self.import_rows_per_second / self.copy_rows_per_second
    }

    fn reseal_share(&self) -> f64 {
        self.reseal_rows_per_second / self.copy_rows_per_second
    }

    /// What a payment takes longer under a rotation than before it.
    fn pause_ms(&self) -> f64 {
        (self.latency_during.p99_ms - self.latency_before.p99_ms).max(0.0)
    }

    fn checks(&self) -> [(&'static str, bool); 6] {
        let reseals_fast = self.reseal_rows_per_second >= RESEAL_ROWS_PER_SECOND || self.reseal_share() >= RESEAL_SHARE;
        let failed = self.latency_before.failed + self.latency_during.failed;
        [
            (
                "nothing lost",
                self.lost == 0 && self.damaged == 0 && self.alerts == 0 && self.resealed >= u64::from(self.cards),
            ),
            ("every sampled token authorizes", self.authorized == self.sampled && failed == 0),
            ("every batch was recorded before it was opened", self.every_batch_recorded),
            ("import at least half as fast as COPY", self.import_share() >= IMPORT_SHARE),
            ("reseal at 50,000 rows/s, or half as fast as COPY", reseals_fast),
            ("pause below 100 ms at p99", self.pause_ms() < PAUSE_MS),
        ]
    }

    /// Whether all that is promised holds.
    pub(super) fn is_well(&self) -> bool {
        self.checks().iter().all(|(_, holds)| *holds)
    }

    /// Prints a table, or JSON on standard output and the table on standard error.
    pub(super) fn print(&self, json: bool) {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header(["", "", "÷ COPY"]);
        let share = |share: f64| format!("{share:.2}");
        let latency = |latency: &Latency| {
            format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", latency.p50_ms, latency.p99_ms, latency.max_ms)
        };
        let rows = [
            ("PostgreSQL COPY".to_owned(), format!("{:.0} rows/s", self.copy_rows_per_second), share(1.0)),
            ("import".to_owned(), format!("{:.0} rows/s", self.import_rows_per_second), share(self.import_share())),
            ("KEK rotation".to_owned(), format!("{:.1} s", self.kek_seconds), String::new()),
            (
                format!("DEK rotation, {} passes", self.passes),
                format!("{:.0} rows/s", self.reseal_rows_per_second),
                share(self.reseal_share()),
            ),
            (format!("{} payments before", self.latency_before.payments), latency(&self.latency_before), String::new()),
            (format!("{} payments during", self.latency_during.payments), latency(&self.latency_during), String::new()),
            ("pause at p99".to_owned(), format!("{:.1} ms", self.pause_ms()), String::new()),
            ("sampled tokens charged".to_owned(), format!("{} of {}", self.authorized, self.sampled), String::new()),
            (
                "opened and compared".to_owned(),
                format!("{} of {}, {:.0} rows/s", self.opened_right, self.cards, self.opened_rows_per_second),
                String::new(),
            ),
            ("lost".to_owned(), self.lost.to_string(), String::new()),
        ];
        for (what, figure, share) in rows {
            table.add_row([what, figure, share]);
        }
        for (check, holds) in self.checks() {
            table.add_row([check, if holds { "yes" } else { "NO" }, ""]);
        }
        if json {
            println!("{}", self.json());
            eprintln!("{table}");
        } else {
            println!("{table}");
        }
    }

    fn json(&self) -> serde_json::Value {
        let latency = |latency: &Latency| {
            json!({ "payments": latency.payments, "failed": latency.failed, "p50_ms": latency.p50_ms,
                    "p99_ms": latency.p99_ms, "max_ms": latency.max_ms })
        };
        json!({
            "cards": self.cards,
            "copy_rows_per_second": self.copy_rows_per_second,
            "import_rows_per_second": self.import_rows_per_second,
            "import_share_of_copy": self.import_share(),
            "kek_rotation_seconds": self.kek_seconds,
            "resealed": self.resealed,
            "reseal_rows_per_second": self.reseal_rows_per_second,
            "reseal_share_of_copy": self.reseal_share(),
            "passes": self.passes,
            "latency_before": latency(&self.latency_before),
            "latency_during": latency(&self.latency_during),
            "pause_p99_ms": self.pause_ms(),
            "sampled": self.sampled,
            "authorized": self.authorized,
            "opened_right": self.opened_right,
            "lost": self.lost,
            "damaged": self.damaged,
            "alerts": self.alerts,
            "every_batch_recorded": self.every_batch_recorded,
            "checks": self.checks().map(|(check, holds)| json!({ "check": check, "holds": holds })),
        })
    }
}
