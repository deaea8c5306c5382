//! What may be known of a card outside the vault: brand, BIN, last four, expiry, a merchant's own fingerprint.

use serde::{Deserialize, Serialize};

/// The card's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardBrand {
    /// American Express.
    Amex,
    /// Diners Club.
    Diners,
    /// Discover.
    Discover,
    /// JCB.
    Jcb,
    /// Mastercard.
    Mastercard,
    /// China UnionPay.
    Unionpay,
    /// Visa.
    Visa,
}

impl CardBrand {
    /// The word that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amex => "amex",
            Self::Diners => "diners",
            Self::Discover => "discover",
            Self::Jcb => "jcb",
            Self::Mastercard => "mastercard",
            Self::Unionpay => "unionpay",
            Self::Visa => "visa",
        }
    }
}

/// What the vault tells of a card (PCI DSS 3.4.1: BIN and last four at the most).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSummary {
    /// The network.
    pub brand: CardBrand,
    /// The first six digits.
    pub bin: String,
    /// The last four digits.
    pub last_four: String,
    /// 1 to 12.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
    /// The same card of the same merchant has the same fingerprint; another merchant's differs.
    pub fingerprint: String,
}

/// What the network said of the security code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CvcCheck {
    /// It matched.
    Pass,
    /// It did not.
    Fail,
    /// It was sent and not checked.
    Unchecked,
    /// There was none to send.
    Unavailable,
}

impl CvcCheck {
    /// The word that the API uses; `None` where the API says null.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Pass => Some("pass"),
            Self::Fail => Some("fail"),
            Self::Unchecked => Some("unchecked"),
            Self::Unavailable => None,
        }
    }
}

/// Why a network declined: a closed set, in the words of the API's `decline_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineCode {
    /// No reason given (response code 05).
    GenericDecline,
    /// 51.
    InsufficientFunds,
    /// 41.
    LostCard,
    /// 43.
    StolenCard,
    /// 54.
    ExpiredCard,
    /// 82 or N7: the security code is wrong.
    IncorrectCvc,
    /// 06, 91, 96: the network or the issuer failed.
    ProcessingError,
    /// 14: no such account.
    IncorrectNumber,
    /// 57 or 62: the card may not be used so.
    TransactionNotAllowed,
    /// 61 or 65: over an amount or a count.
    CardVelocityExceeded,
    /// 34 or 59: suspected fraud.
    Fraudulent,
    /// 13 or 23: the issuer does not take this amount.
    InvalidAmount,
    /// 94: the network has seen this reference.
    DuplicateTransaction,
    /// 1A: the issuer wants to know who it is first (3-D Secure).
    AuthenticationRequired,
}

impl DeclineCode {
    /// The word that the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GenericDecline => "generic_decline",
            Self::InsufficientFunds => "insufficient_funds",
            Self::LostCard => "lost_card",
            Self::StolenCard => "stolen_card",
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::ProcessingError => "processing_error",
            Self::IncorrectNumber => "incorrect_number",
            Self::TransactionNotAllowed => "transaction_not_allowed",
            Self::CardVelocityExceeded => "card_velocity_exceeded",
            Self::Fraudulent => "fraudulent",
            Self::InvalidAmount => "invalid_amount",
            Self::DuplicateTransaction => "duplicate_transaction",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    /// The reason behind an ISO 8583 response code (field 39) that is not an approval.
    pub fn from_response_code(code: &str) -> Self {
        match code {
            "51" => Self::InsufficientFunds,
            "1A" => Self::AuthenticationRequired,
            "41" => Self::LostCard,
            "43" => Self::StolenCard,
            "54" => Self::ExpiredCard,
            "82" | "N7" => Self::IncorrectCvc,
            "06" | "91" | "96" => Self::ProcessingError,
            "14" => Self::IncorrectNumber,
            "57" | "62" => Self::TransactionNotAllowed,
            "61" | "65" => Self::CardVelocityExceeded,
            "34" | "59" => Self::Fraudulent,
            "13" | "23" => Self::InvalidAmount,
            "94" => Self::DuplicateTransaction,
            _ => Self::GenericDecline,
        }
    }
}
