//! The control planes: what the console may ask of the gateway and of the vault. Never card data beyond BIN and last four.
//!
//! Both answer JSON over mTLS to the admin certificate alone.

pub mod keys;
pub mod reconciliation;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{AttemptId, MerchantId, PaymentIntentId, RequestId};

/// Gateway, `GET` with [`PaymentQuery`]: [`PaymentPage`].
pub const PATH_PAYMENTS: &str = "/control/v1/payments";
/// Gateway, `GET`: [`PaymentDetail`], or 404.
pub const PATH_PAYMENT: &str = "/control/v1/payments/{id}";
/// Vault, `GET` with [`OpeningQuery`]: a list of [`Opening`].
pub const PATH_OPENINGS: &str = "/control/v1/openings";
/// Both, `GET`: [`ServiceStatus`].
pub const PATH_STATUS: &str = "/control/v1/status";

/// Payments on one page at the most.
pub const MAX_PAGE_LEN: u32 = 100;

/// Which payments, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentQuery {
    /// 1 to [`MAX_PAGE_LEN`]; 25 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only those older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PaymentIntentId>,
    /// Only those in this state, such as `succeeded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only this merchant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
}

/// One page of payments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaymentPage {
    /// Newest first.
    pub payments: Vec<PaymentSummary>,
    /// Whether older ones exist.
    pub has_more: bool,
}

/// One payment, in a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaymentSummary {
    /// Its id.
    pub id: PaymentIntentId,
    /// Whose.
    pub merchant: MerchantId,
    /// The merchant's name.
    pub merchant_name: String,
    /// Test or live.
    pub livemode: bool,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The PaymentIntent's status, in Stripe's words.
    pub status: String,
    /// Minor units asked for.
    pub amount_minor: i64,
    /// Minor units received.
    pub amount_received_minor: i64,
    /// Minor units given back.
    pub amount_refunded_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// Brand and last four, once a card is named.
    pub card: Option<CardGlimpse>,
    /// The last decline or failure code.
    pub failure_code: Option<String>,
}

/// The most that a screen ever shows of a card.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardGlimpse {
    /// Its network.
    pub brand: String,
    /// The first six digits.
    pub bin: String,
    /// The last four digits.
    pub last_four: String,
}

/// One payment with all that happened to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PaymentDetail {
    /// The row.
    pub payment: PaymentSummary,
    /// The merchant's own words for it.
    pub description: Option<String>,
    /// Oldest first.
    pub timeline: Vec<TimelineEntry>,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What: `created`, `processing`, `succeeded`, `declined`, `captured`, `canceled`, `refunded`, `resolved`, …
    pub kind: String,
    /// The request that did it; none for a worker.
    pub request_id: Option<RequestId>,
    /// The attempt at the network, if there was one.
    pub attempt: Option<AttemptId>,
    /// What the network knows it by.
    pub network_reference: Option<String>,
    /// Minor units that moved.
    pub amount_minor: Option<i64>,
    /// A decline or failure code, or other word of a closed set.
    pub code: Option<String>,
}

/// Which openings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningQuery {
    /// Those for these attempts, comma-separated, 100 at the most.
    pub attempts: String,
}

/// One row of the access ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opening {
    /// Its place in the ledger of its node.
    pub sequence: i64,
    /// The node.
    pub node: u16,
    /// Durable at, before the use.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The certificate that asked.
    pub actor: String,
    /// The request.
    pub request_id: RequestId,
    /// Whose record.
    pub merchant: MerchantId,
    /// The record, as letters without a permission prefix: `card_…`.
    pub record: String,
    /// Which fields were opened.
    pub fields: Vec<String>,
    /// Why: `authorize`, `capture`, `void`, `refund`, `reverse`.
    pub purpose: String,
    /// The attempt.
    pub attempt: Option<AttemptId>,
}

/// What a service says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub service: String,
    /// Its version.
    pub version: String,
    /// Since when it runs.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// Whether it can do its work.
    pub ready: bool,
    /// Each check by name, and whether it holds.
    pub checks: Vec<(String, bool)>,
}

/// Why a control plane did not do it. Closed: nothing else crosses the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ControlCode {
    /// The request is not one of this interface.
    #[error("malformed request")]
    Malformed,
    /// There is no such thing.
    #[error("no such object")]
    NotFound,
    /// What it would change has changed meanwhile, or the same is already under way.
    #[error("in conflict with the present state")]
    Conflict,
    /// What destroys was not confirmed with the id of what it destroys.
    #[error("not confirmed: give the id of what is to be destroyed")]
    NotConfirmed,
    /// The vault is sealed.
    #[error("the vault is sealed")]
    Sealed,
    /// A box's key is unknown here, or its time is over: fetch the keys and seal anew.
    #[error("the box's key expired or is unknown")]
    SealingKeyExpired,
    /// A box does not open for what it was sent for.
    #[error("the sealed box does not open")]
    BoxUnopenable,
    /// Too often; wait and try again.
    #[error("too many tries; wait a minute")]
    TooManyTries,
    /// The database or another part is away; nothing is known to have changed.
    #[error("unavailable")]
    Unavailable,
    /// A share that was entered can't be read: it was mistyped, or is a sample.
    #[error("that is no share; check it for typing errors")]
    ShareMalformed,
    /// The box around a share does not open: another node's key, an old one, another purpose.
    #[error("that share was not sealed to this node now; load its keys again")]
    ShareUnopenable,
    /// This share was entered already.
    #[error("that share was entered already; each custodian enters their own")]
    ShareDuplicate,
    /// A share of a set that this vault does not know.
    #[error("that share is of another set of custodians")]
    ShareOfOtherSet,
    /// A share of a set that was replaced.
    #[error("that share is of a set of custodians that was retired; it opens nothing any more")]
    ShareRetired,
    /// The shares together are not the key. Which of them is wrong can't be known, and all were dropped.
    #[error("these shares do not make this vault's key; enter them again")]
    SharesWrong,
    /// Anything else; the service's log has it.
    #[error("internal error")]
    Internal,
}

/// The body of every error answer of the vault's control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlErrorBody {
    /// What went wrong.
    pub code: ControlCode,
}
