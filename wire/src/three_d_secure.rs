//! 3-D Secure (EMV 3-D Secure Protocol and Core Functions Specification 2.2): the issuer finds out who uses the card, by what it
//! knows (frictionless) or by asking the shopper (challenge). Only the vault can ask, for the directory wants the number.
//!
//! What proves it to the network later, the authentication value, stays in the vault and goes with the authorization that
//! names the authentication.

use serde::{Deserialize, Serialize};

use crate::ids::{AuthenticationId, CardToken};
use crate::money::Money;
use crate::vault::Context;

/// `POST` [`Authenticate`], answers [`Authentication`].
pub const PATH_AUTHENTICATE: &str = "/v1/authenticate";
/// `POST` [`FindAuthentication`], answers [`Authentication`].
pub const PATH_AUTHENTICATION: &str = "/v1/authentication";

/// Ask the issuer who uses the card. Asked twice for one id, it is asked once and both are told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// Who asks.
    pub context: Context,
    /// This authentication, chosen before the call.
    pub authentication: AuthenticationId,
    /// The card.
    pub token: CardToken,
    /// The merchant, as shoppers know it: the issuer shows it to them.
    #[serde(default)]
    pub merchant_name: Option<String>,
    /// What is to be paid; none where the card is only saved.
    pub money: Option<Money>,
    /// Whether the merchant insists on a challenge.
    pub preference: ChallengePreference,
    /// Where the issuer's page sends the shopper afterwards: a page of the gateway.
    pub return_url: String,
}

/// What the merchant prefers (3DS Requestor Challenge Indicator).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengePreference {
    /// 01: the issuer decides.
    #[default]
    None,
    /// 04: the shopper is to be asked.
    Challenge,
}

/// What became of it?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindAuthentication {
    /// Who asks.
    pub context: Context,
    /// Which.
    pub authentication: AuthenticationId,
}

/// Where an authentication stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Authentication {
    /// The shopper is asked, on the issuer's page.
    Challenge {
        /// That page.
        url: String,
        /// The access control server's id of it.
        transaction_id: String,
    },
    /// It is over.
    Ended(AuthenticationEnd),
    /// The directory did not answer, or not yet. Ask again.
    Unknown,
}

/// How an authentication ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticationEnd {
    /// Transaction status.
    pub result: AuthenticationResult,
    /// Whether the shopper was asked.
    pub flow: AuthenticationFlow,
    /// Electronic commerce indicator: `05`, `06`, `07` (Mastercard `02`, `01`, `00`).
    pub eci: Option<String>,
    /// The access control server's or the directory's id of it.
    pub transaction_id: Option<String>,
}

/// Transaction status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationResult {
    /// Y: it is the cardholder.
    Authenticated,
    /// A: the issuer takes part, and vouches for the attempt.
    AttemptAcknowledged,
    /// N: it is not the cardholder, or the shopper gave up.
    Failed,
    /// R: the issuer will not have it.
    Rejected,
    /// U: it could not be found out.
    Unavailable,
    /// The card's range takes no part.
    NotSupported,
}

impl AuthenticationResult {
    /// The word in ledgers and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticated => "authenticated",
            Self::AttemptAcknowledged => "attempt_acknowledged",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::NotSupported => "not_supported",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Authenticated,
            Self::AttemptAcknowledged,
            Self::Failed,
            Self::Rejected,
            Self::Unavailable,
            Self::NotSupported,
        ];
        all.into_iter().find(|result| result.as_str() == word)
    }

    /// Whether fraud is the issuer's loss and not the merchant's.
    pub const fn shifts_liability(self) -> bool {
        matches!(self, Self::Authenticated | Self::AttemptAcknowledged)
    }

    /// Whether the payment must not go on.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Failed | Self::Rejected)
    }
}

/// Whether the shopper was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationFlow {
    /// No.
    Frictionless,
    /// Yes.
    Challenge,
}

impl AuthenticationFlow {
    /// The word in ledgers and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frictionless => "frictionless",
            Self::Challenge => "challenge",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Frictionless, Self::Challenge].into_iter().find(|flow| flow.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Liability shifts only where the issuer vouched, and what it refused does not go on.
    #[test]
    fn who_vouches_pays() {
        for (result, shifts, refusal) in [
            (AuthenticationResult::Authenticated, true, false),
            (AuthenticationResult::AttemptAcknowledged, true, false),
            (AuthenticationResult::Failed, false, true),
            (AuthenticationResult::Rejected, false, true),
            (AuthenticationResult::Unavailable, false, false),
            (AuthenticationResult::NotSupported, false, false),
        ] {
            assert_eq!((result.shifts_liability(), result.is_refusal()), (shifts, refusal), "{result:?}");
            assert_eq!(AuthenticationResult::parse(result.as_str()), Some(result));
        }
    }
}
