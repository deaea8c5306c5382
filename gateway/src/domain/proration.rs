//! What a part of a period costs, to the second.

use time::OffsetDateTime;

/// What is left of an amount for the rest of a period, from this moment on. Halves are rounded up.
pub fn rest(amount: i64, start: OffsetDateTime, end: OffsetDateTime, from: OffsetDateTime) -> i64 {
    let whole = i128::from((end - start).whole_seconds());
    let left = i128::from((end - from.max(start)).whole_seconds()).clamp(0, whole.max(0));
    if whole <= 0 {
        return 0;
    }
    let doubled = i128::from(amount) * left * 2 + whole;
    i64::try_from(doubled.div_euclid(whole * 2)).unwrap_or(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    /// Half of April is half of the price; before it begins it is all of it, after its end nothing.
    #[test]
    fn a_part_costs_its_part() {
        let (start, end) = (datetime!(2027-04-01 0:00 UTC), datetime!(2027-05-01 0:00 UTC));
        assert_eq!(rest(3000, start, end, datetime!(2027-04-16 0:00 UTC)), 1500);
        assert_eq!(rest(3001, start, end, datetime!(2027-04-16 0:00 UTC)), 1501);
        assert_eq!(rest(3000, start, end, datetime!(2027-03-01 0:00 UTC)), 3000);
        assert_eq!(rest(3000, start, end, end), 0);
        assert_eq!(rest(3000, start, end, datetime!(2027-06-01 0:00 UTC)), 0);
        assert_eq!(rest(99_999_999, start, end, start), 99_999_999);
        assert_eq!(rest(100, end, start, start), 0);
    }

    proptest! {
        /// Later never costs more, and what was used and what is left are the whole, but for the rounding of one unit.
        #[test]
        fn parts_add_up(amount in 0_i64..100_000_000, length in 1_i64..100_000_000, used in 0_i64..100_000_000, more in 0_i64..1_000_000) {
            let start = datetime!(2027-04-01 0:00 UTC);
            let at = |seconds: i64| start + time::Duration::seconds(seconds.min(length));
            let left = rest(amount, start, at(length), at(used));
            prop_assert!((0..=amount).contains(&left));
            prop_assert!(rest(amount, start, at(length), at(used + more)) <= left);
            let exact = i128::from(amount) * i128::from(length - used.min(length));
            let off = i128::from(left) * i128::from(length) - exact;
            prop_assert!(off.abs() * 2 <= i128::from(length));
        }
    }
}
