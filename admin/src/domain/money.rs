//! Amounts as people read them: `¥1,000`, `$12.34`. The currency's own number of decimals, never floating point.

use kura_wire::money::parse_currency;

/// An amount in two parts, so that a page can set the code apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// With sign, symbol and separators.
    pub text: String,
    /// Three capital letters.
    pub code: String,
}

/// Formats minor units of a currency. A currency that isn't known is shown in minor units, with its code.
pub fn format(amount_minor: i64, currency: &str) -> Amount {
    let code = currency.to_ascii_uppercase();
    let decimals = parse_currency(currency).ok().and_then(|currency| currency.exponent()).unwrap_or(0);
    let unit = 10_u64.saturating_pow(u32::from(decimals));
    let absolute = amount_minor.unsigned_abs();
    let sign = if amount_minor < 0 { "−" } else { "" };
    let whole = group(absolute / unit);
    let fraction = match decimals {
        0 => String::new(),
        _ => format!(".{:0width$}", absolute % unit, width = usize::from(decimals)),
    };
    Amount { text: format!("{sign}{}{whole}{fraction}", symbol(&code)), code }
}

/// Only symbols that nobody mistakes beside the code.
fn symbol(code: &str) -> &'static str {
    match code {
        "JPY" => "¥",
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        "KRW" => "₩",
        _ => "",
    }
}

fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(amount_minor: i64, currency: &str) -> String {
        let amount = format(amount_minor, currency);
        format!("{} {}", amount.text, amount.code)
    }

    /// Yen has no decimals, dollars two, Kuwaiti dinars three; thousands are set apart.
    #[test]
    fn each_currency_has_its_own_decimals() {
        assert_eq!(text(1000, "jpy"), "¥1,000 JPY");
        assert_eq!(text(99_999_999, "jpy"), "¥99,999,999 JPY");
        assert_eq!(text(1234, "usd"), "$12.34 USD");
        assert_eq!(text(5, "usd"), "$0.05 USD");
        assert_eq!(text(123_456_789, "eur"), "€1,234,567.89 EUR");
        assert_eq!(text(1_234_567, "kwd"), "1,234.567 KWD");
        assert_eq!(text(0, "jpy"), "¥0 JPY");
    }

    /// Money given back has a minus in front of the symbol, and the edges of i64 don't overflow.
    #[test]
    fn negative_and_extreme_amounts_format() {
        assert_eq!(text(-1000, "jpy"), "−¥1,000 JPY");
        assert_eq!(text(i64::MIN, "usd"), "−$92,233,720,368,547,758.08 USD");
    }

    /// A code that no one knows is shown as it is, in minor units, rather than guessed at.
    #[test]
    fn unknown_currencies_are_not_guessed() {
        assert_eq!(text(1234, "zzz"), "1,234 ZZZ");
    }
}
