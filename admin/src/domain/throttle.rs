//! How long somebody must wait before another password is looked at.
//!
//! Two counts decide, of one account's failures since it last signed in and of one address's failures, both in the last
//! hour. An attempt is written down before its password is looked at, so that a burst of attempts counts itself.

use std::time::Duration;

use time::OffsetDateTime;

/// Failures older than this are forgotten.
pub const WINDOW: Duration = Duration::from_secs(60 * 60);
/// Attempts at one account that are looked at without a wait.
const FREE_PER_ACCOUNT: i64 = 5;
/// Attempts from one address that are looked at without a wait.
const FREE_PER_ADDRESS: i64 = 20;
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// Bounded, so that a stranger who knows an e-mail can delay its owner but never lock them out.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// What was seen in the window, the attempt under decision left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Attempts that failed or are still open.
    pub count: i64,
    /// The latest of them.
    pub last_at: Option<OffsetDateTime>,
}

/// Whether this attempt's password is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    LookAt,
    /// It is not; try again after this long.
    Wait(Duration),
}

/// Decides on an attempt made at `now`.
pub fn decide(account: Seen, address: Seen, now: OffsetDateTime) -> Verdict {
    let wait = left(account, FREE_PER_ACCOUNT, now).max(left(address, FREE_PER_ADDRESS, now));
    if wait.is_zero() { Verdict::LookAt } else { Verdict::Wait(wait) }
}

/// Doubles with each failure past the free ones, and runs from the latest failure.
fn left(seen: Seen, free: i64, now: OffsetDateTime) -> Duration {
    let Some(last_at) = seen.last_at else { return Duration::ZERO };
    if seen.count < free {
        return Duration::ZERO;
    }
    let past_free = u32::try_from(seen.count - free).unwrap_or(u32::MAX);
    let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(past_free)).min(MAX_WAIT);
    let gone = Duration::try_from(now - last_at).unwrap_or_default();
    wait.saturating_sub(gone)
}

/// Whole minutes or seconds, rounded up: what a person is told.
pub fn in_words(wait: Duration) -> (u64, Unit) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    if seconds <= 90 { (seconds.max(1), Unit::Seconds) } else { (seconds.div_ceil(60), Unit::Minutes) }
}

/// The unit of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);

    fn seen(count: i64, seconds_ago: i64) -> Seen {
        Seen { count, last_at: Some(NOW - time::Duration::seconds(seconds_ago)) }
    }

    /// Five attempts at an account are looked at; the sixth waits, and each failure after that waits twice as long.
    #[test]
    fn the_sixth_failure_in_a_row_waits_and_waits_double() {
        assert_eq!(decide(Seen::default(), Seen::default(), NOW), Verdict::LookAt);
        assert_eq!(decide(seen(4, 0), Seen::default(), NOW), Verdict::LookAt);
        assert_eq!(decide(seen(5, 0), Seen::default(), NOW), Verdict::Wait(Duration::from_secs(15)));
        assert_eq!(decide(seen(6, 0), Seen::default(), NOW), Verdict::Wait(Duration::from_secs(30)));
        assert_eq!(decide(seen(6, 29), Seen::default(), NOW), Verdict::Wait(Duration::from_secs(1)));
        assert_eq!(decide(seen(6, 30), Seen::default(), NOW), Verdict::LookAt);
    }

    /// The wait never grows past its bound, however many failures there are, so nobody is locked out for good.
    #[test]
    fn the_wait_is_bounded() {
        for count in [12, 100, i64::from(u32::MAX), i64::MAX] {
            assert_eq!(decide(seen(count, 0), Seen::default(), NOW), Verdict::Wait(MAX_WAIT));
        }
    }

    /// One address that tries many accounts is slowed down too, at its own count.
    #[test]
    fn an_address_that_tries_many_accounts_waits() {
        assert_eq!(decide(seen(1, 0), seen(19, 0), NOW), Verdict::LookAt);
        assert_eq!(decide(seen(1, 0), seen(20, 0), NOW), Verdict::Wait(Duration::from_secs(15)));
    }

    /// A clock that went back doesn't lengthen the wait past its bound, nor panic.
    #[test]
    fn a_failure_from_the_future_waits_no_longer_than_the_bound() {
        assert_eq!(decide(seen(100, -3600), Seen::default(), NOW), Verdict::Wait(MAX_WAIT));
    }

    /// A wait is told in whole units and never as nothing.
    #[test]
    fn waits_are_told_in_whole_units() {
        assert_eq!(in_words(Duration::from_millis(1)), (1, Unit::Seconds));
        assert_eq!(in_words(Duration::from_millis(14_200)), (15, Unit::Seconds));
        assert_eq!(in_words(Duration::from_secs(91)), (2, Unit::Minutes));
        assert_eq!(in_words(MAX_WAIT), (15, Unit::Minutes));
    }
}
