//! Until when a card may be used: the last moment of a month.

use kura_wire::vault::VaultErrorCode;
use time::OffsetDateTime;

/// How many years ahead a card may expire.
const MAX_YEARS_AHEAD: u16 = 20;

/// A month and a four-digit year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// 1 to 12.
    pub month: u8,
    /// Four digits.
    pub year: u16,
}

impl Expiry {
    /// Checks a month and a year against now. A card is good through its last month everywhere on earth.
    ///
    /// # Errors
    /// `ExpiryMonthInvalid`, `ExpiryYearInvalid` or `CardExpired`.
    pub fn parse(month: u8, year: u16, now: OffsetDateTime) -> Result<Self, VaultErrorCode> {
        if !(1..=12).contains(&month) {
            return Err(VaultErrorCode::ExpiryMonthInvalid);
        }
        // Half a day back: the month is not over until it is over in the last time zone.
        let now = now - time::Duration::hours(12);
        let this_year = u16::try_from(now.year()).unwrap_or(u16::MAX);
        if year < 2000 || year > this_year.saturating_add(MAX_YEARS_AHEAD) {
            return Err(VaultErrorCode::ExpiryYearInvalid);
        }
        if (year, month) < (this_year, u8::from(now.month())) {
            return Err(VaultErrorCode::CardExpired);
        }
        Ok(Self { month, year })
    }

    /// `YYMM`, as ISO 8583 field 14 has it.
    pub fn year_month(&self) -> String {
        format!("{:02}{:02}", self.year % 100, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// The month of expiry still counts, its end waits for the last time zone, and nonsense has its own word.
    #[test]
    fn a_card_lasts_through_its_month() {
        let at = |month, year| Expiry::parse(month, year, datetime!(2026-11-22 12:00 UTC)).err();
        assert_eq!(at(11, 2026), None);
        assert_eq!(at(10, 2026), Some(VaultErrorCode::CardExpired));
        assert_eq!(at(12, 2025), Some(VaultErrorCode::CardExpired));
        assert_eq!(at(13, 2030), Some(VaultErrorCode::ExpiryMonthInvalid));
        assert_eq!(at(0, 2030), Some(VaultErrorCode::ExpiryMonthInvalid));
        assert_eq!(at(1, 2047), Some(VaultErrorCode::ExpiryYearInvalid));
        assert_eq!(at(1, 30), Some(VaultErrorCode::ExpiryYearInvalid));
        assert!(Expiry::parse(11, 2026, datetime!(2026-12-01 11:59 UTC)).is_ok());
        assert!(Expiry::parse(11, 2026, datetime!(2026-12-01 12:01 UTC)).is_err());
        assert_eq!(Expiry { month: 3, year: 2030 }.year_month(), "3003");
    }
}
