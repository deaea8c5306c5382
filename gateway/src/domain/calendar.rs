//! Periods: every so many days, weeks, months or years from an anchor, in UTC.
//!
//! The n-th boundary is counted from the anchor, never from the one before it. So what began on the 31st is due on the last day
//! of short months and on the 31st again after them, and what began on 29 February is due on the 28th in other years.

use time::{Duration, Month, OffsetDateTime};

/// The unit of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// 24 hours.
    Day,
    /// Seven of them.
    Week,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
}

impl Interval {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.as_str() == word)
    }

    /// The most of them that one period may have: three years.
    pub const fn most(self) -> i32 {
        match self {
            Self::Day => 1095,
            Self::Week => 156,
            Self::Month => 36,
            Self::Year => 3,
        }
    }
}

/// How often something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurring {
    /// The unit.
    pub interval: Interval,
    /// How many of them, 1 to [`Interval::most`].
    pub count: i32,
}

impl Recurring {
    /// The n-th boundary from the anchor; before it where `n` is negative. `None` past the end of the calendar.
    pub fn boundary(self, anchor: OffsetDateTime, n: i32) -> Option<OffsetDateTime> {
        let units = self.count.checked_mul(n)?;
        match self.interval {
            Interval::Day => anchor.checked_add(Duration::days(units.into())),
            Interval::Week => anchor.checked_add(Duration::weeks(units.into())),
            Interval::Month => add_months(anchor, units),
            Interval::Year => add_months(anchor, units.checked_mul(12)?),
        }
    }

    /// The first boundary after this moment.
    pub fn next_after(self, anchor: OffsetDateTime, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let mut n = self.guess(anchor, at);
        while self.boundary(anchor, n)? > at {
            n = n.checked_sub(1)?;
        }
        while self.boundary(anchor, n)? <= at {
            n = n.checked_add(1)?;
        }
        self.boundary(anchor, n)
    }

    /// The last boundary that is not after this moment.
    pub fn last_until(self, anchor: OffsetDateTime, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let mut n = self.guess(anchor, at);
        while self.boundary(anchor, n)? <= at {
            n = n.checked_add(1)?;
        }
        while self.boundary(anchor, n)? > at {
            n = n.checked_sub(1)?;
        }
        self.boundary(anchor, n)
    }

    /// About which boundary it is: off by one or two at the most.
    fn guess(self, anchor: OffsetDateTime, at: OffsetDateTime) -> i32 {
        let units = match self.interval {
            Interval::Day => (at - anchor).whole_days(),
            Interval::Week => (at - anchor).whole_weeks(),
            Interval::Month => i64::from(month_number(at)) - i64::from(month_number(anchor)),
            Interval::Year => i64::from(at.year()) - i64::from(anchor.year()),
        };
        i32::try_from(units / i64::from(self.count.max(1))).unwrap_or(0)
    }
}

fn month_number(at: OffsetDateTime) -> i32 {
    at.year() * 12 + i32::from(u8::from(at.month())) - 1
}

/// The same day of another month, or its last day.
fn add_months(at: OffsetDateTime, months: i32) -> Option<OffsetDateTime> {
    let number = month_number(at).checked_add(months)?;
    let year = number.div_euclid(12);
    let month = Month::try_from(u8::try_from(number.rem_euclid(12) + 1).ok()?).ok()?;
    let day = at.day().min(month.length(year));
    let date = time::Date::from_calendar_date(year, month, day).ok()?;
    Some(at.replace_date(date))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const MONTHLY: Recurring = Recurring { interval: Interval::Month, count: 1 };

    /// The 31st comes back after short months; leap days come back in leap years.
    #[test]
    fn ends_of_months_come_back() {
        let anchor = datetime!(2027-01-31 10:00 UTC);
        let days = (1..=5).map(|n| MONTHLY.boundary(anchor, n).unwrap().date().to_string()).collect::<Vec<_>>();
        assert_eq!(days, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30"]);
        assert_eq!(MONTHLY.boundary(datetime!(2028-01-30 0:00 UTC), 1), Some(datetime!(2028-02-29 0:00 UTC)));
        let yearly = Recurring { interval: Interval::Year, count: 1 };
        let leap = datetime!(2028-02-29 23:59:59 UTC);
        assert_eq!(yearly.boundary(leap, 1), Some(datetime!(2029-02-28 23:59:59 UTC)));
        assert_eq!(yearly.boundary(leap, 4), Some(datetime!(2032-02-29 23:59:59 UTC)));
        assert_eq!(MONTHLY.next_after(anchor, datetime!(2027-02-28 10:00 UTC)), Some(datetime!(2027-03-31 10:00 UTC)));
        assert_eq!(MONTHLY.last_until(anchor, datetime!(2027-03-31 09:59 UTC)), Some(datetime!(2027-02-28 10:00 UTC)));
    }

    /// Past the calendar's end there is none, and nothing overflows.
    #[test]
    fn the_calendar_has_an_end() {
        assert_eq!(MONTHLY.boundary(datetime!(9999-12-31 0:00 UTC), 1), None);
        assert_eq!(
            Recurring { interval: Interval::Year, count: 3 }.boundary(OffsetDateTime::UNIX_EPOCH, i32::MAX),
            None
        );
    }

    proptest! {
        /// Whatever the anchor and the moment: the moment is within the period that is found, which is one step long.
        #[test]
        fn every_moment_is_in_one_period(
            anchor in 0_i64..8_000_000_000, off in -2_000_000_000_i64..4_000_000_000, unit in 0_usize..4, count in 1_i32..37
        ) {
            let interval = Interval::ALL[unit];
            let recurring = Recurring { interval, count: count.min(interval.most()) };
            let anchor = OffsetDateTime::from_unix_timestamp(anchor).unwrap();
            let at = anchor + Duration::seconds(off);
            let (start, end) = (recurring.last_until(anchor, at).unwrap(), recurring.next_after(anchor, at).unwrap());
            prop_assert!(start <= at && at < end);
            prop_assert_eq!(recurring.next_after(anchor, start), Some(end));
            prop_assert_eq!(start.time(), anchor.time());
        }
    }
}
