//! Lines of invoices, in words and numbers.

use kura_wire::ids::InvoiceLineId;
use kura_wire::money::parse_currency;
use serde_json::Map;
use time::OffsetDateTime;

use crate::domain::calendar::Recurring;
use crate::store::invoice_lines::Line;
use crate::store::subscription_items::Item;
use crate::store::subscriptions::Subscription;

/// For which time a line is.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// From here.
    pub start: OffsetDateTime,
    /// To here.
    pub end: OffsetDateTime,
}

/// A line of an item for this time. `amount` and `words` are its own.
pub fn of_item(
    id: InvoiceLineId,
    subscription: &Subscription,
    item: &Item,
    span: Span,
    amount: i64,
    words: String,
    at: OffsetDateTime,
) -> Line {
    Line {
        id,
        customer: subscription.customer,
        invoice: None,
        subscription: Some(subscription.id),
        item: Some(item.id),
        price: Some(item.price.id),
        product: Some(item.price.product),
        place: 0,
        amount,
        unit_amount: Some(item.price.unit_amount),
        quantity: item.quantity,
        currency: item.price.currency.clone(),
        description: Some(words.chars().take(500).collect()),
        proration: false,
        waited: false,
        period_start_at: span.start,
        period_end_at: span.end,
        metadata: Map::new(),
        created_at: at,
    }
}

/// `2 × 定期便 (at ¥3,980 / month)`.
pub fn words(item: &Item) -> String {
    format!(
        "{} × {} (at {} / {})",
        item.quantity,
        item.product_name,
        price(item.price.unit_amount, &item.price.currency),
        every(item.recurring)
    )
}

/// `Trial period for 定期便`.
pub fn trial_words(item: &Item) -> String {
    format!("Trial period for {}", item.product_name)
}

/// `month`, `every 3 months`.
fn every(recurring: Recurring) -> String {
    let unit = recurring.interval.as_str();
    if recurring.count == 1 { unit.to_owned() } else { format!("every {} {unit}s", recurring.count) }
}

/// An amount with the sign of its currency.
pub fn price(amount: i64, currency: &str) -> String {
    let Ok(currency) = parse_currency(currency) else { return amount.to_string() };
    let exponent = usize::from(currency.exponent().unwrap_or(0));
    let unit = 10_i64.pow(u32::try_from(exponent).unwrap_or(0));
    let whole = grouped(amount / unit);
    let rest = if exponent == 0 { String::new() } else { format!(".{:0exponent$}", (amount % unit).abs()) };
    format!("{}{whole}{rest}", currency.symbol())
}

fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::Interval;

    /// Yen have no decimals, dollars two; thousands are grouped.
    #[test]
    fn amounts_are_written_as_people_do() {
        assert_eq!(price(3980, "jpy"), "¥3,980");
        assert_eq!(price(980, "jpy"), "¥980");
        assert_eq!(price(1_234_567, "usd"), "$12,345.67");
        assert_eq!(price(5, "usd"), "$0.05");
        assert_eq!(every(Recurring { interval: Interval::Month, count: 3 }), "every 3 months");
        assert_eq!(every(Recurring { interval: Interval::Day, count: 1 }), "day");
    }
}
