//! Authorize and verify: record, then open, then send; in that order, always.
//!
//! 0. A record that nobody has a reason to use raises the alarm; an opening beyond the budget is frozen, with all that follow.
//! 1. The attempt and its access-ledger row are durable (one commit). An attempt id that was used before stops here.
//! 2. The number is opened with the receipt of that row; the CVC, if one waits, is taken out of locked memory for good.
//! 3. The network is asked once.
//! 4. The outcome is durable before it is told. No answer means no outcome: `resolve` finds out, nobody sends again.

use std::time::Instant;

use kura_platform::tls::{Gateway, Peer};
use kura_platform::{clock, random};
use kura_wire::ids::{AttemptId, AuthenticationId, CardToken, TokenUse};
use kura_wire::money::{Currency, Money, currency_code};
use kura_wire::vault::{Authorize, Context, CvcRule, Initiator, Outcome, VaultErrorCode, Verify};
use uuid::Uuid;

use super::outcome::{decision_of, outcome_of, recorded, reversed};
use super::{Vault, attempt_uuid, authentication_uuid, internal, merchant_uuid, store_error};
use crate::acquirer::{Acquirer, Answer, Presented, Proof, Reply, authorization};
use crate::card::Expiry;
use crate::commit::{Begun, Decided, LedgerReceipt, NewAttempt};
use crate::crypto::field::DataClass;
use crate::crypto::keyring::Keyring;
use crate::guard::About;
use crate::store::attempts::{self, AttemptRow};
use crate::store::cards::{self, FoundCard};
use crate::store::openings::OpeningRow;

/// What the issuer is asked about a card.
struct Asking<'a> {
    context: &'a Context,
    attempt: AttemptId,
    network_reference: &'a str,
    token: CardToken,
    /// Nothing, where it is only asked whether the card is good.
    money: Option<Money>,
    /// As attempts have it.
    kind: &'static str,
    /// As the access ledger has it.
    purpose: &'static str,
    cvc: CvcRule,
    initiator: Initiator,
    authentication: Option<AuthenticationId>,
}

impl<'a> From<&'a Authorize> for Asking<'a> {
    fn from(request: &'a Authorize) -> Self {
        Self {
            context: &request.context,
            attempt: request.attempt,
            network_reference: &request.network_reference,
            token: request.token,
            money: Some(request.money),
            kind: if request.capture { "purchase" } else { "authorize" },
            purpose: "authorize",
            cvc: request.cvc,
            initiator: request.initiator,
            authentication: request.authentication,
        }
    }
}

impl<'a> From<&'a Verify> for Asking<'a> {
    fn from(request: &'a Verify) -> Self {
        Self {
            context: &request.context,
            attempt: request.attempt,
            network_reference: &request.network_reference,
            token: request.token,
            money: None,
            kind: "verify",
            purpose: "verify",
            cvc: CvcRule::Proceed,
            initiator: Initiator::Cardholder,
            authentication: request.authentication,
        }
    }
}

impl Asking<'_> {
    /// As the network is told: nothing is nothing in any currency.
    fn money(&self) -> Money {
        self.money.unwrap_or(Money { amount_minor: 0, currency: Currency::JPY })
    }

    /// Only what may cost money uses a token up.
    fn spends_token(&self) -> bool {
        self.token.allows == TokenUse::Single && self.money.is_some()
    }
}

impl Vault {
    /// Asks the network for the money, once for each attempt id.
    ///
    /// # Errors
    /// Before anything was sent: `TokenUnknown`, `TokenUsed`, `AttemptMismatch`, `AuthenticationUnknown`, `NetworkUnavailable`,
    /// `NetworkNotConfigured`, `Sealed`, `CvcRequired`, `PurposeFrozen`, `SealedDataCorrupt`, `Overloaded`. `Internal` when in
    /// doubt: ask `resolve`.
    pub async fn authorize(&self, peer: Peer<Gateway>, request: &Authorize) -> Result<Outcome, VaultErrorCode> {
        self.ask_issuer(peer, &Asking::from(request)).await
    }

    /// Asks the issuer whether the card is good, once for each attempt id. A CVC goes along and is wiped; a single-use token
    /// stays what it is.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub async fn verify(&self, peer: Peer<Gateway>, request: &Verify) -> Result<Outcome, VaultErrorCode> {
        self.ask_issuer(peer, &Asking::from(request)).await
    }

    async fn ask_issuer(&self, peer: Peer<Gateway>, request: &Asking<'_>) -> Result<Outcome, VaultErrorCode> {
        let Ok(keyring) = self.keyring() else { return self.known_or(request, VaultErrorCode::Sealed).await };
        let about = About::of(request.context, request.token.record);
        if self.guard.trips(&keyring.fingerprints, peer.name(), request.purpose, &request.token.record, about).await {
            return self.decline(request).await;
        }
        let acquirer = self.acquirer(request.context.livemode)?;
        let card = self.find_card(request.context, request.token).await?;
        if card.exposed
            && let Err(refused) = self.use_exposed(request.context, card.id).await
        {
            return self.known_or(request, refused).await;
        }
        if !acquirer.is_connected() {
            return self.known_or(request, VaultErrorCode::NetworkUnavailable).await;
        }
        if self.lacks_cvc(request) {
            return self.known_or(request, VaultErrorCode::CvcRequired).await;
        }
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(Outcome::Unknown) };
        let proof = match self.proof_for(request).await {
            Ok(proof) => proof,
            Err(code) => return self.known_or(request, code).await,
        };
        let permit = match self.guard.permit(peer.name(), request.purpose, 1, about).await {
            Ok(permit) => permit,
            Err(code) => return self.known_or(request, code).await,
        };
        let attempt = self.new_attempt(request);
        let begun = self
            .committer
            .begin(NewAttempt {
                opening: Some(permit.cover(opening(peer, request))),
                spends_token: request.spends_token(),
                attempt: attempt.clone(),
            })
            .await?;
        match begun {
            // By another attempt; or by this one, which gave it back.
            Begun::TokenUsed => self.known_or(request, VaultErrorCode::TokenUsed).await,
            Begun::Existing | Begun::New(None) => self.known_or(request, VaultErrorCode::Internal).await,
            Begun::New(Some(receipt)) => {
                let sending = Sending { keyring: &keyring, acquirer, attempt: &attempt, card, receipt, proof };
                self.send(request, sending).await
            }
        }
    }

    async fn proof_for(&self, request: &Asking<'_>) -> Result<Option<Proof>, VaultErrorCode> {
        let Some(authentication) = request.authentication else { return Ok(None) };
        let card = Uuid::from_bytes(request.token.record);
        self.proof_of_authentication(request.context, card, request.money, authentication).await
    }

    fn lacks_cvc(&self, request: &Asking<'_>) -> bool {
        request.cvc == CvcRule::Require && !self.cvcs.holds(&request.token.record, Instant::now())
    }

    /// A canary is declined as issuers decline without a reason. Nothing is opened and nothing is sent; the attempt is on
    /// record, so that it is declined again when it is asked for again.
    async fn decline(&self, request: &Asking<'_>) -> Result<Outcome, VaultErrorCode> {
        let attempt = self.new_attempt(request);
        let declined = NewAttempt { attempt: attempt.clone(), opening: None, spends_token: false };
        match self.committer.begin(declined).await? {
            Begun::New(_) => {
                self.conclude(&attempt, Reply::Answered(Answer::declined(&attempt.network_reference))).await
            }
            Begun::Existing | Begun::TokenUsed => self.known_or(request, VaultErrorCode::Internal).await,
        }
    }

    /// The card of a token that is in force.
    pub(super) async fn find_card(&self, context: &Context, token: CardToken) -> Result<FoundCard, VaultErrorCode> {
        let (record, owner) = (Uuid::from_bytes(token.record), merchant_uuid(context.merchant));
        let found = cards::find(&self.pool, record, owner, context.livemode).await.map_err(store_error)?;
        let card = found.ok_or(VaultErrorCode::TokenUnknown)?;
        match token.allows {
            TokenUse::Multi if card.saved_at.is_none() => Err(VaultErrorCode::TokenUnknown),
            TokenUse::Single if card.saved_at.is_some() => Err(VaultErrorCode::TokenUsed),
            _ => Ok(card),
        }
    }

    /// The recorded outcome of this attempt, if it is on record at all.
    async fn known_or(&self, request: &Asking<'_>, otherwise: VaultErrorCode) -> Result<Outcome, VaultErrorCode> {
        let found = attempts::find(&self.pool, attempt_uuid(request.attempt)).await.map_err(store_error)?;
        let row = found.ok_or(otherwise)?;
        if row.kind != "tombstone" && !is_same(&row, request) {
            return Err(VaultErrorCode::AttemptMismatch);
        }
        if row.merchant_id != merchant_uuid(request.context.merchant) {
            return Err(VaultErrorCode::AttemptMismatch);
        }
        Ok(recorded(&row))
    }

    async fn send(&self, request: &Asking<'_>, sending: Sending<'_>) -> Result<Outcome, VaultErrorCode> {
        let Sending { keyring, acquirer, attempt, card, receipt, proof } = sending;
        let cvc = self.cvcs.take(&request.token.record, Instant::now());
        if cvc.is_none() && request.cvc == CvcRule::Require {
            // It was there a moment ago: its time ended, or another attempt of the same card took it.
            self.committer.decide(reversed(attempt.id)).await?;
            return Err(VaultErrorCode::CvcRequired);
        }
        let expiry = Expiry {
            month: u8::try_from(card.exp_month).map_err(|error| internal(&error))?,
            year: u16::try_from(card.exp_year).map_err(|error| internal(&error))?,
        };
        let context = request.context;
        let opened = self.open_pan(keyring, receipt, context.merchant, context.request_id, card.pan_sealed).await;
        let message = match opened {
            Ok(pan) => {
                let card = Presented { pan: &pan, expiry, cvc: cvc.as_ref(), proof: proof.as_ref() };
                authorization(attempt, context.merchant, request.money(), card).map_err(|error| internal(&error))
            }
            Err(code) => Err(code),
        };
        drop((cvc, proof));
        let reply = match message {
            Ok(message) => acquirer.ask(message).await,
            Err(code) => {
                // Nothing was sent and nothing will be: the attempt is over.
                self.committer.decide(reversed(attempt.id)).await?;
                return Err(code);
            }
        };
        self.conclude(attempt, reply).await
    }

    /// Makes an outcome durable, then tells it.
    pub(super) async fn conclude(&self, attempt: &AttemptRow, reply: Reply) -> Result<Outcome, VaultErrorCode> {
        match reply {
            Reply::Answered(answer) => {
                let decided = self.committer.decide(decision_of(attempt.id, &answer)).await?;
                self.told(attempt, decided, outcome_of(&answer)).await
            }
            Reply::NotSent => {
                let decided = self.committer.decide(reversed(attempt.id)).await?;
                self.told(attempt, decided, Outcome::Reversed).await
            }
            Reply::Unknown => Ok(Outcome::Unknown),
        }
    }

    /// What is told is what is on record. Another node may have decided first, or be taking the attempt back.
    pub(super) async fn told(
        &self,
        attempt: &AttemptRow,
        decided: Decided,
        outcome: Outcome,
    ) -> Result<Outcome, VaultErrorCode> {
        match decided {
            Decided::Now => Ok(outcome),
            Decided::Before => {
                let found = attempts::find(&self.pool, attempt.id).await.map_err(store_error)?;
                Ok(found.as_ref().map_or(Outcome::Unknown, recorded))
            }
        }
    }

    fn new_attempt(&self, request: &Asking<'_>) -> AttemptRow {
        AttemptRow {
            id: attempt_uuid(request.attempt),
            merchant_id: merchant_uuid(request.context.merchant),
            livemode: request.context.livemode,
            node: self.node_number(),
            kind: request.kind.to_owned(),
            card_id: Some(Uuid::from_bytes(request.token.record)),
            payer_id: None,
            original_id: None,
            network_reference: request.network_reference.to_owned(),
            stan: draw_stan(),
            amount_minor: request.money().amount_minor,
            currency: currency_code(request.money().currency),
            created_at: clock::now(),
            outcome: None,
            approval_code: None,
            response_code: None,
            cvc_check: None,
            reversing: false,
            authentication_id: request.authentication.map(authentication_uuid),
            merchant_initiated: request.initiator == Initiator::Merchant,
        }
    }
}

/// All that a message is made of.
struct Sending<'a> {
    keyring: &'a Keyring,
    acquirer: &'a Acquirer,
    attempt: &'a AttemptRow,
    card: FoundCard,
    receipt: LedgerReceipt,
    proof: Option<Proof>,
}

/// A trace number, one to 999,999 (field 11). It need not be unique: the reference is.
pub(super) fn draw_stan() -> i32 {
    1 + i32::from_be_bytes(random::bytes()).rem_euclid(999_999)
}

fn opening(peer: Peer<Gateway>, request: &Asking<'_>) -> OpeningRow {
    OpeningRow {
        node: 0,
        sequence: 0,
        at: clock::now(),
        actor: peer.name().to_owned(),
        request_id: Uuid::from_bytes(*request.context.request_id.as_bytes()),
        merchant_id: merchant_uuid(request.context.merchant),
        record_id: Uuid::from_bytes(request.token.record),
        class: DataClass::Card.as_str().to_owned(),
        records: 1,
        fields: vec!["pan".to_owned()],
        purpose: request.purpose.to_owned(),
        attempt_id: Some(attempt_uuid(request.attempt)),
    }
}

/// Asked again, it must be the same in all that matters.
fn is_same(row: &AttemptRow, request: &Asking<'_>) -> bool {
    row.kind == request.kind
        && row.livemode == request.context.livemode
        && row.card_id == Some(Uuid::from_bytes(request.token.record))
        && row.network_reference == request.network_reference
        && row.amount_minor == request.money().amount_minor
        && row.currency == currency_code(request.money().currency)
        && row.authentication_id == request.authentication.map(authentication_uuid)
        && row.merchant_initiated == (request.initiator == Initiator::Merchant)
}
