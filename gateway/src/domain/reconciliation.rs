//! What a row of a network's settlement counts for.

use kura_wire::settlement::{SettlementKind, SettlementRow};
use time::OffsetDateTime;

/// A row, and what it counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The network's.
    pub sequence: i64,
    /// The network's word.
    pub kind: &'static str,
    /// The row's own reference.
    pub reference: String,
    /// `payment`, `refund` or `dispute`.
    pub class: &'static str,
    /// By whose reference it counts.
    pub subject: String,
    /// More of its class, or less.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// When.
    pub at: OffsetDateTime,
}

/// What takes something back counts, as less, for what it takes back; a dispute for the payment that is disputed; everything else
/// for itself. `None` for a sequence that no table holds.
pub fn count(row: &SettlementRow) -> Option<Counted> {
    use SettlementKind as K;
    let (kind, class, sign, by_original) = match row.kind {
        K::Payment => ("payment", "payment", 1, false),
        K::Refund => ("refund", "refund", 1, false),
        K::Reversal => ("reversal", "payment", -1, true),
        K::RefundReversal => ("refund_reversal", "refund", -1, true),
        K::Chargeback => ("chargeback", "dispute", 1, true),
        K::ChargebackReversal => ("chargeback_reversal", "dispute", -1, true),
    };
    let original = row.original.as_ref().filter(|_| by_original);
    Some(Counted {
        sequence: i64::try_from(row.sequence).ok()?,
        kind,
        reference: row.network_reference.clone(),
        class,
        subject: original.unwrap_or(&row.network_reference).clone(),
        amount_minor: sign * row.money.amount_minor,
        currency: row.money.currency.code().to_ascii_lowercase(),
        at: row.at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::money::{Currency, Money};

    /// A payment and its reversal are nothing together; a refund counts for itself, a dispute for its payment.
    #[test]
    fn what_takes_back_counts_for_what_it_takes_back() {
        let row = |kind, reference: &str, original: Option<&str>| {
            let row = SettlementRow {
                sequence: 7,
                network_reference: reference.into(),
                original: original.map(str::to_owned),
                kind,
                money: Money { amount_minor: 100, currency: Currency::JPY },
                at: time::macros::datetime!(2026-11-25 10:00 UTC),
            };
            let counted = count(&row).unwrap();
            (counted.class, counted.subject, counted.amount_minor, counted.currency)
        };
        let counted = |class, subject: &str, amount| (class, subject.to_owned(), amount, "jpy".to_owned());
        assert_eq!(row(SettlementKind::Payment, "P", None), counted("payment", "P", 100));
        assert_eq!(row(SettlementKind::Payment, "C", Some("A")), counted("payment", "C", 100));
        assert_eq!(row(SettlementKind::Reversal, "X", Some("P")), counted("payment", "P", -100));
        assert_eq!(row(SettlementKind::Refund, "R", Some("P")), counted("refund", "R", 100));
        assert_eq!(row(SettlementKind::RefundReversal, "Y", Some("R")), counted("refund", "R", -100));
        assert_eq!(row(SettlementKind::Chargeback, "D", Some("P")), counted("dispute", "P", 100));
        assert_eq!(row(SettlementKind::ChargebackReversal, "E", Some("P")), counted("dispute", "P", -100));
    }
}
