//! When a webhook is tried again, when it is given up, and when its endpoint is left alone: pure.
//!
//! A delivery is tried for three days, with pauses that double and vary. An endpoint that fails again and again is left
//! alone for a while (its circuit is open), and then one delivery at a time shows whether it is well. One that did nothing
//! but fail for three days is switched off.

use time::{Duration, OffsetDateTime};

/// How patient deliveries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Before the second attempt; each pause after it is twice as long.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// How long a delivery is tried, and how long an endpoint may do nothing but fail.
    pub give_up_after: Duration,
}

/// Failures in a row that open an endpoint's circuit.
pub const CIRCUIT_OPENS_AT: i32 = 5;
/// An endpoint's circuit stays open no longer than this at a time.
const LONGEST_OPEN: Duration = Duration::minutes(30);

/// How a delivery goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Then.
    Again(OffsetDateTime),
    /// Not by itself.
    Over,
}

impl Patience {
    /// After the `tries`-th failure in a row of a delivery that is tried since `since`. `chance` is any random number.
    pub fn after_failure(&self, tries: i32, since: OffsetDateTime, now: OffsetDateTime, chance: u16) -> Next {
        let end = since.saturating_add(self.give_up_after);
        if now >= end {
            return Next::Over;
        }
        let pause = varied(doubled(self.first_pause, tries - 1, self.longest_pause), chance);
        // The last attempt is at the very end of the time.
        Next::Again(now.saturating_add(pause).min(end))
    }
}

/// `first`, doubled so many times, at most `longest`.
fn doubled(first: Duration, times: i32, longest: Duration) -> Duration {
    let factor = 1_i32.checked_shl(times.clamp(0, 30).unsigned_abs()).unwrap_or(i32::MAX);
    first.saturating_mul(factor).min(longest)
}

/// Between half of it and the whole, so that what failed together does not come back together.
fn varied(pause: Duration, chance: u16) -> Duration {
    pause / 2 + (pause / 2) * f64::from(chance) / f64::from(u16::MAX)
}

/// How an endpoint has done lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// Failures since the last success.
    pub failures: i32,
    /// The first of them.
    pub failing_since: Option<OffsetDateTime>,
    /// It is left alone until then.
    pub open_until: Option<OffsetDateTime>,
}

impl Record {
    /// One more failure, of a delivery that is tried since `since` and goes on like this. The second says whether the
    /// endpoint is to be switched off.
    #[must_use]
    pub fn failed(
        self,
        patience: &Patience,
        since: OffsetDateTime,
        next: Next,
        now: OffsetDateTime,
        chance: u16,
    ) -> (Self, bool) {
        let failures = self.failures.saturating_add(1);
        let failing_since = self.failing_since.unwrap_or(now);
        let open_until = (failures >= CIRCUIT_OPENS_AT).then(|| {
            let pause = doubled(patience.first_pause, failures - CIRCUIT_OPENS_AT, LONGEST_OPEN);
            now.saturating_add(varied(pause, chance))
        });
        // Of a delivery that was given up, no success came in nearly all of its time.
        let whole_time = next == Next::Over && failing_since <= since.saturating_add(patience.give_up_after / 10);
        let too_long = now - failing_since >= patience.give_up_after;
        (Self { failures, failing_since: Some(failing_since), open_until }, whole_time || too_long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first_pause: Duration::seconds(10),
        longest_pause: Duration::hours(6),
        give_up_after: Duration::days(3),
    };
    const START: OffsetDateTime = time::macros::datetime!(2026-11-01 0:00 UTC);

    /// All attempts of a delivery that never succeeds.
    fn attempts(chance: u16) -> Vec<OffsetDateTime> {
        let mut at = vec![START];
        let mut now = START;
        while let Next::Again(next) = PATIENCE.after_failure(i32::try_from(at.len()).unwrap(), START, now, chance) {
            assert!(next > now);
            now = next;
            at.push(now);
        }
        at
    }

    /// Three days of attempts: the first soon, pauses that grow up to their limit, the last at the end.
    #[test]
    fn a_delivery_is_tried_for_three_days() {
        for chance in [0, 1, 30_000, u16::MAX] {
            let at = attempts(chance);
            assert!((20..60).contains(&at.len()), "{}", at.len());
            assert_eq!(*at.last().unwrap(), START + Duration::days(3));
            let pauses: Vec<Duration> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(pauses[0] >= Duration::seconds(5) && pauses[0] <= Duration::seconds(10));
            let (_, grown) = pauses.split_last().unwrap();
            assert!(grown.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
            assert!(pauses.iter().all(|pause| *pause <= Duration::hours(6)));
        }
        assert_ne!(attempts(0)[1], attempts(u16::MAX)[1], "two that failed together come back apart");
    }

    /// After its time, or with the strangest numbers, it is over or bounded.
    #[test]
    fn it_ends() {
        let end = START + Duration::days(3);
        assert_eq!(PATIENCE.after_failure(1, START, end, 0), Next::Over);
        assert_eq!(PATIENCE.after_failure(i32::MAX, START, end - Duration::seconds(1), 0), Next::Again(end));
        assert!(matches!(PATIENCE.after_failure(0, START, START, 0), Next::Again(_)));
        assert!(matches!(PATIENCE.after_failure(i32::MIN + 1, START, START, 0), Next::Again(_)));
    }

    /// The circuit opens at the fifth failure in a row, for longer each time, and never for longer than half an hour.
    #[test]
    fn a_failing_endpoint_is_left_alone() {
        let again = Next::Again(START);
        let mut record = Record::default();
        let mut last = Duration::ZERO;
        for failure in 1..40 {
            let off;
            (record, off) = record.failed(&PATIENCE, START, again, START, u16::MAX);
            assert!(!off);
            assert_eq!(record.failures, failure);
            assert_eq!(record.open_until.is_some(), failure >= CIRCUIT_OPENS_AT);
            let open = record.open_until.map_or(Duration::ZERO, |until| until - START);
            assert!(open >= last && open <= LONGEST_OPEN);
            last = open;
        }
        assert_eq!(last, LONGEST_OPEN);
    }

    /// Three days of nothing but failures switch an endpoint off; one success in between starts the time anew.
    #[test]
    fn only_days_of_failures_switch_an_endpoint_off() {
        let end = START + Duration::days(3);
        let failing = |since| Record { failures: 30, failing_since: Some(since), open_until: None };
        let off = |record: Record, since, next, now| record.failed(&PATIENCE, since, next, now, 0).1;
        let again = Next::Again(end);
        assert!(off(failing(START), START, again, end), "three days");
        assert!(!off(failing(START), START, again, end - Duration::seconds(1)), "a second less");
        assert!(off(failing(START + Duration::seconds(20)), START, Next::Over, end), "all of one delivery's time");
        assert!(!off(failing(START + Duration::days(2)), START, Next::Over, end), "it had a success in it");
        assert!(!off(Record::default(), START, Next::Over, end), "its first failure");
    }
}
