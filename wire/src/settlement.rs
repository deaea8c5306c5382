//! What a network says it has settled on a day, to hold the books against. No card and no payer data is in it.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::money::Money;
use crate::notice::Network;

/// `POST` [`ReadSettlement`], answers [`SettlementPage`].
pub const PATH_SETTLEMENT: &str = "/v1/settlement";

/// Rows of one page at the most.
pub const MAX_ROWS: usize = 200;

/// A page of a day's settlement, of all merchants. A day's rows are complete once the day (UTC) is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadSettlement {
    /// False for the test networks.
    pub livemode: bool,
    /// Whose.
    pub network: Network,
    /// Which day, in UTC: `2026-11-25`.
    #[serde(with = "day")]
    pub day: Date,
    /// Rows after this `sequence`; 0 from the beginning.
    #[serde(default)]
    pub after: u64,
}

/// Rows in the order in which they were settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementPage {
    /// The rows.
    pub rows: Vec<SettlementRow>,
    /// Whether more follow the last one.
    pub has_more: bool,
}

/// One movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementRow {
    /// Its place in the network's own books: ascending.
    pub sequence: u64,
    /// The network reference of what moved it.
    pub network_reference: String,
    /// The reference of the payment that it follows.
    pub original: Option<String>,
    /// What it is.
    pub kind: SettlementKind,
    /// How much; the kind says in which direction.
    pub money: Money,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettlementKind {
    /// To the merchant: a purchase, a capture, a deposit.
    Payment,
    /// From the merchant.
    Refund,
    /// A payment that was taken back after all: from the merchant.
    Reversal,
    /// A refund that was taken back: to the merchant.
    RefundReversal,
    /// Disputed: from the merchant.
    Chargeback,
    /// A dispute that was won: to the merchant.
    ChargebackReversal,
}

/// A day as people write it.
pub(crate) mod day {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use time::Date;
    use time::macros::format_description;

    pub(crate) fn serialize<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(day)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        Date::parse(&text, format_description!("[year]-[month]-[day]")).map_err(|_| D::Error::custom("not a day"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day is written as people write it, and nothing else is one.
    #[test]
    fn days_are_days() {
        let json = r#"{"livemode":false,"network":"konbini","day":"2026-11-25"}"#;
        let read: ReadSettlement = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap()["day"], "2026-11-25");
        assert!(serde_json::from_str::<ReadSettlement>(&json.replace("11-25", "11-31")).is_err());
    }
}
