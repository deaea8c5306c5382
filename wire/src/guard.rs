//! The vault's guard, as its operators see it: alerts, freezes, canaries. No card data beyond BIN and last four.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::card::CardSummary;
use crate::ids::{CardToken, MerchantId, RequestId};

/// Vault, `GET` with [`AlertQuery`]: a list of [`Alert`], newest first.
pub const PATH_ALERTS: &str = "/control/v1/alerts";
/// Vault, `GET` with [`FreezeQuery`]: a list of [`Freeze`], newest first.
pub const PATH_FREEZES: &str = "/control/v1/freezes";
/// Vault, `POST` [`Release`]: the [`Freeze`] that was released; 409 when it was released before.
pub const PATH_RELEASE: &str = "/control/v1/freezes/release";
/// Vault, `GET`: a list of [`CanaryGroup`]. `POST` [`MakeCanaries`]: a list of [`SavedCard`].
pub const PATH_CANARIES: &str = "/control/v1/canaries";
/// Vault, `POST`: retires all canaries and makes as many new ones; a list of [`SavedCard`].
pub const PATH_CANARIES_ROTATE: &str = "/control/v1/canaries/rotate";
/// Vault, `GET`: the merchants that have cards, as a list of [`MerchantId`].
pub const PATH_CARD_MERCHANTS: &str = "/control/v1/card_merchants";
/// Gateway, `POST` [`SavedCard`]: puts a saved card among a merchant's own.
pub const PATH_SAVED_CARDS: &str = "/control/v1/saved_cards";

/// Canaries made by one request at the most.
pub const MAX_CANARIES: u16 = 100;

/// Which alerts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertQuery {
    /// 1 to 1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
    /// Only those after this one: the greatest [`Alert::id`] that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// Something that a person must look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alert {
    /// Grows.
    pub id: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What: `budget_exceeded`, `canary_used`, `sealed_data_unopenable`, …
    pub kind: String,
    /// Whose record.
    pub merchant: Option<MerchantId>,
    /// The record, 32 hexadecimal digits.
    pub record: Option<String>,
    /// The request.
    pub request_id: Option<RequestId>,
    /// Who asked.
    pub peer: Option<String>,
    /// For what.
    pub purpose: Option<String>,
}

/// Which freezes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeQuery {
    /// Those that were released too.
    #[serde(default)]
    pub all: bool,
}

/// What a peer may not do any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Freeze {
    /// Names it.
    pub id: i64,
    /// Who.
    pub peer: String,
    /// What.
    pub purpose: String,
    /// Why: `budget_exceeded`, `canary_used`.
    pub reason: String,
    /// The node that found out.
    pub node: u16,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub frozen_at: OffsetDateTime,
    /// Until when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub released_at: Option<OffsetDateTime>,
    /// By whom.
    pub released_by: Option<String>,
    /// Why.
    pub release_reason: Option<String>,
}

/// Let a peer do it again. What was counted is forgiven: the current minute and day begin anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The freeze.
    pub id: i64,
    /// Who asks for it, beside the certificate.
    pub by: String,
    /// Why: 1 to 500 characters.
    pub reason: String,
}

/// Make records that nobody has a reason to use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeCanaries {
    /// Among whose cards.
    pub merchant: MerchantId,
    /// Test or live.
    pub livemode: bool,
    /// 1 to [`MAX_CANARIES`].
    pub count: u16,
    /// The first six digits; those of the merchant's own cards when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bin: Option<String>,
}

/// How many canaries a merchant has. Which records they are can't be listed: only a keyed hash of each is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CanaryGroup {
    /// Among whose cards.
    pub merchant: MerchantId,
    /// Test or live.
    pub livemode: bool,
    /// In force.
    pub active: i64,
    /// Replaced; watched all the same.
    pub retired: i64,
    /// When the newest was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
}

/// A saved card for the gateway's books, like all others there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCard {
    /// Whose.
    pub merchant: MerchantId,
    /// Test or live.
    pub livemode: bool,
    /// Its `pm_`.
    pub token: CardToken,
    /// What may be known of it.
    pub card: CardSummary,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was saved.
    #[serde(with = "time::serde::rfc3339")]
    pub saved_at: OffsetDateTime,
}
