//! The way to the vault's data plane: HTTP/2 over mutual TLS, one answer for one question, and never a repeat.
//!
//! What matters most here is to know **whether a message about money may have left**. Only two kinds of failure say surely
//! that it has not: the connection could not be made, and the vault itself says so with a code of [`sends_nothing`].
//! Everything else (time-outs, broken connections, answers that can't be read) is doubt, and doubt is never retried: the
//! recovery worker asks what became of the attempt.

use std::net::SocketAddr;
use std::time::Duration;

use kura_platform::tls::{TlsConfig, TlsError, Vault};
use kura_wire::sealed_box::SignedKeySet;
use kura_wire::vault::{
    Attach, Authorize, Describe, FollowUp, Outcome, PATH_ATTACH, PATH_AUTHORIZE, PATH_CAPTURE, PATH_DESCRIBE,
    PATH_REFUND, PATH_RESOLVE, PATH_SEALING_KEYS, PATH_TEST_CARD, PATH_TOKENIZE, PATH_VOID, Resolve, TestCard,
    Tokenize, Tokenized, VaultErrorBody, VaultErrorCode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codes::Code;
use crate::error::ApiError;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultFailure {
    /// The vault refused, in its own words.
    Refused(VaultErrorCode),
    /// It could not be reached: nothing was asked.
    Away,
    /// It may or may not have been asked.
    Doubt,
}

impl VaultFailure {
    /// Whether surely nothing was sent to a network.
    pub fn surely_unsent(self) -> bool {
        match self {
            Self::Away => true,
            Self::Doubt => false,
            Self::Refused(code) => sends_nothing(code),
        }
    }
}

/// The codes by which the vault says that it has not spoken to a network about this attempt, and won't.
fn sends_nothing(code: VaultErrorCode) -> bool {
    use VaultErrorCode as V;
    match code {
        V::Malformed
        | V::TokenUnknown
        | V::TokenUsed
        | V::CardExpired
        | V::TestCardUnknown
        | V::NetworkNotConfigured
        | V::NetworkUnavailable
        | V::SealedDataCorrupt
        // Of an attempt that is on record it tells the record instead.
        | V::Sealed => true,
        V::SealingKeyExpired
        | V::BoxUnopenable
        | V::BoxExpired
        | V::CardMalformed
        | V::CardNumberIncorrect
        | V::ExpiryMonthInvalid
        | V::ExpiryYearInvalid
        | V::CvcInvalid
        | V::AttemptUnknown
        | V::AttemptMismatch
        // Of an attempt that is asked for again, an earlier asking may have been sent.
        | V::Overloaded
        | V::Internal => false,
    }
}

/// The client. Cheap to share.
pub struct VaultClient {
    http: reqwest::Client,
    base: String,
}

impl VaultClient {
    /// For the vault at this address.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(tls: &TlsConfig, address: SocketAddr, timeout: Duration) -> Result<Self, TlsError> {
        Ok(Self { http: tls.http_client::<Vault>(address, timeout)?, base: TlsConfig::base_url::<Vault>(address) })
    }

    #[cfg(test)]
    pub(crate) fn unreachable() -> Self {
        let http = kura_platform::tls::public_http_client(Duration::from_millis(100)).unwrap();
        Self { http, base: "http://127.0.0.1:1".into() }
    }

    /// The keys that browsers seal to.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn sealing_keys(&self) -> Result<SignedKeySet, VaultFailure> {
        answer(self.http.get(format!("{}{PATH_SEALING_KEYS}", self.base))).await
    }

    /// Opens a box, keeps the card, gives its token.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn tokenize(&self, ask: &Tokenize) -> Result<Tokenized, VaultFailure> {
        self.post(PATH_TOKENIZE, ask).await
    }

    /// A token of one of the published test cards.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn test_card(&self, ask: &TestCard) -> Result<Tokenized, VaultFailure> {
        self.post(PATH_TEST_CARD, ask).await
    }

    /// Turns a single-use token into a saved method.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn attach(&self, ask: &Attach) -> Result<Tokenized, VaultFailure> {
        self.post(PATH_ATTACH, ask).await
    }

    /// What may be known of an imported card.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn describe(&self, ask: &Describe) -> Result<Tokenized, VaultFailure> {
        self.post(PATH_DESCRIBE, ask).await
    }

    /// Asks for money. Send one attempt once.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn authorize(&self, ask: &Authorize) -> Result<Outcome, VaultFailure> {
        self.post(PATH_AUTHORIZE, ask).await
    }

    /// Captures what was authorized.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn capture(&self, ask: &FollowUp) -> Result<Outcome, VaultFailure> {
        self.post(PATH_CAPTURE, ask).await
    }

    /// Takes an authorization back.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn void(&self, ask: &FollowUp) -> Result<Outcome, VaultFailure> {
        self.post(PATH_VOID, ask).await
    }

    /// Gives captured money back.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn refund(&self, ask: &FollowUp) -> Result<Outcome, VaultFailure> {
        self.post(PATH_REFUND, ask).await
    }

    /// What became of an attempt?
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn resolve(&self, ask: &Resolve) -> Result<Outcome, VaultFailure> {
        self.post(PATH_RESOLVE, ask).await
    }

    async fn post<Q: Serialize + Sync, A: DeserializeOwned>(&self, path: &str, ask: &Q) -> Result<A, VaultFailure> {
        answer(self.http.post(format!("{}{path}", self.base)).json(ask)).await
    }
}

async fn answer<A: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<A, VaultFailure> {
    let response = request.send().await.map_err(|error| {
        tracing::warn!(connect = error.is_connect(), timeout = error.is_timeout(), "the vault did not answer");
        if error.is_connect() { VaultFailure::Away } else { VaultFailure::Doubt }
    })?;
    if response.status().is_success() {
        return response.json().await.map_err(|_| doubt("an answer that can't be read"));
    }
    let status = response.status().as_u16();
    match response.json::<VaultErrorBody>().await {
        Ok(body) => Err(VaultFailure::Refused(body.code)),
        Err(_) => {
            tracing::error!(status, "the vault refused without a code");
            Err(VaultFailure::Doubt)
        }
    }
}

fn doubt(what: &'static str) -> VaultFailure {
    tracing::error!(what, "the vault's answer is unclear");
    VaultFailure::Doubt
}

impl From<VaultFailure> for ApiError {
    /// The envelope for a failure that moved no money. Where money is in doubt there is no error: the payment is `processing`.
    fn from(failure: VaultFailure) -> Self {
        let VaultFailure::Refused(code) = failure else {
            return Self::new(Code::VaultUnavailable).retry_after(1);
        };
        use VaultErrorCode as V;
        match code {
            V::SealingKeyExpired => Self::new(Code::SealingKeyExpired).on("card[sealed_box][key_id]"),
            V::BoxUnopenable | V::CardMalformed => Self::new(Code::SealedBoxInvalid).on("card[sealed_box]"),
            V::BoxExpired => Self::new(Code::SealedBoxExpired).on("card[sealed_box][sealed_at_ms]"),
            V::CardNumberIncorrect => Self::new(Code::IncorrectNumber).on("number"),
            V::CardExpired => Self::new(Code::ExpiredCard).on("exp_month"),
            V::ExpiryMonthInvalid => Self::new(Code::InvalidExpiryMonth).on("exp_month"),
            V::ExpiryYearInvalid => Self::new(Code::InvalidExpiryYear).on("exp_year"),
            V::CvcInvalid => Self::new(Code::InvalidCvc).on("cvc"),
            V::TokenUnknown => Self::missing("token or payment method", "payment_method"),
            V::TokenUsed => Self::new(Code::TokenAlreadyUsed),
            V::TestCardUnknown => Self::missing("test card", "payment_method"),
            V::NetworkUnavailable | V::Overloaded | V::NetworkNotConfigured | V::Sealed => {
                Self::new(Code::VaultUnavailable).retry_after(1)
            }
            V::Malformed | V::AttemptUnknown | V::AttemptMismatch | V::SealedDataCorrupt | V::Internal => {
                Self::internal(format_args!("the vault said: {code}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubt is doubt: no time-out, no unreadable answer and no unclear code passes for "nothing was sent".
    #[test]
    fn only_sure_knowledge_counts_as_unsent() {
        assert!(VaultFailure::Away.surely_unsent());
        assert!(!VaultFailure::Doubt.surely_unsent());
        for code in [VaultErrorCode::Internal, VaultErrorCode::AttemptMismatch, VaultErrorCode::Overloaded] {
            assert!(!VaultFailure::Refused(code).surely_unsent(), "{code:?}");
        }
        for code in [VaultErrorCode::NetworkUnavailable, VaultErrorCode::SealedDataCorrupt] {
            assert!(VaultFailure::Refused(code).surely_unsent(), "{code:?}");
        }
    }

    /// The codes that the documentation promises for what the vault says.
    #[test]
    fn refusals_have_documented_codes() {
        for (code, expected, status) in [
            (VaultErrorCode::SealingKeyExpired, "sealing_key_expired", 400),
            (VaultErrorCode::BoxUnopenable, "sealed_box_invalid", 400),
            (VaultErrorCode::CardExpired, "expired_card", 402),
            (VaultErrorCode::CardNumberIncorrect, "incorrect_number", 402),
            (VaultErrorCode::CvcInvalid, "invalid_cvc", 402),
            (VaultErrorCode::TokenUsed, "token_already_used", 400),
            (VaultErrorCode::Overloaded, "vault_unavailable", 503),
        ] {
            let error = ApiError::from(VaultFailure::Refused(code));
            assert_eq!((error.code().as_str(), error.status().as_u16()), (expected, status));
        }
    }
}
