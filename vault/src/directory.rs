//! The vault's side of 3-D Secure: what is said to the directory, and what is read from its answers.

use kura_wire::ids::{AuthenticationId, MerchantId};
use kura_wire::money::Money;
use kura_wire::three_d_secure::{AuthenticationEnd, AuthenticationFlow, AuthenticationResult, ChallengePreference};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::acquirer::{Proof, merchant_code};
use crate::card::Pan;
use crate::egress::{Egress, EgressError};

const PATH: &str = "/3ds/authentications";
const MAX_URL_LEN: usize = 2048;
const MAX_ID_LEN: usize = 36;
const MAX_VALUE_LEN: usize = 40;

/// An authentication request, without the number.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Which.
    pub id: AuthenticationId,
    /// For whom.
    pub merchant: MerchantId,
    /// The same, as shoppers know it.
    pub merchant_name: Option<&'a str>,
    /// What is to be paid.
    pub money: Option<Money>,
    /// What the merchant prefers.
    pub preference: ChallengePreference,
    /// Where the shopper goes afterwards.
    pub return_url: &'a str,
}

/// What the directory says.
#[derive(Debug)]
pub enum Said {
    /// The shopper is asked.
    Challenge {
        /// On which page.
        url: String,
        /// The access control server's id.
        transaction_id: String,
    },
    /// It is over.
    Ended {
        /// How.
        end: AuthenticationEnd,
        /// What proves it; only where the issuer vouches.
        value: Option<Zeroizing<String>>,
    },
}

#[derive(Serialize)]
struct Asked<'a> {
    id: String,
    pan: &'a str,
    merchant: String,
    merchant_name: Option<&'a str>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    challenge: bool,
    return_url: &'a str,
}

#[derive(Deserialize)]
struct Found {
    status: Status,
    flow: AuthenticationFlow,
    transaction_id: String,
    eci: Option<String>,
    authentication_value: Option<Zeroizing<String>>,
    challenge_url: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum Status {
    Y,
    A,
    N,
    R,
    U,
    C,
    #[serde(rename = "not_enrolled")]
    NotEnrolled,
}

/// Asks, once.
///
/// # Errors
/// [`EgressError`].
pub async fn ask(services: &Egress, question: Question<'_>, pan: &Pan) -> Result<Said, EgressError> {
    let asked = Asked {
        id: question.id.to_string(),
        pan: std::str::from_utf8(pan.reveal_to_acquirer()).unwrap_or_default(),
        merchant: merchant_code(question.merchant),
        merchant_name: question.merchant_name,
        amount_minor: question.money.map(|money| money.amount_minor),
        currency: question.money.map(|money| money.currency_code()),
        challenge: question.preference == ChallengePreference::Challenge,
        return_url: question.return_url,
    };
    services.post::<Found>(PATH, &asked).await?.read()
}

/// What became of a question. [`EgressError::Unknown`] when it never got there.
///
/// # Errors
/// [`EgressError`].
pub async fn find(services: &Egress, id: AuthenticationId) -> Result<Said, EgressError> {
    services.get::<Found>(PATH, &[("id", &id.to_string())]).await?.read()
}

impl Found {
    /// Nothing goes on that is not what it should be: the address goes to a browser, the rest into a message.
    fn read(self) -> Result<Said, EgressError> {
        let Self { status, flow, transaction_id, eci, authentication_value, challenge_url } = self;
        let is_id = matches!(transaction_id.len(), 1..=MAX_ID_LEN)
            && transaction_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_eci = |eci: &String| eci.len() == 2 && eci.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id || !eci.as_ref().is_none_or(is_eci) {
            return Err(unreadable());
        }
        let result = match status {
            Status::C => {
                let url = challenge_url.filter(|url| is_web_address(url)).ok_or_else(unreadable)?;
                return Ok(Said::Challenge { url, transaction_id });
            }
            Status::Y => AuthenticationResult::Authenticated,
            Status::A => AuthenticationResult::AttemptAcknowledged,
            Status::N => AuthenticationResult::Failed,
            Status::R => AuthenticationResult::Rejected,
            Status::U => AuthenticationResult::Unavailable,
            Status::NotEnrolled => AuthenticationResult::NotSupported,
        };
        let is_value = |value: &Zeroizing<String>| {
            matches!(value.len(), 1..=MAX_VALUE_LEN) && value.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let value = authentication_value.filter(is_value);
        if result.shifts_liability() != (value.is_some() && eci.is_some()) {
            return Err(unreadable());
        }
        let end = AuthenticationEnd { result, flow, eci, transaction_id: Some(transaction_id) };
        Ok(Said::Ended { end, value })
    }
}

fn unreadable() -> EgressError {
    tracing::warn!("the directory answers what is not its form");
    EgressError::Doubt
}

fn is_web_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= MAX_URL_LEN
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What goes with an authorization, of what the directory says now. `None` where there is nothing to say.
pub fn proof_of(said: Said) -> Option<Proof> {
    let Said::Ended { end, value } = said else { return None };
    Some(Proof { eci: end.eci?, value, transaction_id: end.transaction_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Said, EgressError> {
        serde_json::from_str::<Found>(json).map_err(|_| EgressError::Doubt)?.read()
    }

    fn answer(status: &str, eci: &str, value: &str, url: &str) -> String {
        format!(
            r#"{{"status":"{status}","flow":"frictionless","transaction_id":"a-1","eci":{eci},"authentication_value":{value},"challenge_url":{url}}}"#
        )
    }

    /// Each status is its result; only what the issuer vouches for has a value, and must have one.
    #[test]
    fn each_status_is_its_result() {
        use AuthenticationResult as R;
        for (status, eci, value, result) in [
            ("Y", "\"05\"", "\"dg==\"", R::Authenticated),
            ("A", "\"06\"", "\"dg==\"", R::AttemptAcknowledged),
            ("N", "null", "null", R::Failed),
            ("R", "null", "null", R::Rejected),
            ("U", "\"07\"", "null", R::Unavailable),
            ("not_enrolled", "null", "null", R::NotSupported),
        ] {
            let Ok(Said::Ended { end, .. }) = read(&answer(status, eci, value, "null")) else { panic!("{status}") };
            assert_eq!(end.result, result);
        }
        let challenge = read(&answer("C", "null", "null", "\"https://bank.example/x\""));
        assert!(matches!(challenge, Ok(Said::Challenge { url, .. }) if url == "https://bank.example/x"));
    }

    /// A page that is none, a proof without its value, and other forms are doubt.
    #[test]
    fn what_is_not_its_form_is_doubt() {
        for answer in [
            answer("C", "null", "null", "null"),
            answer("C", "null", "null", "\"javascript:alert(1)\""),
            answer("C", "null", "null", "\"https://x/ y\""),
            answer("Y", "\"05\"", "null", "null"),
            answer("Y", "null", "\"dg==\"", "null"),
            answer("N", "\"05\"", "\"dg==\"", "null"),
            answer("U", "\"7\"", "null", "null"),
            answer("Z", "null", "null", "null"),
            answer("N", "null", "null", "null").replace("a-1", "a 1"),
            answer("N", "null", "null", "null").replace("a-1", ""),
        ] {
            assert_eq!(read(&answer).err(), Some(EgressError::Doubt), "{answer}");
        }
    }
}
