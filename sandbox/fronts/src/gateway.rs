//! The gateway's public API, as this merchant uses it: make and confirm a payment, look one up, pin the script.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest;
use data_encoding::BASE64;
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::config::SecretKey;

const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// One payment to be made.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// Of this form: asked twice, it is charged once.
    pub(crate) idempotency_key: &'a str,
    /// A single-use token.
    pub(crate) token: &'a str,
    pub(crate) amount_yen: u32,
    pub(crate) description: &'a str,
    /// The merchant's own reference.
    pub(crate) reference: &'a str,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The money is there.
    Paid { payment: String },
    /// The card was refused, for this reason in the API's words.
    Declined { code: String },
    /// The network has not answered; the gateway finds out.
    Processing { payment: String },
    /// The gateway can't be reached or is overloaded. Asking again with the same key is safe.
    Unreachable,
    /// The gateway did not accept the request itself; nothing was charged.
    Refused,
}

/// A client of the gateway with the merchant's secret key.
#[derive(Debug)]
pub(crate) struct Gateway {
    client: reqwest::Client,
    base: Url,
    secret: SecretKey,
    script_integrity: OnceLock<String>,
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    status: String,
    last_payment_error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ErrorEnvelope {
    error: ApiError,
}

#[derive(Deserialize)]
struct ApiError {
    code: Option<String>,
    decline_code: Option<String>,
}

impl ApiError {
    fn reason(self) -> String {
        self.decline_code.or(self.code).unwrap_or_else(|| "generic_decline".to_owned())
    }
}

impl Gateway {
    pub(crate) fn new(client: reqwest::Client, base: &Url, secret: SecretKey) -> Self {
        Self { client, base: base.clone(), secret, script_integrity: OnceLock::new() }
    }

    /// `http://localhost:7101`
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// Where `kura.js` is.
    pub(crate) fn script_url(&self) -> String {
        self.url("/js/v1/kura.js")
    }

    /// The script's checksum for subresource integrity; `None` until the gateway has been seen.
    pub(crate) fn script_integrity(&self) -> Option<&str> {
        self.script_integrity.get().map(String::as_str)
    }

    /// Fetches the script until it is there, and pins what came.
    pub(crate) async fn learn_script_integrity(self: Arc<Self>) {
        let mut wait = RETRY_FIRST;
        loop {
            match self.fetch_script().await {
                Ok(script) => {
                    let digest = digest::digest(&digest::SHA384, &script);
                    let integrity = format!("sha384-{}", BASE64.encode(digest.as_ref()));
                    tracing::info!(integrity, "payment script pinned");
                    // Only this task sets it.
                    let _ = self.script_integrity.set(integrity);
                    return;
                }
                Err(error) => tracing::info!(%error, "payment script not there yet"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LONGEST);
        }
    }

    async fn fetch_script(&self) -> Result<Vec<u8>, reqwest::Error> {
        Ok(self.client.get(self.script_url()).send().await?.error_for_status()?.bytes().await?.to_vec())
    }

    /// Makes and confirms a payment, with a body as the Stripe SDKs send it.
    pub(crate) async fn pay(&self, order: &Order<'_>) -> Outcome {
        let amount = order.amount_yen.to_string();
        let form = [
            ("amount", amount.as_str()),
            ("currency", "jpy"),
            ("confirm", "true"),
            ("description", order.description),
            ("metadata[reference]", order.reference),
            ("payment_method_data[type]", "card"),
            ("payment_method_data[card][token]", order.token),
        ];
        let request = self
            .client
            .post(self.url("/v1/payment_intents"))
            .bearer_auth(self.secret.reveal_to_gateway())
            .header("idempotency-key", order.idempotency_key)
            .form(&form);
        self.outcome(request).await
    }

    /// How a payment stands.
    pub(crate) async fn look_up(&self, payment: &str) -> Outcome {
        let url = self.url(&format!("/v1/payment_intents/{payment}"));
        self.outcome(self.client.get(url).bearer_auth(self.secret.reveal_to_gateway())).await
    }

    async fn outcome(&self, request: reqwest::RequestBuilder) -> Outcome {
        let answer = match request.send().await {
            Ok(response) => {
                let status = response.status();
                response.bytes().await.map(|body| (status, body))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok((status, body)) => read_outcome(status, &body),
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "gateway unreachable");
                Outcome::Unreachable
            }
        }
    }
}

/// Reads an answer: success by the payment's status, failure by the error's envelope.
fn read_outcome(status: StatusCode, body: &[u8]) -> Outcome {
    if status.is_success() {
        // The gateway took it; only what it said is unclear. The same key asks again without paying again.
        return parse::<Intent>(body).map_or(Outcome::Unreachable, Intent::outcome);
    }
    let reason = || parse::<ErrorEnvelope>(body).map(|envelope| envelope.error.reason());
    match status {
        StatusCode::PAYMENT_REQUIRED => {
            Outcome::Declined { code: reason().unwrap_or_else(|| "generic_decline".to_owned()) }
        }
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Outcome::Unreachable,
        status if status.is_server_error() => Outcome::Unreachable,
        status => {
            tracing::error!(status = status.as_u16(), code = reason(), "gateway refused the request");
            Outcome::Refused
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

impl Intent {
    fn outcome(self) -> Outcome {
        match self.status.as_str() {
            "succeeded" | "requires_capture" => Outcome::Paid { payment: self.id },
            "processing" => Outcome::Processing { payment: self.id },
            // This shop sends nobody to an issuer's page; a card that asks for it can't be used here yet.
            "requires_action" => Outcome::Declined { code: "authentication_required".to_owned() },
            _ => Outcome::Declined {
                code: self.last_payment_error.map_or_else(|| "generic_decline".to_owned(), ApiError::reason),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Outcome {
        read_outcome(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    /// Each way that the gateway can answer becomes one thing for the participant; nothing unclear is taken for a failure
    /// that would have them pay anew.
    #[test]
    fn answers_become_outcomes() {
        let payment = || "pi_1".to_owned();
        let declined = |code: &str| Outcome::Declined { code: code.to_owned() };
        assert_eq!(read(200, r#"{"id":"pi_1","status":"succeeded"}"#), Outcome::Paid { payment: payment() });
        assert_eq!(read(200, r#"{"id":"pi_1","status":"processing"}"#), Outcome::Processing { payment: payment() });
        assert_eq!(
            read(
                200,
                r#"{"id":"pi_1","status":"requires_payment_method","last_payment_error":{"code":"expired_card"}}"#
            ),
            declined("expired_card")
        );
        assert_eq!(
            read(402, r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds"}}"#),
            declined("insufficient_funds")
        );
        assert_eq!(read(402, "junk"), declined("generic_decline"));
        for status in [409, 429, 500, 503] {
            assert_eq!(read(status, "{}"), Outcome::Unreachable, "{status}");
        }
        assert_eq!(read(200, "junk"), Outcome::Unreachable);
        assert_eq!(read(400, r#"{"error":{"code":"parameter_unknown"}}"#), Outcome::Refused);
        assert_eq!(read(401, ""), Outcome::Refused);
    }
}
