//! Money: a whole number of minor units and an ISO 4217 currency. JPY has no decimals, so 1000 is a thousand yen.

pub use iso_currency::Currency;
use serde::{Deserialize, Serialize};

/// The most that one payment may move, in minor units: eight digits, as Stripe has it; it fits the twelve of ISO 8583.
pub const MAX_AMOUNT_MINOR: i64 = 99_999_999;

/// A positive amount of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Minor units, 1 to [`MAX_AMOUNT_MINOR`] for a payment.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

/// The amount or the currency is not one that can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Below 1 or above [`MAX_AMOUNT_MINOR`].
    #[error("amount must be between 1 and {MAX_AMOUNT_MINOR} minor units")]
    Amount,
    /// Not an ISO 4217 code that cards can be charged in.
    #[error("not a supported three-letter ISO 4217 currency")]
    Currency,
}

impl Money {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`MoneyError::Amount`] out of bounds.
    pub fn new(amount_minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if (1..=MAX_AMOUNT_MINOR).contains(&amount_minor) {
            Ok(Self { amount_minor, currency })
        } else {
            Err(MoneyError::Amount)
        }
    }

    /// The currency as the API writes it: three lower-case letters.
    pub fn currency_code(&self) -> String {
        currency_code(self.currency)
    }
}

/// The currency as the API writes it: three lower-case letters.
pub fn currency_code(currency: Currency) -> String {
    currency.code().to_ascii_lowercase()
}

/// Reads a three-letter code in either case.
///
/// # Errors
/// [`MoneyError::Currency`] for anything that is not in use for payments.
pub fn parse_currency(code: &str) -> Result<Currency, MoneyError> {
    let code = code.to_ascii_uppercase();
    let currency = Currency::from_code(&code).ok_or(MoneyError::Currency)?;
    if currency.is_fund() || currency.is_special() || currency.exponent().is_none() {
        return Err(MoneyError::Currency);
    }
    Ok(currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds hold at both ends.
    #[test]
    fn amounts_have_bounds() {
        assert!(Money::new(1, Currency::JPY).is_ok());
        assert!(Money::new(MAX_AMOUNT_MINOR, Currency::JPY).is_ok());
        for amount in [0, -1, MAX_AMOUNT_MINOR + 1, i64::MIN, i64::MAX] {
            assert_eq!(Money::new(amount, Currency::JPY), Err(MoneyError::Amount));
        }
    }

    /// Codes are read in either case; funds, metals and test codes are no money.
    #[test]
    fn currencies_are_those_that_can_be_paid() {
        assert_eq!(parse_currency("jpy"), Ok(Currency::JPY));
        assert_eq!(parse_currency("USD"), Ok(Currency::USD));
        for code in ["", "jp", "xxx", "xau", "xts", "ééé"] {
            assert_eq!(parse_currency(code), Err(MoneyError::Currency));
        }
    }
}
