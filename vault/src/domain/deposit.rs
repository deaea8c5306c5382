//! Payments without a card: the network is asked once, with the payer's fields in the open, and everything later by reference.
//!
//! 0. A record that nobody has a reason to use raises the alarm; an opening beyond the budget is frozen.
//! 1. The attempt and its access-ledger row are durable (one commit). An attempt id that was used before opens nothing.
//! 2. The payer is opened with the receipt of that row, and the network is asked once.
//! 3. That the network has the request, or refused it, or never will have it, is durable before it is told. From then on the
//!    network itself is asked how it stands: it alone knows who pays when.
//!
//! Of a request without an answer the network is asked. If it knows nothing of it, it is told to take it back, now and whenever it
//! arrives: that is the end of it, on both sides.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::tls::{Gateway, Peer};
use kura_wire::deposit::{DepositState, FindDeposit, GiveBack, GivenBack, RequestDeposit, WithdrawDeposit};
use kura_wire::ids::AttemptId;
use kura_wire::money::currency_code;
use kura_wire::payer::{PayerMethod, PersonField};
use kura_wire::vault::{Context, Outcome, VaultErrorCode};
use uuid::Uuid;

use super::outcome::reversed;
use super::person::person_opening;
use super::{Vault, attempt_uuid, merchant_uuid, store_error};
use crate::commit::{Begun, Decided, LedgerReceipt, NewAttempt};
use crate::crypto::keyring::Keyring;
use crate::deposit_network::{self as network, method_of, word};
use crate::egress::{Egress, EgressError};
use crate::guard::{About, Permitted};
use crate::person::class_of;
use crate::store::attempts::{self, AttemptRow, Decision};
use crate::store::openings::OpeningRow;

/// As the access ledger has it.
const PURPOSE: &str = "deposit";
/// An attempt that gives money back.
const GIVE_BACK: &str = "give_back";
/// How much longer than the network another node may take to write an outcome down.
const ANOTHERS_MARGIN: Duration = Duration::from_secs(2);
/// Why a canary is refused, and whatever else a network refuses without a reason.
const DECLINED: &str = "declined";
const MAX_DESCRIPTION_LEN: usize = 100;
const MAX_URL_LEN: usize = 2048;

impl Vault {
    /// Asks a network for a payment, once for each attempt id.
    ///
    /// # Errors
    /// Before anything was sent: `Malformed`, `PayerUnknown`, `AttemptMismatch`, `NetworkNotConfigured`, `Sealed`,
    /// `PurposeFrozen`, `SealedDataCorrupt`, `Overloaded`. `Internal` when in doubt: ask [`Self::find_deposit`].
    pub async fn request_deposit(
        &self,
        peer: Peer<Gateway>,
        request: &RequestDeposit,
    ) -> Result<DepositState, VaultErrorCode> {
        if !is_well_formed(request) {
            return Err(VaultErrorCode::Malformed);
        }
        if let Some(row) = self.find_attempt(request.attempt).await? {
            return self.known(request, row).await;
        }
        let (keyring, context, record) = (self.keyring()?, &request.context, *request.payer.as_bytes());
        let about = About::of(context, record);
        if self.guard.trips(&keyring.fingerprints, peer.name(), PURPOSE, &record, about).await {
            return self.decline_deposit(request).await;
        }
        let egress = self.services(context.livemode)?;
        let class = class_of(request.method);
        let fields: Vec<_> = self.find_payer(context, Uuid::from_bytes(record), class).await?.present().collect();
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(DepositState::Unknown) };
        let permit = self.guard.permit(peer.name(), PURPOSE, 1, about).await?;
        let opening = permit.cover(opening(peer, request, fields));
        let attempt = self.new_deposit(request);
        match self.begin_deposit(&attempt, Some(opening)).await? {
            Begun::New(Some(receipt)) => self.ask(&keyring, egress, request, &attempt, receipt).await,
            _ => {
                let row = self.find_attempt(request.attempt).await?.ok_or(VaultErrorCode::Internal)?;
                self.known(request, row).await
            }
        }
    }

    /// What became of a request, as its network says now.
    ///
    /// # Errors
    /// `AttemptUnknown` for another merchant's, or what is no request; `NetworkNotConfigured`; `Internal`.
    pub async fn find_deposit(&self, request: &FindDeposit) -> Result<DepositState, VaultErrorCode> {
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(DepositState::Unknown) };
        match self.own_deposit(&request.context, request.attempt).await? {
            Some(row) => self.stands(&request.context, &row).await,
            None => self.bury_deposit(&request.context, request.attempt).await,
        }
    }

    /// Takes a request back. Answers how it stands then.
    ///
    /// # Errors
    /// As [`Self::find_deposit`].
    pub async fn withdraw_deposit(&self, request: &WithdrawDeposit) -> Result<DepositState, VaultErrorCode> {
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(DepositState::Unknown) };
        let Some(row) = self.own_deposit(&request.context, request.attempt).await? else {
            return self.bury_deposit(&request.context, request.attempt).await;
        };
        if let Some(ended) = ended(&row) {
            return Ok(ended);
        }
        let egress = self.services(row.livemode)?;
        match network::withdraw(egress, &row, request.context.merchant).await {
            Ok(state) => self.conclude_deposit(&row, state).await,
            Err(_) => Ok(DepositState::Unknown),
        }
    }

    /// Has money of a paid request given back, once for each attempt id. Nothing is opened: the network knows the payer.
    ///
    /// # Errors
    /// `Malformed`; `AttemptUnknown` when the original is no request of this merchant that its network took; `AttemptMismatch`;
    /// `NetworkNotConfigured`; `Overloaded`; `Internal` when in doubt: ask again.
    pub async fn give_back(&self, request: &GiveBack) -> Result<GivenBack, VaultErrorCode> {
        if !is_reference(&request.network_reference) || request.money.amount_minor <= 0 {
            return Err(VaultErrorCode::Malformed);
        }
        let Some(original) = self.known_original(request).await? else { return Ok(GivenBack::Unknown) };
        let egress = self.services(request.context.livemode)?;
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(GivenBack::Unknown) };
        let attempt = self.new_give_back(request, &original);
        let first = matches!(self.begin_deposit(&attempt, None).await?, Begun::New(_));
        let row = if first {
            attempt
        } else {
            let row = self.find_attempt(request.attempt).await?.ok_or(VaultErrorCode::Internal)?;
            if row.kind == "tombstone" && row.merchant_id == original.merchant_id {
                return Ok(GivenBack::NotMade);
            }
            if !is_same_wish(&row, &attempt) {
                return Err(VaultErrorCode::AttemptMismatch);
            }
            row
        };
        if row.outcome.is_some() {
            return Ok(given_back(&row));
        }
        if self.is_anothers(egress, &row) {
            return Ok(GivenBack::Unknown);
        }
        // The network does it once, so asking again is how to find out.
        let decision = match network::give_back(egress, &row, &original, request.context.merchant).await {
            Ok(GivenBack::Accepted) => decision(row.id, "approved", None),
            Ok(_) | Err(EgressError::Unknown | EgressError::Refused(_)) => {
                decision(row.id, "declined", Some(DECLINED.to_owned()))
            }
            // Nothing was sent before either: this is the first time.
            Err(EgressError::Away) if first => reversed(row.id),
            Err(EgressError::Away | EgressError::Doubt) => return Ok(GivenBack::Unknown),
        };
        self.committer.decide(decision).await?;
        let row = self.find_attempt(request.attempt).await?.ok_or(VaultErrorCode::Internal)?;
        Ok(given_back(&row))
    }

    /// The request whose money goes back. `None`: nobody can say yet whether its network took it. The network tells the gateway
    /// itself that the money is there, so a request whose answer was lost may be paid before anybody asked here what became of it.
    async fn known_original(&self, request: &GiveBack) -> Result<Option<AttemptRow>, VaultErrorCode> {
        let find = async || {
            let row = self.own_deposit(&request.context, request.original).await?;
            row.filter(|row| method_of(&row.kind).is_some()).ok_or(VaultErrorCode::AttemptUnknown)
        };
        let mut original = find().await?;
        if original.outcome.is_none() {
            let asked = FindDeposit { context: request.context.clone(), attempt: request.original };
            if self.find_deposit(&asked).await? == DepositState::Unknown {
                return Ok(None);
            }
            original = find().await?;
        }
        match original.outcome.as_deref() {
            Some("approved") => Ok(Some(original)),
            _ => Err(VaultErrorCode::AttemptUnknown),
        }
    }

    /// Opens the payer and asks. What is not sent, and never will be, ends the attempt.
    async fn ask(
        &self,
        keyring: &Keyring,
        egress: &Egress,
        request: &RequestDeposit,
        attempt: &AttemptRow,
        receipt: LedgerReceipt,
    ) -> Result<DepositState, VaultErrorCode> {
        let payer = match self.open_payer(keyring, receipt, class_of(request.method), &request.context).await {
            Ok(payer) => payer,
            Err(code) => {
                self.committer.decide(reversed(attempt.id)).await?;
                return Err(code);
            }
        };
        match network::request(egress, attempt, request, payer).await {
            Ok(state) => self.conclude_deposit(attempt, state).await,
            // Away: it never left. Refused: it is no request for that network, and so it has none.
            Err(EgressError::Away | EgressError::Refused(_) | EgressError::Unknown) => {
                self.conclude_deposit(attempt, DepositState::NotMade).await
            }
            Err(EgressError::Doubt) => Ok(DepositState::Unknown),
        }
    }

    /// Asked for again: nothing is opened, and the request must be the same in all that matters.
    async fn known(&self, request: &RequestDeposit, row: AttemptRow) -> Result<DepositState, VaultErrorCode> {
        let own = row.merchant_id == merchant_uuid(request.context.merchant);
        if !own || (row.kind != "tombstone" && !is_same(&row, &self.new_deposit(request))) {
            return Err(VaultErrorCode::AttemptMismatch);
        }
        self.stands(&request.context, &row).await
    }

    /// How a request on record stands.
    async fn stands(&self, context: &Context, row: &AttemptRow) -> Result<DepositState, VaultErrorCode> {
        if let Some(ended) = ended(row) {
            return Ok(ended);
        }
        let egress = self.services(row.livemode)?;
        if row.outcome.is_none() && self.is_anothers(egress, row) {
            return Ok(DepositState::Unknown);
        }
        let state = match network::find(egress, row, context.merchant).await {
            Ok(state) => state,
            Err(EgressError::Unknown) => match network::withdraw(egress, row, context.merchant).await {
                Ok(state) => state,
                Err(_) => return Ok(DepositState::Unknown),
            },
            Err(_) => return Ok(DepositState::Unknown),
        };
        self.conclude_deposit(row, state).await
    }

    /// Another node may still be at it.
    fn is_anothers(&self, egress: &Egress, row: &AttemptRow) -> bool {
        row.node != self.node_number() && clock::now() < row.created_at + egress.patience() + ANOTHERS_MARGIN
    }

    /// Makes durable what a network said, unless it is; then tells it.
    async fn conclude_deposit(&self, row: &AttemptRow, state: DepositState) -> Result<DepositState, VaultErrorCode> {
        let decision = match &state {
            DepositState::NotMade => reversed(row.id),
            DepositState::Refused { reason } => decision(row.id, "declined", Some(reason.clone())),
            DepositState::Unknown => return Ok(state),
            DepositState::Waiting { .. }
            | DepositState::Paid { .. }
            | DepositState::Expired
            | DepositState::Withdrawn => decision(row.id, "approved", None),
        };
        if row.outcome.is_some() {
            return Ok(state);
        }
        match self.committer.decide(decision).await? {
            Decided::Now => Ok(state),
            Decided::Before => {
                let found = attempts::find(&self.pool, row.id).await.map_err(store_error)?;
                Ok(found.as_ref().and_then(ended).unwrap_or(state))
            }
        }
    }

    /// A canary is refused as networks refuse without a reason. Nothing is opened and nothing is sent.
    async fn decline_deposit(&self, request: &RequestDeposit) -> Result<DepositState, VaultErrorCode> {
        let attempt = self.new_deposit(request);
        self.begin_deposit(&attempt, None).await?;
        self.conclude_deposit(&attempt, DepositState::Refused { reason: DECLINED.to_owned() }).await
    }

    async fn begin_deposit(&self, attempt: &AttemptRow, opening: Option<Permitted>) -> Result<Begun, VaultErrorCode> {
        self.committer.begin(NewAttempt { attempt: attempt.clone(), opening, spends_token: false }).await
    }

    async fn bury_deposit(&self, context: &Context, attempt: AttemptId) -> Result<DepositState, VaultErrorCode> {
        match self.bury(context, attempt_uuid(attempt)).await? {
            Outcome::Reversed => Ok(DepositState::NotMade),
            _ => Ok(DepositState::Unknown),
        }
    }

    async fn find_attempt(&self, attempt: AttemptId) -> Result<Option<AttemptRow>, VaultErrorCode> {
        attempts::find(&self.pool, attempt_uuid(attempt)).await.map_err(store_error)
    }

    /// The request of this merchant and mode; `None` when there is nothing under this id.
    async fn own_deposit(&self, context: &Context, attempt: AttemptId) -> Result<Option<AttemptRow>, VaultErrorCode> {
        let Some(row) = self.find_attempt(attempt).await? else { return Ok(None) };
        let own = row.merchant_id == merchant_uuid(context.merchant) && row.livemode == context.livemode;
        let fits = row.kind == "tombstone" || method_of(&row.kind).is_some();
        if own && fits { Ok(Some(row)) } else { Err(VaultErrorCode::AttemptUnknown) }
    }

    fn new_deposit(&self, request: &RequestDeposit) -> AttemptRow {
        AttemptRow {
            id: attempt_uuid(request.attempt),
            merchant_id: merchant_uuid(request.context.merchant),
            livemode: request.context.livemode,
            node: self.node_number(),
            kind: word(request.method).to_owned(),
            card_id: None,
            payer_id: Some(Uuid::from_bytes(*request.payer.as_bytes())),
            original_id: None,
            network_reference: request.network_reference.clone(),
            stan: 0,
            amount_minor: request.money.amount_minor,
            currency: currency_code(request.money.currency),
            created_at: clock::now(),
            outcome: None,
            approval_code: None,
            response_code: None,
            cvc_check: None,
            reversing: false,
            authentication_id: None,
            merchant_initiated: false,
        }
    }

    fn new_give_back(&self, request: &GiveBack, original: &AttemptRow) -> AttemptRow {
        AttemptRow {
            id: attempt_uuid(request.attempt),
            node: self.node_number(),
            kind: GIVE_BACK.to_owned(),
            payer_id: None,
            original_id: Some(original.id),
            network_reference: request.network_reference.clone(),
            amount_minor: request.money.amount_minor,
            currency: currency_code(request.money.currency),
            created_at: clock::now(),
            outcome: None,
            response_code: None,
            ..original.clone()
        }
    }
}

fn opening(peer: Peer<Gateway>, request: &RequestDeposit, fields: Vec<PersonField>) -> OpeningRow {
    let (record, class) = (*request.payer.as_bytes(), class_of(request.method));
    let row = person_opening(peer.name(), &request.context, record, class, fields.into_iter(), PURPOSE);
    OpeningRow { attempt_id: Some(attempt_uuid(request.attempt)), ..row }
}

fn decision(id: Uuid, outcome: &'static str, reason: Option<String>) -> Decision {
    Decision { id, outcome, approval_code: None, response_code: reason, cvc_check: None, at: clock::now() }
}

/// What a row says by itself: the request is over, or never was. `None`: ask the network.
fn ended(row: &AttemptRow) -> Option<DepositState> {
    match row.outcome.as_deref() {
        Some("declined") => {
            Some(DepositState::Refused { reason: row.response_code.clone().unwrap_or_else(|| DECLINED.to_owned()) })
        }
        Some("reversed") => Some(DepositState::NotMade),
        _ => None,
    }
}

fn given_back(row: &AttemptRow) -> GivenBack {
    match row.outcome.as_deref() {
        Some("approved") => GivenBack::Accepted,
        Some("declined") => GivenBack::Refused,
        Some(_) => GivenBack::NotMade,
        None => GivenBack::Unknown,
    }
}

/// Twelve letters or digits: it stands in a path.
fn is_reference(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_well_formed(request: &RequestDeposit) -> bool {
    let wish = request.confirmation_number.as_deref();
    let digits = |text: &str| (10..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let web =
        |url: &str| ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) && url.len() <= MAX_URL_LEN;
    let (konbini, emoney) = (request.method == PayerMethod::Konbini, request.method == PayerMethod::Emoney);
    is_reference(&request.network_reference)
        && request.money.amount_minor > 0
        && request.description.as_deref().is_none_or(|text| text.chars().count() <= MAX_DESCRIPTION_LEN)
        && wish.is_none_or(|wish| konbini && digits(wish))
        && request.return_url.is_some() == emoney
        && request.return_url.as_deref().is_none_or(web)
}

/// Asked again, it must be the same in all that matters.
fn is_same(row: &AttemptRow, asked: &AttemptRow) -> bool {
    row.kind == asked.kind
        && row.livemode == asked.livemode
        && row.payer_id == asked.payer_id
        && row.network_reference == asked.network_reference
        && row.amount_minor == asked.amount_minor
        && row.currency == asked.currency
}

fn is_same_wish(row: &AttemptRow, asked: &AttemptRow) -> bool {
    row.merchant_id == asked.merchant_id && row.original_id == asked.original_id && is_same(row, asked)
}
