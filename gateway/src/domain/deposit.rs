//! What a payment without a card may be, and until when it can be brought.

use kura_wire::payer::PayerMethod;
use time::{Duration, OffsetDateTime, Time, UtcOffset};

/// Japan has no summer time.
const JAPAN: UtcOffset = match UtcOffset::from_hms(9, 0, 0) {
    Ok(offset) => offset,
    Err(_) => UtcOffset::UTC,
};
/// Days that a shopper has, where nothing was said: until the end of the third day.
const DAYS: u8 = 3;
/// The most days.
pub const MAX_DAYS: u8 = 60;
/// How long a wallet's page is good.
const WALLET_TIME: Duration = Duration::hours(1);
/// The shortest time that a shopper gets to go to a store or a bank.
const SHORTEST: Duration = Duration::minutes(30);
/// The shortest in a wallet.
const SHORTEST_WALLET: Duration = Duration::minutes(1);

/// The least and the most yen that a network takes.
pub const fn limits(method: PayerMethod) -> (i64, i64) {
    match method {
        PayerMethod::Konbini => (120, 300_000),
        PayerMethod::Payeasy => (100, 300_000),
        PayerMethod::Emoney => (1, 100_000),
    }
}

/// When a deposit is too late, or `None` where the wish is out of bounds: an exact moment goes before a number of days.
pub fn expiry(
    method: PayerMethod,
    now: OffsetDateTime,
    at: Option<OffsetDateTime>,
    days: Option<u8>,
) -> Option<OffsetDateTime> {
    let shortest = if method == PayerMethod::Emoney { SHORTEST_WALLET } else { SHORTEST };
    let latest = end_of_day(now, MAX_DAYS)?;
    match (at, method) {
        (Some(at), _) => (now + shortest <= at && at <= latest).then_some(at),
        (None, PayerMethod::Emoney) => Some(now + WALLET_TIME),
        (None, PayerMethod::Konbini | PayerMethod::Payeasy) => {
            let end = end_of_day(now, days.unwrap_or(DAYS))?;
            // Asked for just before midnight, "today" is over too soon.
            Some(end.max(now + shortest))
        }
    }
}

/// The last second of the day that is so many days after today, in Japan.
fn end_of_day(now: OffsetDateTime, days: u8) -> Option<OffsetDateTime> {
    let day = now.to_offset(JAPAN).date().checked_add(Duration::days(i64::from(days)))?;
    Some(day.with_time(Time::from_hms(23, 59, 59).ok()?).assume_offset(JAPAN).to_offset(UtcOffset::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// Days end in Japan, not in Greenwich.
    #[test]
    fn days_end_in_japan() {
        let now = datetime!(2026-11-25 16:00 UTC); // 1 o'clock on the 26th in Japan.
        let until = expiry(PayerMethod::Konbini, now, None, Some(0)).unwrap();
        assert_eq!(until, datetime!(2026-11-26 14:59:59 UTC));
        assert_eq!(expiry(PayerMethod::Payeasy, now, None, None).unwrap(), datetime!(2026-11-29 14:59:59 UTC));
        assert_eq!(expiry(PayerMethod::Emoney, now, None, None).unwrap(), now + WALLET_TIME);
        let late = datetime!(2026-11-25 14:59:50 UTC);
        assert_eq!(expiry(PayerMethod::Konbini, late, None, Some(0)).unwrap(), late + SHORTEST);
    }

    /// An exact moment is taken where it leaves time to go, and is not further off than any.
    #[test]
    fn moments_are_bounded() {
        let now = datetime!(2026-11-25 03:00 UTC);
        let at = |moment| expiry(PayerMethod::Konbini, now, Some(moment), Some(1));
        assert_eq!(at(now + SHORTEST), Some(now + SHORTEST));
        assert_eq!(at(now + SHORTEST - Duration::seconds(1)), None);
        assert_eq!(at(now + Duration::days(62)), None);
        assert_eq!(
            expiry(PayerMethod::Emoney, now, Some(now + Duration::minutes(2)), None),
            Some(now + Duration::minutes(2))
        );
    }
}
