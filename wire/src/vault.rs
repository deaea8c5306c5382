//! The vault's data plane: what the gateway may ask. There is no way to ask for a card's number.
//!
//! All are `POST` with a JSON body over mTLS, except the keys. A token can be *used* (authorize, capture, void, refund),
//! never opened. Answers are outcomes; errors are a [`VaultErrorCode`] and nothing else.

use serde::{Deserialize, Serialize};

use crate::card::{CardSummary, CvcCheck, DeclineCode};
use crate::ids::{AttemptId, AuthenticationId, CardToken, MerchantId, RequestId};
use crate::money::Money;
use crate::sealed_box::SealedBox;

/// `GET`: a [`crate::sealed_box::SignedKeySet`].
pub const PATH_SEALING_KEYS: &str = "/v1/sealing_keys";
/// `POST` [`Tokenize`], answers [`Tokenized`].
pub const PATH_TOKENIZE: &str = "/v1/tokenize";
/// `POST` [`TestCard`], answers [`Tokenized`].
pub const PATH_TEST_CARD: &str = "/v1/test_card";
/// `POST` [`Attach`], answers [`Tokenized`].
pub const PATH_ATTACH: &str = "/v1/attach";
/// `POST` [`Describe`], answers [`Tokenized`].
pub const PATH_DESCRIBE: &str = "/v1/describe";
/// `POST` [`SetExpiry`], answers [`Tokenized`].
pub const PATH_SET_EXPIRY: &str = "/v1/expiry";
/// `POST` [`Authorize`], answers [`Outcome`].
pub const PATH_AUTHORIZE: &str = "/v1/authorize";
/// `POST` [`Verify`], answers [`Outcome`].
pub const PATH_VERIFY: &str = "/v1/verify";
/// `POST` [`FollowUp`], answers [`Outcome`].
pub const PATH_CAPTURE: &str = "/v1/capture";
/// `POST` [`FollowUp`], answers [`Outcome`].
pub const PATH_VOID: &str = "/v1/void";
/// `POST` [`FollowUp`], answers [`Outcome`].
pub const PATH_REFUND: &str = "/v1/refund";
/// `POST` [`Resolve`], answers [`Outcome`].
pub const PATH_RESOLVE: &str = "/v1/resolve";

/// Who asks on whose behalf; part of every request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Context {
    /// The request that the merchant's Request-Id header names.
    pub request_id: RequestId,
    /// The merchant that the gateway authenticated.
    pub merchant: MerchantId,
    /// False for test keys.
    pub livemode: bool,
}

/// Open a box from a browser, seal the card, answer a single-use token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokenize {
    /// Who asks.
    pub context: Context,
    /// The publishable key that the box is bound to.
    pub publishable_key: String,
    /// The card, sealed.
    pub sealed: SealedBox,
}

/// Make a saved payment method of one of the published test cards. Test mode only. The numbers are the vault's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCard {
    /// Who asks.
    pub context: Context,
    /// The name behind `pm_card_` or `tok_`, such as `visa` or `chargeDeclined`.
    pub name: String,
    /// A single-use token or a saved method.
    pub allows: crate::ids::TokenUse,
}

/// Turn a single-use token into a saved payment method. The `tok_` is spent by it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Who asks.
    pub context: Context,
    /// A `tok_`.
    pub token: CardToken,
}

/// Tell of an imported card what may be known of it: the gateway meets its token for the first time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Describe {
    /// Who asks.
    pub context: Context,
    /// A `pm_`.
    pub token: CardToken,
}

/// A saved card has a new month or year of expiry: what its merchant was told by the cardholder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetExpiry {
    /// Who asks.
    pub context: Context,
    /// A `pm_`.
    pub token: CardToken,
    /// 1 to 12; without it the month stays.
    #[serde(default)]
    pub exp_month: Option<u8>,
    /// Four digits; without it the year stays.
    #[serde(default)]
    pub exp_year: Option<u16>,
}

/// A card that now has a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tokenized {
    /// The token.
    pub token: CardToken,
    /// What may be known of the card.
    pub card: CardSummary,
    /// Whether the node named in the token holds a CVC for its first authorization.
    pub cvc_held: bool,
}

/// Ask the network for the money.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// Who asks.
    pub context: Context,
    /// This attempt. Asked twice, it is sent once.
    pub attempt: AttemptId,
    /// What the network will know the attempt by (ISO 8583 field 37): 12 letters or digits, chosen before the call.
    pub network_reference: String,
    /// The card.
    pub token: CardToken,
    /// How much.
    pub money: Money,
    /// True: authorize and capture in one message (0200). False: authorize only (0100).
    pub capture: bool,
    /// What to do when no CVC waits for this card.
    #[serde(default)]
    pub cvc: CvcRule,
    /// Who set it going.
    #[serde(default)]
    pub initiator: Initiator,
    /// The proof of who the cardholder is, which goes along.
    #[serde(default)]
    pub authentication: Option<AuthenticationId>,
}

/// Who sets a charge going. One of the merchant's own, of a stored card, needs no authentication (ISO 8583 field 22: 10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initiator {
    /// The cardholder, who is there.
    #[default]
    Cardholder,
    /// The merchant, by an agreement: a renewal, what is due.
    Merchant,
}

/// Ask the issuer whether the card is good, for nothing: before it is saved (ISO 8583 0100, amount zero, processing code 33).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Who asks.
    pub context: Context,
    /// This attempt. Asked twice, it is sent once.
    pub attempt: AttemptId,
    /// What the network will know the attempt by: 12 letters or digits, chosen before the call.
    pub network_reference: String,
    /// The card.
    pub token: CardToken,
    /// The proof of who the cardholder is, which goes along.
    #[serde(default)]
    pub authentication: Option<AuthenticationId>,
}

/// The merchant's policy for a charge whose CVC is not at hand: it was not entered, its time is over, or its node is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CvcRule {
    /// Ask the network without.
    #[default]
    Proceed,
    /// Send nothing: [`VaultErrorCode::CvcRequired`].
    Require,
}

/// Capture, void or refund of what an earlier attempt authorized.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    /// Who asks.
    pub context: Context,
    /// This attempt.
    pub attempt: AttemptId,
    /// This attempt's own reference.
    pub network_reference: String,
    /// The attempt that authorized.
    pub original: AttemptId,
    /// How much; for a void, all that was authorized.
    pub money: Money,
}

/// What became of an attempt? Answers the recorded outcome; failing that asks the network, and failing that reverses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// Who asks.
    pub context: Context,
    /// The attempt.
    pub attempt: AttemptId,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The network said yes.
    Approved {
        /// The issuer's approval code (field 38).
        approval_code: String,
        /// What it said of the CVC.
        cvc_check: CvcCheck,
    },
    /// The network said no.
    Declined {
        /// Why.
        decline_code: DeclineCode,
        /// The network's own response code (field 39).
        response_code: String,
        /// What it said of the CVC.
        cvc_check: CvcCheck,
    },
    /// Not known yet: the message may or may not have arrived. Ask [`Resolve`]; never send again.
    Unknown,
    /// It did not happen: never sent, or taken back at the network.
    Reversed,
}

/// Why the vault did not do it. Closed: nothing else crosses the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum VaultErrorCode {
    /// The request is not one of this interface.
    #[error("malformed request")]
    Malformed,
    /// The box's key is unknown here, or its time is over.
    #[error("sealing key expired or unknown")]
    SealingKeyExpired,
    /// The box does not open for this merchant, page, purpose and time.
    #[error("sealed box does not open")]
    BoxUnopenable,
    /// The box is older than its key may be, or from the future.
    #[error("sealed box expired")]
    BoxExpired,
    /// What was in the box is not a card.
    #[error("card data malformed")]
    CardMalformed,
    /// Length, brand or check digit.
    #[error("card number incorrect")]
    CardNumberIncorrect,
    /// The month is over.
    #[error("card expired")]
    CardExpired,
    /// Not 1 to 12.
    #[error("expiry month invalid")]
    ExpiryMonthInvalid,
    /// Past or too far ahead.
    #[error("expiry year invalid")]
    ExpiryYearInvalid,
    /// Not the number of digits that the brand has.
    #[error("security code invalid")]
    CvcInvalid,
    /// No CVC waits for this card, and the merchant insists on one. Nothing was sent.
    #[error("security code required")]
    CvcRequired,
    /// A name of the wrong length, or with control characters.
    #[error("name invalid")]
    NameInvalid,
    /// Not a telephone number of 9 to 15 digits.
    #[error("phone number invalid")]
    PhoneInvalid,
    /// Not an e-mail address.
    #[error("e-mail address invalid")]
    EmailInvalid,
    /// Not a postcode of seven digits.
    #[error("postcode invalid")]
    PostcodeInvalid,
    /// An address of the wrong length, or with control characters.
    #[error("address invalid")]
    AddressInvalid,
    /// A field that this kind of payer must have.
    #[error("payer's field missing")]
    PayerFieldMissing,
    /// A field that this kind of payer does not have: what is not needed is not kept.
    #[error("payer's field unexpected")]
    PayerFieldUnexpected,
    /// No such customer of this merchant and mode.
    #[error("no such customer")]
    CustomerUnknown,
    /// No such payer of this merchant, mode and method.
    #[error("no such payer")]
    PayerUnknown,
    /// The card is on the watchlist of exposed cards, and this vault refuses those.
    #[error("exposed card refused")]
    ExposedCardRefused,
    /// No such token of this merchant and mode.
    #[error("no such token")]
    TokenUnknown,
    /// A single-use token that was used.
    #[error("token already used")]
    TokenUsed,
    /// No such attempt of this merchant.
    #[error("no such attempt")]
    AttemptUnknown,
    /// No such authentication of this merchant.
    #[error("no such authentication")]
    AuthenticationUnknown,
    /// The attempt id was used for something else.
    #[error("attempt differs from the recorded one")]
    AttemptMismatch,
    /// No such test card, or live mode.
    #[error("no such test card")]
    TestCardUnknown,
    /// No network serves this mode.
    #[error("no network for this mode")]
    NetworkNotConfigured,
    /// The network can't be reached; nothing was sent.
    #[error("network unavailable")]
    NetworkUnavailable,
    /// Sealed data failed to open: an alert. Nothing was sent, and the attempt is over.
    #[error("sealed data corrupt")]
    SealedDataCorrupt,
    /// The vault is sealed: nobody has entered its key yet. Nothing was done.
    #[error("vault sealed")]
    Sealed,
    /// This peer may not do this any more, until a person releases it. Nothing was sent.
    #[error("purpose frozen")]
    PurposeFrozen,
    /// Shedding load, or without its database; nothing was sent on behalf of this request.
    #[error("overloaded")]
    Overloaded,
    /// Anything else; the vault's log has it.
    #[error("internal error")]
    Internal,
}

/// The body of every error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultErrorBody {
    /// What went wrong.
    pub code: VaultErrorCode,
}
