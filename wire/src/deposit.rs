//! The vault's data plane for payments without a card: at a convenience store, by bank (Pay-easy), from a wallet. The shopper is
//! told what to do (a *request*), does it or doesn't, and the network says so later, to the gateway ([`crate::notice`]).
//!
//! Only the vault can make requests, for the networks want the payer's name, number or address, which it alone can open.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{AttemptId, PayerId};
use crate::money::Money;
use crate::payer::PayerMethod;
use crate::vault::Context;

/// `POST` [`RequestDeposit`], answers [`DepositState`].
pub const PATH_REQUEST: &str = "/v1/deposits/request";
/// `POST` [`WithdrawDeposit`], answers [`DepositState`].
pub const PATH_WITHDRAW: &str = "/v1/deposits/withdraw";
/// `POST` [`FindDeposit`], answers [`DepositState`].
pub const PATH_FIND: &str = "/v1/deposits/find";
/// `POST` [`GiveBack`], answers [`GivenBack`].
pub const PATH_GIVE_BACK: &str = "/v1/deposits/give_back";

/// Ask a network for a payment. Asked twice for one attempt, it is asked once and both are told how it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestDeposit {
    /// Who asks.
    pub context: Context,
    /// This attempt.
    pub attempt: AttemptId,
    /// What the network will know it by: 12 letters or digits, chosen before the call.
    pub network_reference: String,
    /// How it is paid.
    pub method: PayerMethod,
    /// Who pays.
    pub payer: PayerId,
    /// How much.
    pub money: Money,
    /// Until when it can be paid.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// What stands on the receipt. At most 100 characters.
    pub description: Option<String>,
    /// Konbini: a confirmation number of the merchant's choice, such as the payer's telephone number. 10 or 11 digits. The
    /// network draws one otherwise.
    pub confirmation_number: Option<String>,
    /// E-money: where the wallet sends the shopper afterwards: a page of the gateway.
    pub return_url: Option<String>,
}

/// Take a request back, so that it can't be paid any more. Answers how it stands then: `Withdrawn`, or `Paid` when the shopper
/// was faster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawDeposit {
    /// Who asks.
    pub context: Context,
    /// The attempt that made the request.
    pub attempt: AttemptId,
}

/// What became of a request? Answers what the network says now. What is not there is made never to come: after
/// [`DepositState::NotMade`] the same attempt asks for nothing any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindDeposit {
    /// Who asks.
    pub context: Context,
    /// The attempt that made the request.
    pub attempt: AttemptId,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DepositState {
    /// The shopper is to act.
    Waiting {
        /// What to do.
        instructions: Instructions,
    },
    /// The money is there, in time or late.
    Paid {
        /// When it was paid.
        #[serde(with = "time::serde::rfc3339")]
        paid_at: OffsetDateTime,
        /// Where: a store's or a bank's name in one word.
        place: Option<String>,
    },
    /// Its time is over, and it was not paid.
    Expired,
    /// It was taken back before it was paid.
    Withdrawn,
    /// The network or the shopper refused.
    Refused {
        /// Why, as the network has it: one word.
        reason: String,
    },
    /// The request never got there, and will not.
    NotMade,
    /// Not known. Ask [`FindDeposit`]; never ask for the payment again.
    Unknown,
}

/// What the shopper is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Instructions {
    /// Go to a store and say these numbers.
    Konbini {
        /// One for each chain.
        stores: Vec<StoreCode>,
        /// The network's page with the same numbers, to be shown at the register.
        voucher_url: String,
    },
    /// Type these numbers into a bank's machine or pages (Pay-easy).
    Payeasy {
        /// Five digits: who collects.
        collecting_agency: String,
        /// Up to twenty digits: for this payment.
        customer_number: String,
        /// Six digits.
        confirmation_number: String,
    },
    /// Approve it in the wallet.
    Emoney {
        /// The wallet's page.
        url: String,
    },
}

/// What to say at a chain's register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreCode {
    /// Which chain.
    pub chain: StoreChain,
    /// Its payment number.
    pub payment_code: String,
    /// Its confirmation number, where it has one.
    pub confirmation_number: Option<String>,
}

/// A chain of convenience stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreChain {
    /// FamilyMart.
    Familymart,
    /// Lawson.
    Lawson,
    /// Ministop.
    Ministop,
    /// Seicomart.
    Seicomart,
}

impl StoreChain {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Familymart, Self::Lawson, Self::Ministop, Self::Seicomart];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Familymart => "familymart",
            Self::Lawson => "lawson",
            Self::Ministop => "ministop",
            Self::Seicomart => "seicomart",
        }
    }
}

/// Give money of a paid request back: to the wallet, or by bank transfer to the payer. All of it or a part, more than once, and
/// never more than was paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveBack {
    /// Who asks.
    pub context: Context,
    /// This attempt.
    pub attempt: AttemptId,
    /// This attempt's own reference.
    pub network_reference: String,
    /// The attempt that made the request.
    pub original: AttemptId,
    /// How much.
    pub money: Money,
}

/// How giving back went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenBack {
    /// The network pays it out.
    Accepted,
    /// It will not.
    Refused,
    /// It never got there, and will not.
    NotMade,
    /// Not known: ask again with the same attempt.
    Unknown,
}
