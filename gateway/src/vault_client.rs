//! The way to the vault's data plane: HTTP/2 over mutual TLS, one answer for one question, and never a repeat. Which node is
//! asked is for [`crate::vault_nodes`] to say.
//!
//! What matters most here is to know **whether a message about money may have left**. Only two kinds of failure say surely
//! that it has not: the connection could not be made, and the vault itself says so with a code of [`sends_nothing`].
//! Everything else (time-outs, broken connections, answers that can't be read) is doubt, and doubt is never retried: the
//! recovery worker asks what became of the attempt.

use std::time::Duration;

use kura_platform::tls::{TlsConfig, TlsError};
use kura_wire::deposit::{self, DepositState, FindDeposit, GiveBack, GivenBack, RequestDeposit, WithdrawDeposit};
use kura_wire::dispute::{AnswerDispute, DisputeAnswered, PATH_ANSWER};
use kura_wire::ids::{CustomerId, NodeId};
use kura_wire::payer::{
    EraseCustomer, ErasedCustomer, FindCustomers, PATH_ERASE_CUSTOMER, PATH_FIND_CUSTOMERS, PATH_STORE_CUSTOMER,
    PATH_STORE_PAYER, PATH_UPDATE_CUSTOMER, StoreCustomer, StorePayer, StoredCustomer, StoredPayer, UpdateCustomer,
};
use kura_wire::sealed_box::{SignedKeySet, node_of_key};
use kura_wire::settlement::{PATH_SETTLEMENT, ReadSettlement, SettlementPage};
use kura_wire::three_d_secure::{
    Authenticate, Authentication, FindAuthentication, PATH_AUTHENTICATE, PATH_AUTHENTICATION,
};
use kura_wire::vault::{
    Attach, Authorize, Describe, FollowUp, Outcome, PATH_ATTACH, PATH_AUTHORIZE, PATH_CAPTURE, PATH_DESCRIBE,
    PATH_REFUND, PATH_RESOLVE, PATH_SEALING_KEYS, PATH_SET_EXPIRY, PATH_TEST_CARD, PATH_TOKENIZE, PATH_VERIFY,
    PATH_VOID, Resolve, SetExpiry, TestCard, Tokenize, Tokenized, VaultErrorBody, VaultErrorCode, Verify,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codes::Code;
use crate::config::VaultNode;
use crate::error::ApiError;
use crate::vault_nodes::{Node, Nodes};

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
        | V::ExposedCardRefused
        // Of an attempt that is on record it tells the record instead.
        | V::Sealed
        | V::CvcRequired
        | V::PurposeFrozen => true,
        V::SealingKeyExpired
        | V::BoxUnopenable
        | V::BoxExpired
        | V::CardMalformed
        | V::CardNumberIncorrect
        | V::ExpiryMonthInvalid
        | V::ExpiryYearInvalid
        | V::CvcInvalid
        | V::NameInvalid
        | V::PhoneInvalid
        | V::EmailInvalid
        | V::PostcodeInvalid
        | V::AddressInvalid
        | V::PayerFieldMissing
        | V::PayerFieldUnexpected
        | V::CustomerUnknown
        | V::PayerUnknown
        | V::AttemptUnknown
        | V::AuthenticationUnknown
        | V::AttemptMismatch
        // Of an attempt that is asked for again, an earlier asking may have been sent.
        | V::Overloaded
        | V::Internal => false,
    }
}

/// The client. Cheap to share.
pub struct VaultClient {
    nodes: Nodes,
}

impl VaultClient {
    /// For the vault at these addresses.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(tls: &TlsConfig, nodes: &[VaultNode], timeout: Duration) -> Result<Self, TlsError> {
        Ok(Self { nodes: Nodes::new(tls, nodes, timeout)? })
    }

    #[cfg(test)]
    pub(crate) fn unreachable() -> Self {
        Self { nodes: Nodes::unreachable() }
    }

    /// The nodes, those that are there first, each time beginning with another one.
    pub fn nodes(&self) -> Vec<&Node> {
        self.nodes.in_order(None)
    }

    /// Whether any node does its work.
    pub async fn is_there(&self) -> bool {
        for node in self.nodes() {
            if self.sealing_keys(node).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// The keys of a node that browsers seal to.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn sealing_keys(&self, node: &Node) -> Result<SignedKeySet, VaultFailure> {
        let keys = answer(node.http.get(format!("{}{PATH_SEALING_KEYS}", node.base))).await;
        node.learn(&keys);
        keys
    }

    /// Opens a box, keeps the card, gives its token. Only the node that has the box's key can; when that one is away, the key
    /// is as good as expired, and the card is to be sealed anew, to another's.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn tokenize(&self, ask: &Tokenize) -> Result<Tokenized, VaultFailure> {
        let Some(node) = node_of_key(&ask.sealed.key_id).and_then(|number| self.nodes.find(number)) else {
            return Err(VaultFailure::Refused(VaultErrorCode::SealingKeyExpired));
        };
        match send(node, PATH_TOKENIZE, ask).await {
            Err(VaultFailure::Away) if !self.nodes.is_single() => {
                Err(VaultFailure::Refused(VaultErrorCode::SealingKeyExpired))
            }
            answer => answer,
        }
    }

    /// A token of one of the published test cards.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn test_card(&self, ask: &TestCard) -> Result<Tokenized, VaultFailure> {
        self.post(None, PATH_TEST_CARD, ask).await
    }

    /// Turns a single-use token into a saved method.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn attach(&self, ask: &Attach) -> Result<Tokenized, VaultFailure> {
        self.post(Some(ask.token.node), PATH_ATTACH, ask).await
    }

    /// What may be known of an imported card.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn describe(&self, ask: &Describe) -> Result<Tokenized, VaultFailure> {
        self.post(Some(ask.token.node), PATH_DESCRIBE, ask).await
    }

    /// A saved card has another expiry.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn set_expiry(&self, ask: &SetExpiry) -> Result<Tokenized, VaultFailure> {
        self.post(None, PATH_SET_EXPIRY, ask).await
    }

    /// Keeps a customer's name, e-mail and telephone number; gives their masked forms. Asked again for an id, it answers the same.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn store_customer(&self, ask: &StoreCustomer) -> Result<StoredCustomer, VaultFailure> {
        self.post(None, PATH_STORE_CUSTOMER, ask).await
    }

    /// Changes some of what is kept of a customer.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn update_customer(&self, ask: &UpdateCustomer) -> Result<StoredCustomer, VaultFailure> {
        self.post(None, PATH_UPDATE_CUSTOMER, ask).await
    }

    /// Blanks what is kept of a customer, for good.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn erase_customer(&self, ask: &EraseCustomer) -> Result<ErasedCustomer, VaultFailure> {
        self.post(None, PATH_ERASE_CUSTOMER, ask).await
    }

    /// Has the issuer asked whether a card is good. Send one attempt once.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn verify(&self, ask: &Verify) -> Result<Outcome, VaultFailure> {
        self.post(Some(ask.token.node), PATH_VERIFY, ask).await
    }

    /// Has the issuer find out who uses a card. Asked twice for one id, the issuer is asked once.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn authenticate(&self, ask: &Authenticate) -> Result<Authentication, VaultFailure> {
        self.post(None, PATH_AUTHENTICATE, ask).await
    }

    /// What became of it.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn find_authentication(&self, ask: &FindAuthentication) -> Result<Authentication, VaultFailure> {
        self.post(None, PATH_AUTHENTICATION, ask).await
    }

    /// Keeps who pays without a card; gives the masked form. Asked again for an id, it answers the same.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn store_payer(&self, ask: &StorePayer) -> Result<StoredPayer, VaultFailure> {
        self.post(None, PATH_STORE_PAYER, ask).await
    }

    /// Has a network wait for a shopper's money. Asked twice for one attempt, the network is asked once.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn request_deposit(&self, ask: &RequestDeposit) -> Result<DepositState, VaultFailure> {
        self.post(None, deposit::PATH_REQUEST, ask).await
    }

    /// Has it wait no longer.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn withdraw_deposit(&self, ask: &WithdrawDeposit) -> Result<DepositState, VaultFailure> {
        self.post(None, deposit::PATH_WITHDRAW, ask).await
    }

    /// What became of it?
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn find_deposit(&self, ask: &FindDeposit) -> Result<DepositState, VaultFailure> {
        self.post(None, deposit::PATH_FIND, ask).await
    }

    /// Gives money of a deposit back. Asked twice for one attempt, the network is asked once.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn give_back(&self, ask: &GiveBack) -> Result<GivenBack, VaultFailure> {
        self.post(None, deposit::PATH_GIVE_BACK, ask).await
    }

    /// Brings a merchant's answer to a dispute's network. Asked again, it is the same answer.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn answer_dispute(&self, ask: &AnswerDispute) -> Result<DisputeAnswered, VaultFailure> {
        self.post(None, PATH_ANSWER, ask).await
    }

    /// A page of what a network has settled on a day.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn settlement(&self, ask: &ReadSettlement) -> Result<SettlementPage, VaultFailure> {
        self.post(None, PATH_SETTLEMENT, ask).await
    }

    /// The customers with an e-mail address, at most [`kura_wire::payer::MAX_FOUND`].
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn find_customers(&self, ask: &FindCustomers) -> Result<Vec<CustomerId>, VaultFailure> {
        self.post(None, PATH_FIND_CUSTOMERS, ask).await
    }

    /// Asks for money. Send one attempt once. The node in the token's hint holds the security code; when it is away another
    /// one is asked, which holds none.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn authorize(&self, ask: &Authorize) -> Result<Outcome, VaultFailure> {
        self.post(Some(ask.token.node), PATH_AUTHORIZE, ask).await
    }

    /// Captures what was authorized.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn capture(&self, ask: &FollowUp) -> Result<Outcome, VaultFailure> {
        self.post(self.nodes.home(ask.attempt), PATH_CAPTURE, ask).await
    }

    /// Takes an authorization back.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn void(&self, ask: &FollowUp) -> Result<Outcome, VaultFailure> {
        self.post(self.nodes.home(ask.attempt), PATH_VOID, ask).await
    }

    /// Gives captured money back.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn refund(&self, ask: &FollowUp) -> Result<Outcome, VaultFailure> {
        self.post(self.nodes.home(ask.attempt), PATH_REFUND, ask).await
    }

    /// What became of an attempt? The node that it went to is asked first: it may still be at it. `node` is the hint of an
    /// authorization's card; other attempts have a home.
    ///
    /// # Errors
    /// [`VaultFailure`].
    pub async fn resolve(&self, ask: &Resolve, node: Option<NodeId>) -> Result<Outcome, VaultFailure> {
        self.post(node.or_else(|| self.nodes.home(ask.attempt)), PATH_RESOLVE, ask).await
    }

    /// Asks one node, and the next only when the connection could not be made: then surely nothing was asked.
    async fn post<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        preferred: Option<NodeId>,
        path: &str,
        ask: &Q,
    ) -> Result<A, VaultFailure> {
        for node in self.nodes.in_order(preferred) {
            match send(node, path, ask).await {
                Err(VaultFailure::Away) => {}
                answer => return answer,
            }
        }
        Err(VaultFailure::Away)
    }
}

async fn send<Q: Serialize + Sync, A: DeserializeOwned>(node: &Node, path: &str, ask: &Q) -> Result<A, VaultFailure> {
    let answer = answer(node.http.post(format!("{}{path}", node.base)).json(ask)).await;
    node.learn(&answer);
    answer
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

fn invalid(name: &'static str, expected: &str) -> ApiError {
    ApiError::with_message(Code::ParameterInvalid, format!("Invalid {name}: must be {expected}.")).on(name)
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
            V::CvcRequired => Self::new(Code::CvcRequired),
            // A person must look at it first.
            V::PurposeFrozen => Self::new(Code::VaultUnavailable).retry_after(60),
            V::NameInvalid => invalid("name", "1 to 100 characters without control characters"),
            V::PhoneInvalid => invalid("phone", "a telephone number of 9 to 15 digits"),
            V::EmailInvalid => invalid("email", "an e-mail address"),
            V::PostcodeInvalid => invalid("address[postal_code]", "a postcode of seven digits"),
            V::AddressInvalid => invalid("address", "1 to 300 characters without control characters"),
            V::CustomerUnknown => Self::missing("customer", "customer"),
            V::PayerUnknown => Self::missing("payment method", "payment_method"),
            // The issuer was not asked; to the shopper it is the same.
            V::ExposedCardRefused => Self::new(Code::CardDeclined).declined_for("restricted_card"),
            V::TokenUnknown => Self::missing("token or payment method", "payment_method"),
            V::TokenUsed => Self::new(Code::TokenAlreadyUsed),
            V::TestCardUnknown => Self::missing("test card", "payment_method"),
            V::NetworkUnavailable | V::Overloaded | V::NetworkNotConfigured | V::Sealed => {
                Self::new(Code::VaultUnavailable).retry_after(1)
            }
            V::PayerFieldMissing => {
                let message = "A field of billing_details that this payment method needs is missing.";
                Self::with_message(Code::ParameterMissing, message).on("billing_details")
            }
            V::PayerFieldUnexpected => invalid("billing_details", "what this payment method needs, and no more"),
            V::Malformed
            | V::AttemptUnknown
            | V::AuthenticationUnknown
            | V::AttemptMismatch
            | V::SealedDataCorrupt
            | V::Internal => Self::internal(format_args!("the vault said: {code}")),
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
        for code in [
            VaultErrorCode::NetworkUnavailable,
            VaultErrorCode::SealedDataCorrupt,
            VaultErrorCode::CvcRequired,
            VaultErrorCode::PurposeFrozen,
        ] {
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
            (VaultErrorCode::CvcRequired, "cvc_required", 402),
            (VaultErrorCode::PurposeFrozen, "vault_unavailable", 503),
            (VaultErrorCode::TokenUsed, "token_already_used", 400),
            (VaultErrorCode::EmailInvalid, "parameter_invalid", 400),
            (VaultErrorCode::ExposedCardRefused, "card_declined", 402),
            (VaultErrorCode::Overloaded, "vault_unavailable", 503),
        ] {
            let error = ApiError::from(VaultFailure::Refused(code));
            assert_eq!((error.code().as_str(), error.status().as_u16()), (expected, status));
        }
    }
}
