//! What is said to the networks of payments without a card, and what is read from their answers.
//!
//! What may leave: a payer's opened fields, in one request, to the network that needs them. What may enter: how a request
//! stands. It goes on to the gateway and so to browsers, so every text of it is held to its form here.

use kura_wire::deposit::{DepositState, GivenBack, Instructions, RequestDeposit, StoreCode};
use kura_wire::ids::MerchantId;
use kura_wire::payer::PayerMethod;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::acquirer::merchant_code;
use crate::egress::{Egress, EgressError};
use crate::person::Person;
use crate::store::attempts::AttemptRow;

const MAX_URL_LEN: usize = 2048;
const MAX_WORD_LEN: usize = 40;
const MAX_DIGITS: usize = 20;

/// A request for a payment.
#[derive(Serialize)]
struct Request<'a> {
    reference: &'a str,
    merchant: String,
    amount_minor: i64,
    currency: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    payer: Payer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<&'a str>,
}

/// Who pays, in the open.
#[derive(Serialize)]
struct Payer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    postcode: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
}

#[derive(Serialize)]
struct Whose {
    merchant: String,
}

#[derive(Serialize)]
struct Wish<'a> {
    reference: &'a str,
    original: &'a str,
    merchant: String,
    amount_minor: i64,
    currency: &'a str,
}

#[derive(Deserialize)]
struct Back {
    outcome: GivenBack,
}

/// The word of a method: in paths, and as an attempt's kind.
pub const fn word(method: PayerMethod) -> &'static str {
    match method {
        PayerMethod::Konbini => "konbini",
        PayerMethod::Payeasy => "payeasy",
        PayerMethod::Emoney => "emoney",
    }
}

/// The method whose word an attempt's kind is.
pub fn method_of(kind: &str) -> Option<PayerMethod> {
    [PayerMethod::Konbini, PayerMethod::Payeasy, PayerMethod::Emoney].into_iter().find(|method| word(*method) == kind)
}

/// Asks for a payment, once. The payer's fields end here.
///
/// # Errors
/// [`EgressError`].
pub async fn request(
    egress: &Egress,
    attempt: &AttemptRow,
    asked: &RequestDeposit,
    payer: Person,
) -> Result<DepositState, EgressError> {
    let request = Request {
        reference: &attempt.network_reference,
        merchant: merchant_code(asked.context.merchant),
        amount_minor: attempt.amount_minor,
        currency: &attempt.currency,
        expires_at: asked.expires_at,
        payer: Payer {
            name: payer.name.as_ref().map(|value| value.as_str()),
            phone: payer.phone.as_ref().map(|value| value.as_str()),
            email: payer.email.as_ref().map(|value| value.as_str()),
            postcode: payer.postcode.as_ref().map(|value| value.as_str()),
            address: payer.address.as_ref().map(|value| value.as_str()),
        },
        description: asked.description.as_deref(),
        confirmation_number: asked.confirmation_number.as_deref(),
        return_url: asked.return_url.as_deref(),
    };
    let told = egress.post(&format!("/deposits/{}/requests", attempt.kind), &request).await?;
    checked(&attempt.kind, told)
}

/// How a request stands.
///
/// # Errors
/// [`EgressError::Unknown`] when there is none of this reference and merchant; else as [`request`].
pub async fn find(egress: &Egress, attempt: &AttemptRow, merchant: MerchantId) -> Result<DepositState, EgressError> {
    let path = format!("/deposits/{}/requests/{}", attempt.kind, attempt.network_reference);
    let told = egress.get(&path, &[("merchant", merchant_code(merchant).as_str())]).await?;
    checked(&attempt.kind, told)
}

/// Takes a request back; if it hasn't come, it can't come any more.
///
/// # Errors
/// As [`request`].
pub async fn withdraw(
    egress: &Egress,
    attempt: &AttemptRow,
    merchant: MerchantId,
) -> Result<DepositState, EgressError> {
    let path = format!("/deposits/{}/requests/{}/withdraw", attempt.kind, attempt.network_reference);
    let told = egress.post(&path, &Whose { merchant: merchant_code(merchant) }).await?;
    checked(&attempt.kind, told)
}

/// Has money given back. The network does it once for each reference, however often it is asked.
///
/// # Errors
/// As [`request`].
pub async fn give_back(
    egress: &Egress,
    attempt: &AttemptRow,
    original: &AttemptRow,
    merchant: MerchantId,
) -> Result<GivenBack, EgressError> {
    let wish = Wish {
        reference: &attempt.network_reference,
        original: &original.network_reference,
        merchant: merchant_code(merchant),
        amount_minor: attempt.amount_minor,
        currency: &attempt.currency,
    };
    let back: Back = egress.post(&format!("/deposits/{}/refunds", original.kind), &wish).await?;
    match back.outcome {
        GivenBack::Accepted | GivenBack::Refused => Ok(back.outcome),
        GivenBack::NotMade | GivenBack::Unknown => Err(EgressError::Doubt),
    }
}

/// What is not in its form counts as no answer: it may be anything.
fn checked(kind: &str, told: DepositState) -> Result<DepositState, EgressError> {
    let fits = match &told {
        DepositState::Waiting { instructions } => instructions_fit(kind, instructions),
        DepositState::Paid { place, .. } => place.as_deref().is_none_or(is_word),
        DepositState::Refused { reason } => is_word(reason),
        DepositState::Expired | DepositState::Withdrawn | DepositState::NotMade => true,
        DepositState::Unknown => false,
    };
    if fits {
        return Ok(told);
    }
    tracing::warn!(kind, "a network answers what is not its form");
    Err(EgressError::Doubt)
}

fn instructions_fit(kind: &str, instructions: &Instructions) -> bool {
    let store_fits = |store: &StoreCode| {
        is_number(&store.payment_code) && store.confirmation_number.as_deref().is_none_or(is_number)
    };
    match instructions {
        Instructions::Konbini { stores, voucher_url } => {
            kind == "konbini" && (1..=8).contains(&stores.len()) && stores.iter().all(store_fits) && is_url(voucher_url)
        }
        Instructions::Payeasy { collecting_agency, customer_number, confirmation_number } => {
            kind == "payeasy"
                && [collecting_agency, customer_number, confirmation_number].into_iter().all(|n| is_number(n))
        }
        Instructions::Emoney { url } => kind == "emoney" && is_url(url),
    }
}

fn is_number(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    (1..=MAX_WORD_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn is_url(text: &str) -> bool {
    let web = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    web && text.len() <= MAX_URL_LEN && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\`".contains(&byte))
}

#[cfg(test)]
mod tests {
    use kura_wire::deposit::StoreChain;

    use super::*;

    fn konbini(payment_code: &str, voucher_url: &str) -> DepositState {
        let store = StoreCode {
            chain: StoreChain::Lawson,
            payment_code: payment_code.to_owned(),
            confirmation_number: Some("09012345678".to_owned()),
        };
        let instructions = Instructions::Konbini { stores: vec![store], voucher_url: voucher_url.to_owned() };
        DepositState::Waiting { instructions }
    }

    /// What a network answers reaches browsers: only what has its form goes on.
    #[test]
    fn answers_are_held_to_their_form() {
        let good = konbini("51234567891", "https://n.example/v/1");
        assert_eq!(checked("konbini", good.clone()), Ok(good.clone()));
        assert!(checked("payeasy", good).is_err(), "another method's");
        for (code, url) in [
            ("5123456789a", "https://n.example/v"),
            ("", "https://n.example/v"),
            ("5", "javascript:alert(1)"),
            ("5", "https://n.example/\"><script>"),
            ("5", "https://n.example/ x"),
        ] {
            assert!(checked("konbini", konbini(code, url)).is_err(), "{code} {url}");
        }
        let refused = |reason: &str| checked("emoney", DepositState::Refused { reason: reason.to_owned() });
        assert!(refused("shopper_refused").is_ok());
        assert!(refused("山田 said no").is_err() && refused("").is_err());
        assert!(checked("emoney", DepositState::Unknown).is_err());
    }

    /// Each method's word leads back to it.
    #[test]
    fn words_are_methods() {
        for method in [PayerMethod::Konbini, PayerMethod::Payeasy, PayerMethod::Emoney] {
            assert_eq!(method_of(word(method)), Some(method));
        }
        assert_eq!(method_of("purchase"), None);
    }
}
