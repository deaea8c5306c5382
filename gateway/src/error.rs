//! The one place that turns what went wrong into HTTP: Stripe's error envelope, from a closed set of codes.
//!
//! Messages say what to do, and hold nothing of what was sent but the names of parameters. The set is also the page
//! `/docs/errors`, so a code that exists is a code that is documented.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kura_platform::database::is_outage;
use serde_json::{Map, Value, json};

use crate::codes::{Code, ErrorType};

/// Shorthand for all fallible work behind a request.
pub type ApiResult<T> = Result<T, ApiError>;

/// An answer that is not success.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    message: String,
    param: Option<String>,
    decline_code: Option<String>,
    charge: Option<String>,
    payment_intent: Option<Value>,
    setup_intent: Option<Value>,
    retry_after_s: Option<u64>,
}

impl ApiError {
    /// With the code's own words.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts {
            code,
            message: code.message().to_owned(),
            param: None,
            decline_code: None,
            charge: None,
            payment_intent: None,
            setup_intent: None,
            retry_after_s: None,
        }))
    }

    /// With words for this case. They must hold nothing that was sent, save parameter names and our own ids.
    pub fn with_message(code: Code, message: impl Into<String>) -> Self {
        let mut error = Self::new(code);
        error.0.message = message.into();
        error
    }

    /// No such object of this merchant in this mode; the same words whether it never was or is somebody else's.
    pub fn missing(what: &str, param: &str) -> Self {
        Self::with_message(
            Code::ResourceMissing,
            format!("No such {what}. Check the id, and that the key is of the mode and account that made it."),
        )
        .on(param)
    }

    /// A parameter that has a value which is not possible here: it must be `expected`.
    pub fn invalid(param: &str, expected: &str) -> Self {
        Self::with_message(Code::ParameterInvalid, format!("Invalid {param}: must be {expected}.")).on(param)
    }

    /// Something that should not be; the cause goes to the log, not to the merchant.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(Code::InternalError)
    }

    /// Names the parameter.
    #[must_use]
    pub fn on(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Names the network's reason.
    #[must_use]
    pub fn declined_for(mut self, decline_code: impl Into<String>) -> Self {
        self.0.decline_code = Some(decline_code.into());
        self
    }

    /// Names the charge and shows the PaymentIntent that it was about.
    #[must_use]
    pub fn about(mut self, charge: Option<String>, payment_intent: Value) -> Self {
        self.0.charge = charge;
        self.0.payment_intent = Some(payment_intent);
        self
    }

    /// Shows the SetupIntent that it was about.
    #[must_use]
    pub fn about_setup(mut self, setup_intent: Value) -> Self {
        self.0.setup_intent = Some(setup_intent);
        self
    }

    /// With a change to the objects that it shows.
    #[must_use]
    pub fn showing(mut self, change: impl Fn(&mut Value)) -> Self {
        let parts = &mut self.0;
        parts.payment_intent.iter_mut().chain(&mut parts.setup_intent).for_each(change);
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The same, of work that had begun: without a connection half-way, "nothing was done" is more than anybody knows.
    #[must_use]
    pub fn once_begun(self) -> Self {
        if self.code() == Code::Overloaded { Self::new(Code::Interrupted).retry_after(1) } else { self }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// The envelope: `{"error": {…}}`.
    pub fn body(&self, docs: &str) -> Value {
        let parts = &self.0;
        let mut error = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                error.insert(name.to_owned(), value);
            }
        };
        put("type", Some(parts.code.error_type().as_str().into()));
        put("code", Some(parts.code.as_str().into()));
        put("decline_code", parts.decline_code.clone().map(Into::into));
        put("message", Some(parts.message.clone().into()));
        put("param", parts.param.clone().map(Into::into));
        put("charge", parts.charge.clone().map(Into::into));
        put("doc_url", Some(format!("{docs}#{}", parts.code.as_str()).into()));
        put("payment_intent", parts.payment_intent.clone());
        put("setup_intent", parts.setup_intent.clone());
        json!({ "error": error })
    }

    /// Headers that go with it.
    fn decorate(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(retry) = self.0.code.should_retry() {
            let value = if retry { "true" } else { "false" };
            headers.insert("stripe-should-retry", HeaderValue::from_static(value));
        }
        if self.0.code.error_type() == ErrorType::Authentication {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Kura\""));
        }
    }
}

impl IntoResponse for ApiError {
    /// Status and headers, with the error itself as an extension: the edge writes the body, since it knows the address
    /// that `doc_url` begins with.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        self.decorate(&mut response);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => {
                tracing::warn!("no database connection in time");
                Self::new(Code::Overloaded).retry_after(1)
            }
            error if is_outage(&error) => {
                tracing::error!(%error, "the database went away");
                Self::new(Code::Interrupted).retry_after(1)
            }
            error => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decline carries everything that Stripe's SDKs read from it.
    #[test]
    fn a_decline_has_the_fields_of_a_card_error() {
        let error = ApiError::new(Code::CardDeclined)
            .declined_for("insufficient_funds")
            .about(Some("ch_1".into()), json!({"id": "pi_1"}));
        let body = error.body("http://localhost/docs/errors");
        assert_eq!(error.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(body["error"]["type"], "card_error");
        assert_eq!(body["error"]["code"], "card_declined");
        assert_eq!(body["error"]["decline_code"], "insufficient_funds");
        assert_eq!(body["error"]["charge"], "ch_1");
        assert_eq!(body["error"]["payment_intent"]["id"], "pi_1");
        assert_eq!(body["error"]["doc_url"], "http://localhost/docs/errors#card_declined");
    }

    /// What can be tried again says so, and what must wait says how long.
    #[test]
    fn retries_are_announced_in_headers() {
        let response = ApiError::new(Code::VaultUnavailable).into_response();
        assert_eq!(response.headers()["stripe-should-retry"], "true");
        let response = ApiError::new(Code::RateLimit).retry_after(2).into_response();
        assert_eq!(response.headers()["retry-after"], "2");
        let response = ApiError::new(Code::ApiKeyInvalid).into_response();
        assert!(response.headers().contains_key("www-authenticate"));
    }
}
