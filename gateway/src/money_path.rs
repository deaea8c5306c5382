//! The way of every movement of money: written down, asked once, written down again.
//!
//! 1. [`open`], in the caller's transaction: the attempt's row, with its id and network reference, and the payment
//!    `processing`. After this commit the attempt can't be forgotten.
//! 2. [`carry_out`]: the vault is asked, outside any transaction, once.
//! 3. [`settle`]: in one transaction the attempt's end, the payment, the charge or refund, the books, the timeline. Whoever
//!    comes first settles (the request or the recovery worker); the other finds it done.
//!
//! Where the end is not known there is no third step: the payment stays `processing` until the worker knows.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::card::{CvcCheck, DeclineCode};
use kura_wire::ids::TokenUse;
use kura_wire::money::{Money, parse_currency};
use kura_wire::three_d_secure::AuthenticationEnd;
use kura_wire::vault::{Authorize, Context, CvcRule, FollowUp, Initiator, Outcome, VaultErrorCode};
use time::OffsetDateTime;

use crate::app::App;
use crate::codes::Code;
use crate::deposits;
use crate::domain::books::{Movement, Network};
use crate::domain::payment_intent::{End, Event, InFlight, Progress};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Cause, Happened};
use crate::render;
use crate::store::attempts::{self, Attempt, Kind, State};
use crate::store::authentications::{self, Authentication, State as Stage};
use crate::store::cards::{self, Card};
use crate::store::charges::{self, Charge};
use crate::store::methods::{self, Method};
use crate::store::payment_intents::{self, Intent, LastError, NamedCard};
use crate::store::timeline::{self, Entry};
use crate::store::{Tenant, refunds, transfers};
use crate::three_d_secure;
use crate::vault_client::VaultFailure;

/// How an attempt ended, with what the network said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Yes.
    Approved {
        /// Field 38.
        approval_code: String,
        /// The security code's check.
        cvc_check: CvcCheck,
    },
    /// No.
    Declined {
        /// Why.
        decline_code: DeclineCode,
        /// Field 39.
        response_code: String,
        /// The security code's check.
        cvc_check: CvcCheck,
    },
    /// It did not happen.
    Reversed,
    /// The vault refused before anything was sent.
    Unsent(VaultFailure),
}

impl Ending {
    /// What the vault's answer means. `None`: nothing is known yet.
    pub fn of(answer: Result<Outcome, VaultFailure>) -> Option<Self> {
        match answer {
            Ok(Outcome::Approved { approval_code, cvc_check }) => Some(Self::Approved { approval_code, cvc_check }),
            Ok(Outcome::Declined { decline_code, response_code, cvc_check }) => {
                Some(Self::Declined { decline_code, response_code, cvc_check })
            }
            Ok(Outcome::Reversed) => Some(Self::Reversed),
            Ok(Outcome::Unknown) => None,
            Err(failure) if failure.surely_unsent() => Some(Self::Unsent(failure)),
            Err(_) => None,
        }
    }

    fn end(&self) -> End {
        match self {
            Self::Approved { .. } => End::Approved,
            Self::Declined { .. } => End::Declined,
            Self::Reversed => End::Reversed,
            // The card itself was refused: there is no use in asking again with it.
            Self::Unsent(VaultFailure::Refused(
                VaultErrorCode::TokenUsed
                | VaultErrorCode::TokenUnknown
                | VaultErrorCode::CardExpired
                | VaultErrorCode::CvcRequired
                | VaultErrorCode::ExposedCardRefused,
            )) => End::Reversed,
            Self::Unsent(_) => End::Unsent,
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Approved { .. } => State::Approved,
            Self::Declined { .. } => State::Declined,
            Self::Reversed => State::Reversed,
            Self::Unsent(_) => State::Unsent,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Declined { decline_code, .. } => Some(decline_code.as_str()),
            _ => None,
        }
    }
}

/// Writes an attempt down. Part of the transaction that sets the payment going.
pub async fn open(app: &App, conn: &mut PgConnection, tenant: Tenant, attempt: &Attempt) -> ApiResult<()> {
    attempts::insert(conn, tenant, attempt, attempt.created_at + app.recover_after).await?;
    Ok(())
}

/// The timeline's entry for an attempt that was opened or has ended.
pub fn entry(kind: &'static str, attempt: &Attempt, code: Option<&str>) -> Entry {
    Entry {
        kind,
        attempt: Some(attempt.id),
        network_reference: Some(attempt.network_reference.clone()),
        amount_minor: Some(attempt.amount_minor),
        code: code.map(str::to_owned),
    }
}

/// How the call went.
#[derive(Debug)]
pub struct Carried {
    /// The payment afterwards.
    pub intent: Intent,
    /// The end, if it is known.
    pub ending: Option<Ending>,
    /// The proof that the network asked for instead of saying yes.
    pub step_up: Option<Authentication>,
}

/// The card that is charged.
#[derive(Debug, Clone)]
pub struct Charged {
    /// What is known of it.
    pub card: Card,
    /// By which of its names.
    pub allows: TokenUse,
    /// What is to be done where its security code is not at hand.
    pub cvc: CvcRule,
}

/// Asks the vault, once, and settles what it says. `intent` is the payment as it was left when the attempt was opened.
///
/// # Errors
/// The database's, after which the recovery worker settles.
pub async fn carry_out(
    app: &App,
    cause: &Cause,
    context: Context,
    attempt: &Attempt,
    charged: Option<&Charged>,
    intent: Intent,
) -> ApiResult<Carried> {
    let answer = ask(app, context, attempt, charged).await?;
    let Some(ending) = Ending::of(answer) else {
        tell_processing(app, cause, attempt).await?;
        return Ok(Carried { intent, ending: None, step_up: None });
    };
    let (intent, step_up) = settle(app, cause, attempt, &ending, charged.map(|charged| &charged.card)).await?;
    Ok(Carried { intent, ending: Some(ending), step_up })
}

/// Tells, once for each attempt, that a payment is `processing`: that its end is not known and may take a while.
///
/// # Errors
/// The database's; then nothing is told, and the recovery worker does it.
pub async fn tell_processing(app: &App, cause: &Cause, attempt: &Attempt) -> ApiResult<()> {
    if attempt.kind == Kind::Refund {
        return Ok(());
    }
    let (tenant, at) = (cause.tenant, clock::now());
    let mut tx = app.db.begin(tenant).await?;
    let intent = payment_intents::lock(&mut tx, tenant, attempt.intent).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an attempt without its payment"))?;
    if !attempts::mark_told(&mut tx, tenant, attempt.id).await? {
        return Ok(());
    }
    let method = methods::find(&mut tx, tenant, attempt.method).await?;
    let shown = render::payment_intent::payment_intent(tenant, &intent, method.as_ref(), None);
    events::tell(&mut tx, cause, at, [Happened::to(&shown, events::Kind::PaymentIntentProcessing)?]).await?;
    tx.commit().await?;
    Ok(())
}

async fn ask(
    app: &App,
    context: Context,
    attempt: &Attempt,
    charged: Option<&Charged>,
) -> ApiResult<Result<Outcome, VaultFailure>> {
    let money = Money::new(attempt.amount_minor, parse_currency(&attempt.currency).map_err(ApiError::internal)?)
        .map_err(ApiError::internal)?;
    let network_reference = attempt.network_reference.clone();
    let follow_up = |context, network_reference| {
        let original = attempt.original.ok_or_else(|| ApiError::internal("a follow-up without its original"))?;
        Ok::<_, ApiError>(FollowUp { context, attempt: attempt.id, network_reference, original, money })
    };
    Ok(match (attempt.kind, charged) {
        (Kind::Authorize, Some(charged)) => {
            let (token, cvc, capture) = (charged.card.token(charged.allows), charged.cvc, attempt.capture);
            let ask = Authorize {
                context,
                attempt: attempt.id,
                network_reference,
                token,
                money,
                capture,
                cvc,
                initiator: if attempt.off_session { Initiator::Merchant } else { Initiator::Cardholder },
                authentication: attempt.authentication,
            };
            app.vault.authorize(&ask).await
        }
        (Kind::Authorize, None) => return Err(ApiError::internal("an authorization without a token")),
        (Kind::Capture, _) => app.vault.capture(&follow_up(context, network_reference)?).await,
        (Kind::Void, _) => app.vault.void(&follow_up(context, network_reference)?).await,
        (Kind::Refund, _) => match deposits::again(attempt, &context)? {
            Some(ask) => app.vault.give_back(&ask).await.map(deposits::given_back),
            None => app.vault.refund(&follow_up(context, network_reference)?).await,
        },
        (Kind::Deposit, _) => return Err(ApiError::internal("a deposit goes its own way")),
    })
}

/// Writes down how an attempt ended, and all that follows. Settling twice changes nothing.
///
/// # Errors
/// The database's; nothing is written then.
pub async fn settle(
    app: &App,
    cause: &Cause,
    attempt: &Attempt,
    ending: &Ending,
    at_hand: Option<&Card>,
) -> ApiResult<(Intent, Option<Authentication>)> {
    if attempt.kind == Kind::Deposit {
        return Err(ApiError::internal("a deposit goes its own way"));
    }
    let (tenant, at) = (cause.tenant, clock::now());
    let mut tx = app.db.begin(tenant).await?;
    let intent = payment_intents::lock(&mut tx, tenant, attempt.intent).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an attempt without its payment"))?;
    let settled = attempts::mark_settled(&mut tx, tenant, attempt.id, ending.state(), ending.code(), at).await?;
    let Some(told_processing) = settled else { return Ok((intent, None)) };
    if asks_for_a_proof(attempt, ending)
        && let Some(card) = intent.card
    {
        let step_up = step_up(app, &mut tx, cause, attempt, intent, card).await?;
        tx.commit().await?;
        return Ok(step_up);
    }
    let method = match at_hand {
        Some(card) => Some(Method::Card(card.clone())),
        None => methods::find(&mut tx, tenant, attempt.method).await?,
    };
    let mut settling = Settling { tenant, attempt, ending, at, method, told_processing, happened: Vec::new() };
    let (intent, kind) = settling.write(&mut tx, intent).await?;
    events::tell(&mut tx, cause, at, settling.happened).await?;
    let resolved = cause.request.is_none().then(|| entry("resolved", attempt, Some(ending.state().as_str())));
    let entries: Vec<Entry> = resolved.into_iter().chain([entry(kind, attempt, ending.code())]).collect();
    timeline::append(&mut tx, tenant, attempt.intent, cause.request, at, &entries).await?;
    tx.commit().await?;
    Ok((intent, None))
}

/// The network says no for want of a proof of who the cardholder is, and the cardholder can be asked.
fn asks_for_a_proof(attempt: &Attempt, ending: &Ending) -> bool {
    let soft = matches!(ending, Ending::Declined { decline_code: DeclineCode::AuthenticationRequired, .. });
    soft && attempt.kind == Kind::Authorize && attempt.authentication.is_none() && !attempt.off_session
}

/// Instead of ending, the payment goes on to 3-D Secure. No charge is made of what was only a question.
async fn step_up(
    app: &App,
    conn: &mut PgConnection,
    cause: &Cause,
    attempt: &Attempt,
    intent: Intent,
    card: NamedCard,
) -> ApiResult<(Intent, Option<Authentication>)> {
    let (tenant, at) = (cause.tenant, clock::now());
    let progress = three_d_secure::stepping_up(intent.progress)?;
    let intent = Intent { progress, ..intent };
    let authentication = three_d_secure::of_payment(three_d_secure::after_decline(app, attempt), &intent, card);
    three_d_secure::begin(app, conn, tenant, &authentication).await?;
    attempts::mark_stepped_up(conn, tenant, attempt.id).await?;
    payment_intents::update(conn, tenant, &intent).await?;
    let entries = [entry("authentication_required", attempt, None)];
    timeline::append(conn, tenant, attempt.intent, cause.request, at, &entries).await?;
    Ok((intent, Some(authentication)))
}

/// One settlement, under the payment's lock.
struct Settling<'a> {
    tenant: Tenant,
    attempt: &'a Attempt,
    ending: &'a Ending,
    at: OffsetDateTime,
    method: Option<Method>,
    told_processing: bool,
    happened: Vec<Happened>,
}

impl Settling<'_> {
    /// Writes it; gives the payment afterwards and the timeline's word.
    async fn write(&mut self, conn: &mut PgConnection, intent: Intent) -> ApiResult<(Intent, &'static str)> {
        let progress = self.progress(intent.progress)?;
        let mut intent = Intent { progress, ..intent };
        let kind = match self.attempt.kind {
            Kind::Authorize => self.authorized(conn, &mut intent).await?,
            Kind::Capture => self.captured(conn).await?,
            Kind::Void => self.voided(conn, &mut intent).await?,
            Kind::Refund => self.refunded(conn).await?,
            Kind::Deposit => return Err(ApiError::internal("a deposit goes its own way")),
        };
        payment_intents::update(conn, self.tenant, &intent).await?;
        if let Some(told) = self.told_of_the_payment() {
            let shown = render::payment_intent::payment_intent(self.tenant, &intent, self.method.as_ref(), None);
            self.happened.push(Happened::to(&shown, told)?);
        }
        Ok((intent, kind))
    }

    /// What the settlement is for the payment: its new status, where it has one.
    fn told_of_the_payment(&self) -> Option<events::Kind> {
        match (self.attempt.kind, self.ending.end()) {
            (Kind::Authorize, End::Approved) if self.attempt.capture => Some(events::Kind::PaymentIntentSucceeded),
            (Kind::Authorize, End::Approved) => Some(events::Kind::PaymentIntentAmountCapturableUpdated),
            (Kind::Authorize, End::Declined | End::Reversed) => Some(events::Kind::PaymentIntentPaymentFailed),
            (Kind::Capture, End::Approved) => Some(events::Kind::PaymentIntentSucceeded),
            (Kind::Void, End::Approved) => Some(events::Kind::PaymentIntentCanceled),
            // Back to where it was; told only where it was told to have left.
            (Kind::Capture | Kind::Void, End::Declined | End::Reversed | End::Unsent) if self.told_processing => {
                Some(events::Kind::PaymentIntentAmountCapturableUpdated)
            }
            (Kind::Authorize, End::Unsent)
            | (Kind::Capture | Kind::Void, End::Declined | End::Reversed | End::Unsent)
            | (Kind::Refund | Kind::Deposit, _) => None,
        }
    }

    fn tell_of_charge(&mut self, charge: &Charge, kind: events::Kind) -> ApiResult<()> {
        let shown = render::charge::charge(self.tenant, charge, self.method.as_ref());
        self.happened.push(Happened::to(&shown, kind)?);
        Ok(())
    }

    /// The charge of this attempt as it is now.
    async fn charge_now(&self, conn: &mut PgConnection) -> ApiResult<Charge> {
        let charge = charges::find(conn, self.tenant, self.attempt.charge).await?;
        charge.ok_or_else(|| ApiError::internal("an attempt without its charge"))
    }

    fn progress(&self, before: Progress) -> ApiResult<Progress> {
        let (amount, end) = (self.attempt.amount_minor, self.ending.end());
        let (in_flight, event) = match self.attempt.kind {
            Kind::Authorize => (Some(InFlight::Authorize), Event::Settled(end)),
            Kind::Capture => (Some(InFlight::Capture(amount)), Event::Settled(end)),
            Kind::Void => (Some(InFlight::Void), Event::Settled(end)),
            Kind::Refund => (before.in_flight, Event::RefundSettled(amount, end)),
            Kind::Deposit => (Some(InFlight::Deposit), Event::Settled(end)),
        };
        Progress { in_flight, ..before }.after(event).map_err(ApiError::internal)
    }

    async fn authorized(&mut self, conn: &mut PgConnection, intent: &mut Intent) -> ApiResult<&'static str> {
        let attempt = self.attempt;
        let record = attempt.method.card().ok_or_else(|| ApiError::internal("an authorization without a card"))?;
        if self.ending.end() != End::Unsent {
            cards::mark_token_used(conn, self.tenant, record, self.at).await?;
        }
        let proof = match attempt.authentication {
            Some(id) => authentications::find(conn, self.tenant, id).await?,
            None => None,
        };
        let said = proof.and_then(|proof| match proof.state {
            Stage::Ended(end) => Some(end),
            Stage::Asked | Stage::Challenge(_) => None,
        });
        if let Some(charge) = self.charge(intent, said) {
            charges::insert(conn, self.tenant, &charge).await?;
            let kind = if charge.succeeded { events::Kind::ChargeSucceeded } else { events::Kind::ChargeFailed };
            self.tell_of_charge(&charge, kind)?;
            intent.latest_charge = Some(charge.id);
        }
        if self.ending.end() == End::Approved {
            cards::mark_charged(conn, self.tenant, record, self.at).await?;
            self.keep_for_later(conn, intent).await?;
        }
        match self.ending {
            Ending::Approved { .. } if attempt.capture => {
                self.book(conn, Movement::Capture).await?;
                Ok("succeeded")
            }
            Ending::Approved { .. } => Ok("authorized"),
            Ending::Declined { decline_code, .. } => {
                let code = Code::of_decline(decline_code.as_str());
                self.failed(intent, code, Some(decline_code.as_str()));
                Ok("declined")
            }
            Ending::Reversed => {
                self.failed(intent, Code::ProcessingError, None);
                Ok("reversed")
            }
            Ending::Unsent(VaultFailure::Refused(VaultErrorCode::CvcRequired)) => {
                self.failed(intent, Code::CvcRequired, None);
                Ok("unsent")
            }
            Ending::Unsent(_) => {
                if self.ending.end() == End::Reversed {
                    intent.card = None;
                }
                Ok("unsent")
            }
        }
    }

    /// The card of a payment that was to set it up for later becomes the customer's.
    async fn keep_for_later(&mut self, conn: &mut PgConnection, intent: &Intent) -> ApiResult<()> {
        let (Some(_), Some(customer), Some(Method::Card(card))) =
            (intent.future_usage, intent.customer, self.method.clone())
        else {
            return Ok(());
        };
        if card.customer.is_none() && cards::attach(conn, self.tenant, card.record, customer).await? {
            let attached = Card { customer: Some(customer), ..card };
            let shown = render::card::payment_method(self.tenant, &attached);
            self.happened.push(Happened::to(&shown, events::Kind::PaymentMethodAttached)?);
            self.method = Some(Method::Card(attached));
        }
        Ok(())
    }

    fn failed(&self, intent: &mut Intent, code: Code, decline_code: Option<&str>) {
        intent.card = None;
        intent.last_error = Some(LastError {
            code: code.as_str().to_owned(),
            decline_code: decline_code.map(str::to_owned),
            charge: decline_code.and(Some(self.attempt.charge)),
            method: self.attempt.method,
        });
    }

    /// The charge that the network's answer makes.
    fn charge(&self, intent: &Intent, authentication: Option<AuthenticationEnd>) -> Option<Charge> {
        let attempt = self.attempt;
        let (succeeded, cvc_check) = match self.ending {
            Ending::Approved { cvc_check, .. } => (true, *cvc_check),
            Ending::Declined { cvc_check, .. } => (false, *cvc_check),
            Ending::Reversed | Ending::Unsent(_) => return None,
        };
        let mut charge = Charge {
            id: attempt.charge,
            intent: attempt.intent,
            attempt: attempt.id,
            succeeded,
            amount_minor: attempt.amount_minor,
            currency: attempt.currency.clone(),
            captured_minor: if succeeded && attempt.capture { attempt.amount_minor } else { 0 },
            released_minor: 0,
            refunded_minor: 0,
            captured: succeeded && attempt.capture,
            disputed: false,
            method: attempt.method,
            place: None,
            customer: intent.customer,
            approval_code: None,
            response_code: None,
            decline_code: None,
            cvc_check: cvc_check.as_str().map(str::to_owned),
            authentication,
            description: intent.description.clone(),
            metadata: intent.metadata.clone(),
            created_at: self.at,
        };
        match self.ending {
            Ending::Approved { approval_code, .. } => charge.approval_code = Some(approval_code.clone()),
            Ending::Declined { decline_code, response_code, .. } => {
                charge.decline_code = Some(decline_code.as_str().to_owned());
                charge.response_code = Some(response_code.clone());
            }
            Ending::Reversed | Ending::Unsent(_) => {}
        }
        Some(charge)
    }

    async fn captured(&mut self, conn: &mut PgConnection) -> ApiResult<&'static str> {
        if self.ending.end() != End::Approved {
            return Ok("capture_failed");
        }
        charges::mark_captured(conn, self.tenant, self.attempt.charge, self.attempt.amount_minor).await?;
        self.book(conn, Movement::Capture).await?;
        let charge = self.charge_now(conn).await?;
        self.tell_of_charge(&charge, events::Kind::ChargeCaptured)?;
        Ok("captured")
    }

    async fn voided(&mut self, conn: &mut PgConnection, intent: &mut Intent) -> ApiResult<&'static str> {
        if self.ending.end() != End::Approved {
            intent.cancellation_reason = None;
            return Ok("cancel_failed");
        }
        charges::mark_voided(conn, self.tenant, self.attempt.charge).await?;
        intent.canceled_at = Some(self.at);
        let charge = self.charge_now(conn).await?;
        self.tell_of_charge(&charge, events::Kind::ChargeRefunded)?;
        Ok("canceled")
    }

    async fn refunded(&mut self, conn: &mut PgConnection) -> ApiResult<&'static str> {
        let refund = self.attempt.refund.ok_or_else(|| ApiError::internal("a refund without an id"))?;
        let (status, failure, kind) = match self.ending.end() {
            End::Approved => ("succeeded", None, "refunded"),
            End::Declined => ("failed", Some("declined"), "refund_failed"),
            End::Reversed | End::Unsent => ("failed", Some("not_processed"), "refund_failed"),
        };
        refunds::mark_settled(conn, self.tenant, refund, status, failure).await?;
        let now = refunds::find(conn, self.tenant, refund).await?;
        let now = now.ok_or_else(|| ApiError::internal("an attempt without its refund"))?;
        let told = if failure.is_none() { events::Kind::RefundUpdated } else { events::Kind::RefundFailed };
        self.happened.push(Happened::to(&render::refund::refund(&now), told)?);
        if self.ending.end() == End::Approved {
            charges::mark_refunded(conn, self.tenant, self.attempt.charge, self.attempt.amount_minor).await?;
            self.book(conn, Movement::Refund).await?;
            let charge = self.charge_now(conn).await?;
            self.tell_of_charge(&charge, events::Kind::ChargeRefunded)?;
        }
        Ok(kind)
    }

    async fn book(&self, conn: &mut PgConnection, movement: Movement) -> ApiResult<()> {
        let network = Network::from(self.method.as_ref().and_then(Method::deposit));
        transfers::insert(conn, self.tenant, self.attempt, (movement, network), self.at).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever leaves room for doubt has no end: the payment stays `processing`.
    #[test]
    fn doubt_has_no_ending() {
        assert_eq!(Ending::of(Ok(Outcome::Unknown)), None);
        assert_eq!(Ending::of(Err(VaultFailure::Doubt)), None);
        assert_eq!(Ending::of(Err(VaultFailure::Refused(VaultErrorCode::Internal))), None);
        assert_eq!(Ending::of(Err(VaultFailure::Refused(VaultErrorCode::AttemptMismatch))), None);
        assert_eq!(Ending::of(Err(VaultFailure::Away)), Some(Ending::Unsent(VaultFailure::Away)));
        assert_eq!(Ending::of(Ok(Outcome::Reversed)), Some(Ending::Reversed));
    }

    /// After an outage the same card may be asked again; a card that the vault refuses may not.
    #[test]
    fn an_outage_is_not_the_cards_fault() {
        assert_eq!(Ending::Unsent(VaultFailure::Away).end(), End::Unsent);
        assert_eq!(Ending::Unsent(VaultFailure::Refused(VaultErrorCode::TokenUsed)).end(), End::Reversed);
    }
}
