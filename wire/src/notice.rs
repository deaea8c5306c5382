//! What networks tell the gateway of payments without a card, when the money is there or will not come: the one thing that
//! comes in from them. Signed as Standard Webhooks has it (`webhook-id`, `webhook-timestamp`, `webhook-signature`), with a secret
//! of each network's own. It may come twice, late, and in any order.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::money::Money;
use crate::payer::PayerMethod;

/// Gateway, `POST` [`Notice`] from the network that serves this method: `/networks/konbini/notices`.
pub const PATH_NOTICES: &str = "/networks/{method}/notices";

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
