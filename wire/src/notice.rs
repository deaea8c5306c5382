//! What networks tell the gateway: of payments without a card, when the money is there or will not come, and of disputes
//! about cards. It is the one thing that comes in from them. Signed as Standard Webhooks has it (`webhook-id`, `webhook-timestamp`, `webhook-signature`), with a secret
//! of each network's own. It may come twice, late, and in any order.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dispute::{DisputeReason, DisputeState};
use crate::money::Money;
use crate::payer::PayerMethod;

/// Gateway, `POST` from a network, by the word of [`Network`]: `/networks/konbini/notices`. The body is a [`Notice`], from the card
/// network a [`DisputeNotice`]. It is sent until the answer is a 2xx.
pub const PATH_NOTICES: &str = "/networks/{network}/notices";

/// What happened to a request for a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The network's own id of it; the same when it comes twice.
    pub id: String,
    /// Which method.
    pub method: PayerMethod,
    /// What happened.
    pub kind: NoticeKind,
    /// The request's network reference.
    pub network_reference: String,
    /// What was paid.
    pub money: Money,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Where: a store's or a bank's name in one word.
    #[serde(default)]
    pub place: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The money is there, in time or late.
    Paid,
    /// The shopper or the wallet refused.
    Refused,
    /// Its time is over.
    Expired,
}

/// How a dispute about a charge stands. Each tells all of it; of two about one dispute the higher `version` is the newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisputeNotice {
    /// The network's own id of the notice; the same when it comes twice.
    pub id: String,
    /// The network's case number: 12 letters or digits.
    pub dispute: String,
    /// Counts the changes of this dispute from 1.
    pub version: u32,
    /// The disputed payment's network reference.
    pub network_reference: String,
    /// What the cardholder says.
    pub reason: DisputeReason,
    /// How it stands.
    pub state: DisputeState,
    /// How much is disputed: all of the payment, or a part.
    pub money: Money,
    /// Until when the merchant may answer.
    #[serde(with = "time::serde::rfc3339")]
    pub respond_by: OffsetDateTime,
    /// When it came to stand so.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// A payment network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Cards: the acquirer.
    Card,
    /// Convenience stores.
    Konbini,
    /// Pay-easy.
    Payeasy,
    /// E-money.
    Emoney,
}

impl Network {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Card, Self::Konbini, Self::Payeasy, Self::Emoney];

    /// The word in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Konbini => "konbini",
            Self::Payeasy => "payeasy",
            Self::Emoney => "emoney",
        }
    }
}

impl From<PayerMethod> for Network {
    fn from(method: PayerMethod) -> Self {
        match method {
            PayerMethod::Konbini => Self::Konbini,
            PayerMethod::Payeasy => Self::Payeasy,
            PayerMethod::Emoney => Self::Emoney,
        }
    }
}
