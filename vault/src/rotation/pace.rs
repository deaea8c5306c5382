//! How fast a rotation may go, which can change while it goes.

use std::time::{Duration, Instant};

use super::Work;
use crate::store::{StoreError, rotations};

/// A limit that changes is heard of within this time.
const LISTEN_EVERY: Duration = Duration::from_millis(500);
/// Rows in a batch, without a limit.
const FULL_BATCH: i64 = 1500;
/// Rows in a batch at least, aimed for.
const LEAST_BATCH: i64 = 20;

/// Rows per second, and when work was last reported.
pub(super) struct Pace {
    limit: Option<i32>,
    reported: Instant,
}

impl Pace {
    pub(super) fn new(limit: Option<i32>) -> Self {
        Self { limit, reported: Instant::now() }
    }

    /// The limit as it was last read.
    pub(super) fn set(&mut self, limit: Option<i32>) {
        self.limit = limit;
    }

    /// Rows to aim for in one batch: a quarter of a second's, so that a slow rotation is even.
    pub(super) fn batch(&self) -> i64 {
        self.limit.map_or(FULL_BATCH, |limit| (i64::from(limit) / 4).clamp(LEAST_BATCH, FULL_BATCH))
    }

    /// Milliseconds since the last report; the next ones count from now.
    pub(super) fn lap_ms(&mut self) -> i64 {
        let now = Instant::now();
        let lap = now - self.reported;
        // What is cut off stays for the next lap.
        self.reported = now - Duration::from_micros(u64::from(lap.subsec_micros() % 1000));
        i64::try_from(lap.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Waits until the limit allows what comes after a batch of so many rows that began then.
pub(super) async fn rest(work: &mut Work, rows: i64, began: Instant) -> Result<(), StoreError> {
    while let Some(left) = time_left(work.pace.limit, rows, began.elapsed()) {
        tokio::time::sleep(left.min(LISTEN_EVERY)).await;
        if left > LISTEN_EVERY {
            let limit = rotations::find_limit(&work.vault.pool, work.rotation.id).await?;
            work.pace.set(limit);
        }
    }
    Ok(())
}

fn time_left(limit: Option<i32>, rows: i64, gone: Duration) -> Option<Duration> {
    let limit = u64::try_from(limit?).ok().filter(|limit| *limit > 0)?;
    let micros = u64::try_from(rows).unwrap_or(0).saturating_mul(1_000_000) / limit;
    Duration::from_micros(micros).checked_sub(gone).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit makes a batch take its time; without one nobody waits.
    #[test]
    fn a_batch_takes_its_time() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(Some(100), 200, second), Some(second));
        assert_eq!(time_left(Some(100), 100, second), None);
        assert_eq!(time_left(None, 1_000_000, Duration::ZERO), None);
        assert_eq!(Pace::new(None).batch(), FULL_BATCH);
        assert_eq!(Pace::new(Some(400)).batch(), 100);
        assert_eq!(Pace::new(Some(1)).batch(), LEAST_BATCH);
    }
}
