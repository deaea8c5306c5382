//! Payments without a card: the network is asked to take the shopper's money, and says later whether it came.
//!
//! 1. [`open`], in the transaction that sets the payment going: the attempt and the deposit, written before anybody is asked.
//! 2. [`carry_out`]: the vault, which alone knows who pays, asks the network, once.
//! 3. [`settle`]: whatever is heard, of the answer, of a notice, of a question of the worker's, goes through here under the
//!    payment's lock. Each end is written once; what is heard again changes nothing.
//!
//! Money may come when nobody waits for it any more. Where its payment is still unpaid, it pays it; else it is booked apart.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::card::{CvcCheck, DeclineCode};
use kura_wire::deposit::{DepositState, FindDeposit, GiveBack, GivenBack, RequestDeposit, WithdrawDeposit};
use kura_wire::money::{Money, parse_currency};
use kura_wire::notice::{Notice, NoticeKind};
use kura_wire::payer::PayerMethod;
use kura_wire::vault::{Context as VaultContext, Outcome};
use time::OffsetDateTime;

use crate::app::App;
use crate::codes::Code;
use crate::domain::books::{Movement, Network};
use crate::domain::payment_intent::{Event, InFlight, Progress, Status};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Cause, Happened, Kind as Told};
use crate::money_path::{self, entry};
use crate::render;
use crate::routes::payment_intents::render_in;
use crate::store::attempts::{self, Attempt, Kind as AttemptKind, State as AttemptState};
use crate::store::charges::{self, Charge};
use crate::store::deposits::{self, Deposit, State};
use crate::store::methods::{self, Method};
use crate::store::payment_intents::{self, Intent, LastError};
use crate::store::timeline::{self, Entry};
use crate::store::{Tenant, notices, transfers};
use crate::vault_client::VaultFailure;

/// How long after a deposit's time is over the network is asked, should its notice not have come.
const ASK_AFTER_EXPIRY: Duration = Duration::from_secs(60);
/// The page that tells a shopper what to do, before the id.
pub const VOUCHER_PATH: &str = "/vouchers";
/// Where the wallet sends the shopper back to, before the id and `/return`.
pub const WALLET_PATH: &str = "/wallet";

/// The page of ours that tells the shopper what to do.
pub fn voucher(app: &App, deposit: &Deposit) -> String {
    format!("{}{VOUCHER_PATH}/{}", app.public_url, deposit.id)
}

/// Writes a deposit down, with its attempt. Part of the transaction that sets the payment going.
///
/// # Errors
/// The database's.
pub async fn open(
    app: &App,
    conn: &mut PgConnection,
    tenant: Tenant,
    attempt: &Attempt,
    new: &Deposit,
) -> ApiResult<()> {
    money_path::open(app, conn, tenant, attempt).await?;
    deposits::insert(conn, tenant, new).await?;
    Ok(())
}

/// Asks the network, by way of the vault, and settles what it says. The payment afterwards.
///
/// # Errors
/// The vault's, where surely nothing was asked; the database's.
pub async fn carry_out(
    app: &App,
    cause: &Cause,
    context: VaultContext,
    attempt: &Attempt,
    deposit: &Deposit,
) -> ApiResult<Option<Intent>> {
    let return_url = match deposit.method {
        PayerMethod::Emoney => Some(format!("{}{WALLET_PATH}/{}/return", app.public_url, deposit.id)),
        PayerMethod::Konbini | PayerMethod::Payeasy => None,
    };
    let ask = RequestDeposit {
        context,
        attempt: attempt.id,
        network_reference: attempt.network_reference.clone(),
        method: deposit.method,
        payer: deposit.payer,
        money: money_of(attempt)?,
        expires_at: deposit.expires_at,
        description: deposit.description.clone(),
        confirmation_number: deposit.confirmation_number.clone(),
        return_url,
    };
    match app.vault.request_deposit(&ask).await {
        Ok(DepositState::Unknown) => money_path::tell_processing(app, cause, attempt).await.map(|()| None),
        Ok(heard) => settle(app, cause, attempt, &Heard::Answer(heard)).await,
        Err(failure) if failure.surely_unsent() => {
            settle(app, cause, attempt, &Heard::Answer(DepositState::NotMade)).await?;
            Err(failure.into())
        }
        Err(_) => money_path::tell_processing(app, cause, attempt).await.map(|()| None),
    }
}

/// Asks what became of a deposit, and settles it.
///
/// # Errors
/// The database's. That the vault can't say is none: it is asked again.
pub async fn look(app: &App, cause: &Cause, context: VaultContext, attempt: &Attempt) -> ApiResult<Option<Intent>> {
    match app.vault.find_deposit(&FindDeposit { context, attempt: attempt.id }).await {
        Ok(DepositState::Unknown) | Err(_) => {
            money_path::tell_processing(app, cause, attempt).await?;
            Ok(None)
        }
        Ok(heard) => settle(app, cause, attempt, &Heard::Answer(heard)).await,
    }
}

/// Has the network forget a deposit that nobody brought yet. True: it will not come any more.
///
/// # Errors
/// 503 where nobody can say; the database's.
pub async fn withdraw(app: &App, cause: &Cause, context: VaultContext, deposit: &Deposit) -> ApiResult<bool> {
    let answer = app.vault.withdraw_deposit(&WithdrawDeposit { context, attempt: deposit.id }).await;
    match answer {
        Ok(DepositState::Withdrawn | DepositState::Expired | DepositState::Refused { .. } | DepositState::NotMade) => {
            Ok(true)
        }
        Ok(heard @ DepositState::Paid { .. }) => {
            let attempt = attempts::find(&mut *app.db.of(cause.tenant).await?, cause.tenant, deposit.id).await?;
            let attempt = attempt.ok_or_else(|| ApiError::internal("a deposit without its attempt"))?;
            settle(app, cause, &attempt, &Heard::Answer(heard)).await?;
            Ok(false)
        }
        Ok(DepositState::Waiting { .. } | DepositState::Unknown) => Err(VaultFailure::Doubt.into()),
        Err(failure) => Err(failure.into()),
    }
}

/// What was heard of a deposit.
#[derive(Debug)]
pub enum Heard {
    /// An answer to a question of ours.
    Answer(DepositState),
    /// What the network said of itself.
    Notice(Notice),
}

impl Heard {
    fn state(&self) -> DepositState {
        match self {
            Self::Answer(state) => state.clone(),
            Self::Notice(notice) => match notice.kind {
                NoticeKind::Paid => DepositState::Paid { paid_at: notice.at, place: notice.place.clone() },
                NoticeKind::Refused => DepositState::Refused { reason: "refused".into() },
                NoticeKind::Expired => DepositState::Expired,
            },
        }
    }
}

/// Writes down what was heard, and all that follows. The payment afterwards; `None` where it changed nothing.
///
/// # Errors
/// The database's; nothing is written then. 400 for a notice about other money than was asked for.
pub async fn settle(app: &App, cause: &Cause, attempt: &Attempt, heard: &Heard) -> ApiResult<Option<Intent>> {
    let (tenant, at) = (cause.tenant, clock::now());
    let mut tx = app.db.begin(tenant).await?;
    let intent = payment_intents::lock(&mut tx, tenant, attempt.intent).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an attempt without its payment"))?;
    if let Heard::Notice(notice) = heard {
        if notice.money != money_of(attempt)? {
            tracing::error!(attempt = %attempt.id, "a notice about other money than was asked for");
            return Err(ApiError::invalid("money", "what was asked for"));
        }
        if !notices::insert(&mut tx, tenant, attempt.id, notice, at).await? {
            return Ok(None);
        }
    }
    let deposit = deposits::find(&mut tx, tenant, attempt.id).await?;
    let deposit = deposit.ok_or_else(|| ApiError::internal("an attempt without its deposit"))?;
    let payer = methods::find(&mut tx, tenant, attempt.method).await?;
    let mut settling = Settling { app, cause, attempt, at, payer, told: Vec::new(), entries: Vec::new() };
    let changed = settling.hear(&mut tx, intent, deposit, heard.state()).await?;
    let Settling { told, entries, .. } = settling;
    events::tell(&mut tx, cause, at, told).await?;
    timeline::append(&mut tx, tenant, attempt.intent, cause.request, at, &entries).await?;
    tx.commit().await?;
    Ok(changed)
}

/// One settlement, under the payment's lock.
struct Settling<'a> {
    app: &'a App,
    cause: &'a Cause,
    attempt: &'a Attempt,
    at: OffsetDateTime,
    payer: Option<Method>,
    told: Vec<Happened>,
    entries: Vec<Entry>,
}

impl Settling<'_> {
    async fn hear(
        &mut self,
        conn: &mut PgConnection,
        intent: Intent,
        deposit: Deposit,
        heard: DepositState,
    ) -> ApiResult<Option<Intent>> {
        match (heard, deposit.state) {
            (DepositState::Waiting { instructions }, State::Asked) => {
                let deposit = Deposit { state: State::Waiting, instructions: Some(instructions), ..deposit };
                self.waits(conn, intent, deposit).await.map(Some)
            }
            // Its time is not over, whatever our own clock says.
            (DepositState::Waiting { .. }, _) | (DepositState::Unknown, _) => Ok(None),
            (DepositState::Paid { paid_at, place }, state) if state.is_under_way() => {
                let deposit = Deposit { paid_at: Some(paid_at), place, ..deposit };
                self.paid(conn, intent, deposit, Event::Deposited).await.map(Some)
            }
            (DepositState::Paid { paid_at, place }, State::Ended) => {
                let deposit = Deposit { paid_at: Some(paid_at), place, ..deposit };
                self.paid_late(conn, intent, deposit).await.map(Some)
            }
            (
                ended @ (DepositState::Expired
                | DepositState::Withdrawn
                | DepositState::Refused { .. }
                | DepositState::NotMade),
                state,
            ) if state.is_under_way() => self.ended(conn, intent, deposit, &ended).await.map(Some),
            (
                DepositState::Paid { .. }
                | DepositState::Expired
                | DepositState::Withdrawn
                | DepositState::Refused { .. }
                | DepositState::NotMade,
                _,
            ) => Ok(None),
        }
    }

    /// What is known to be under way.
    fn now(intent: &Intent) -> Progress {
        let in_flight = match intent.progress.status {
            Status::Processing => Some(InFlight::Request),
            Status::RequiresAction => Some(InFlight::Deposit),
            _ => None,
        };
        Progress { in_flight, ..intent.progress }
    }

    async fn waits(&mut self, conn: &mut PgConnection, intent: Intent, deposit: Deposit) -> ApiResult<Intent> {
        let (app, tenant) = (self.app, self.cause.tenant);
        let progress = Self::now(&intent).after(Event::Requested).map_err(ApiError::internal)?;
        let intent = Intent { progress, ..intent };
        deposits::update(conn, tenant, &deposit).await?;
        attempts::postpone(conn, tenant, self.attempt.id, deposit.expires_at + ASK_AFTER_EXPIRY).await?;
        payment_intents::update(conn, tenant, &intent).await?;
        self.entries.push(entry("requires_action", self.attempt, None));
        let shown = render_in(conn, app, tenant, &intent).await?;
        self.told.push(Happened::to(&shown, Told::PaymentIntentRequiresAction)?);
        Ok(intent)
    }

    async fn paid(
        &mut self,
        conn: &mut PgConnection,
        intent: Intent,
        deposit: Deposit,
        event: Event,
    ) -> ApiResult<Intent> {
        let tenant = self.cause.tenant;
        let progress = Self::now(&intent).after(event).map_err(ApiError::internal)?;
        let charge = self.charge(&intent, &deposit);
        let intent = Intent {
            progress,
            card: None,
            payer: Some(deposit.payer),
            latest_charge: Some(charge.id),
            last_error: None,
            ..intent
        };
        let approved = AttemptState::Approved;
        if attempts::mark_settled(conn, tenant, self.attempt.id, approved, None, self.at).await?.is_none() {
            attempts::mark_late(conn, tenant, self.attempt.id, self.at).await?;
        }
        deposits::update(conn, tenant, &Deposit { state: State::Paid, ..deposit }).await?;
        charges::insert_all(conn, tenant, &[&charge]).await?;
        self.book(conn, Movement::Deposit).await?;
        payment_intents::update(conn, tenant, &intent).await?;
        self.entries.push(entry("succeeded", self.attempt, None));
        let shown = render::charge::charge(tenant, &charge, self.payer.as_ref());
        self.told.push(Happened::to(&shown, Told::ChargeSucceeded)?);
        self.tell(&intent, Told::PaymentIntentSucceeded)?;
        Ok(intent)
    }

    /// Nobody waits for it any more. It pays what is still unpaid and unchanged; else it is booked apart.
    async fn paid_late(&mut self, conn: &mut PgConnection, intent: Intent, deposit: Deposit) -> ApiResult<Intent> {
        self.entries.push(entry("late_deposit", self.attempt, None));
        let same = (intent.progress.amount, &intent.currency) == (self.attempt.amount_minor, &self.attempt.currency);
        if same && intent.progress.after(Event::DepositedLate).is_ok() {
            return self.paid(conn, intent, deposit, Event::DepositedLate).await;
        }
        let tenant = self.cause.tenant;
        deposits::update(conn, tenant, &Deposit { state: State::Unapplied, ..deposit }).await?;
        self.book(conn, Movement::Unapplied).await?;
        self.entries.push(entry("unapplied_deposit", self.attempt, None));
        tracing::error!(attempt = %self.attempt.id, "a deposit came for a payment that can't take it");
        self.tell(&intent, Told::PaymentIntentDepositUnapplied)?;
        Ok(intent)
    }

    async fn ended(
        &mut self,
        conn: &mut PgConnection,
        intent: Intent,
        deposit: Deposit,
        heard: &DepositState,
    ) -> ApiResult<Intent> {
        let (state, code, word) = match heard {
            DepositState::Refused { .. } => (AttemptState::Declined, Code::ProviderDecline, "refused"),
            DepositState::Expired => (AttemptState::Reversed, Code::AttemptExpired, "expired"),
            DepositState::NotMade => (AttemptState::Unsent, Code::ProcessingError, "unsent"),
            _ => (AttemptState::Reversed, Code::ProcessingError, "withdrawn"),
        };
        let tenant = self.cause.tenant;
        let progress = Self::now(&intent).after(Event::RequestEnded).map_err(ApiError::internal)?;
        let last_error =
            LastError { code: code.as_str().to_owned(), decline_code: None, charge: None, method: self.attempt.method };
        let intent = Intent { progress, payer: None, last_error: Some(last_error), ..intent };
        attempts::mark_settled(conn, tenant, self.attempt.id, state, Some(word), self.at).await?;
        deposits::update(conn, tenant, &Deposit { state: State::Ended, ..deposit }).await?;
        payment_intents::update(conn, tenant, &intent).await?;
        self.entries.push(entry(word, self.attempt, None));
        self.tell(&intent, Told::PaymentIntentPaymentFailed)?;
        Ok(intent)
    }

    fn tell(&mut self, intent: &Intent, kind: Told) -> ApiResult<()> {
        let shown = render::payment_intent::payment_intent(self.cause.tenant, intent, self.payer.as_ref(), None);
        self.told.push(Happened::to(&shown, kind)?);
        Ok(())
    }

    async fn book(&self, conn: &mut PgConnection, movement: Movement) -> ApiResult<()> {
        let network = Network::from(self.payer.as_ref().and_then(Method::deposit));
        transfers::insert(conn, self.cause.tenant, self.attempt, (movement, network), self.at).await?;
        Ok(())
    }

    fn charge(&self, intent: &Intent, deposit: &Deposit) -> Charge {
        let attempt = self.attempt;
        Charge {
            id: attempt.charge,
            intent: attempt.intent,
            attempt: attempt.id,
            succeeded: true,
            amount_minor: attempt.amount_minor,
            currency: attempt.currency.clone(),
            captured_minor: attempt.amount_minor,
            released_minor: 0,
            refunded_minor: 0,
            captured: true,
            disputed: false,
            method: attempt.method,
            place: deposit.place.clone(),
            customer: intent.customer,
            approval_code: None,
            response_code: None,
            decline_code: None,
            cvc_check: None,
            authentication: None,
            description: intent.description.clone(),
            metadata: intent.metadata.clone(),
            created_at: self.at,
        }
    }
}

/// The question that gives a deposit back, and that is safe to ask again: the network is asked once for one attempt. `None` for
/// attempts of other kinds.
///
/// # Errors
/// 500 for rows that can't be.
pub fn again(attempt: &Attempt, context: &VaultContext) -> ApiResult<Option<GiveBack>> {
    if attempt.kind != AttemptKind::Refund || attempt.method.payer().is_none() {
        return Ok(None);
    }
    Ok(Some(GiveBack {
        context: context.clone(),
        attempt: attempt.id,
        network_reference: attempt.network_reference.clone(),
        original: attempt.original.ok_or_else(|| ApiError::internal("a refund without its deposit"))?,
        money: money_of(attempt)?,
    }))
}

/// How giving a deposit back went, in the words of a refund.
pub const fn given_back(given: GivenBack) -> Outcome {
    match given {
        GivenBack::Accepted => Outcome::Approved { approval_code: String::new(), cvc_check: CvcCheck::Unavailable },
        GivenBack::Refused => Outcome::Declined {
            decline_code: DeclineCode::GenericDecline,
            response_code: String::new(),
            cvc_check: CvcCheck::Unavailable,
        },
        GivenBack::NotMade => Outcome::Reversed,
        GivenBack::Unknown => Outcome::Unknown,
    }
}

fn money_of(attempt: &Attempt) -> ApiResult<Money> {
    let currency = parse_currency(&attempt.currency).map_err(ApiError::internal)?;
    Money::new(attempt.amount_minor, currency).map_err(ApiError::internal)
}
