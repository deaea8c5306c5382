//! Disputes: a cardholder wants money back from the issuer. The network opens a case and tells the gateway
//! ([`crate::notice::DisputeNotice`]); the merchant answers through the vault, which alone talks to networks.

use serde::{Deserialize, Serialize};

use crate::ids::AttemptId;
use crate::vault::Context;

/// `POST` [`AnswerDispute`], answers [`DisputeAnswered`].
pub const PATH_ANSWER: &str = "/v1/disputes/answer";

/// The longest evidence, in characters.
pub const MAX_EVIDENCE_LEN: usize = 10_000;

/// Answer a dispute, once: with evidence, or by giving in. Asked twice for one attempt, the network hears it once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerDispute {
    /// Who asks.
    pub context: Context,
    /// This answer: the network knows it again by it.
    pub attempt: AttemptId,
    /// The attempt that made the disputed payment.
    pub original: AttemptId,
    /// The network's case number.
    pub dispute: String,
    /// What the merchant says.
    pub answer: DisputeAnswer,
}

/// What a merchant says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum DisputeAnswer {
    /// The payment was right, and this shows it. Passed on and kept by nobody but the network.
    Evidence {
        /// One to [`MAX_EVIDENCE_LEN`] characters.
        text: String,
    },
    /// The cardholder shall have the money.
    Accept,
}

/// How answering went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeAnswered {
    /// The network has it; it tells the new state in a notice.
    Accepted,
    /// It was answered before, decided, or the time is over.
    TooLate,
    /// It knows no such dispute about this payment.
    NotFound,
    /// Not known: ask again with the same attempt.
    Unknown,
}

/// What the cardholder says. The words are those of the merchants' API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeReason {
    /// No refund came.
    CreditNotProcessed,
    /// Paid twice.
    Duplicate,
    /// Not the cardholder.
    Fraudulent,
    /// Anything else.
    General,
    /// Nothing came.
    ProductNotReceived,
    /// Something else came.
    ProductUnacceptable,
    /// The subscription had ended.
    SubscriptionCanceled,
    /// The cardholder doesn't know the payment.
    Unrecognized,
}

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// The merchant may answer. The money was taken from it.
    NeedsResponse,
    /// The issuer reads the evidence.
    UnderReview,
    /// The merchant was right, and has the money back.
    Won,
    /// The cardholder keeps it.
    Lost,
}

impl DisputeState {
    /// What may follow at the network.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::NeedsResponse => matches!(next, Self::UnderReview | Self::Lost),
            Self::UnderReview => matches!(next, Self::Won | Self::Lost),
            Self::Won | Self::Lost => false,
        }
    }
}
