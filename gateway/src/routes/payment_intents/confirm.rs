//! `POST /v1/payment_intents/{id}/confirm`: asks for the money.

use kura_platform::clock;
use kura_wire::ids::PaymentIntentId;
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::PgConnection;

use super::create;
use super::flow::{NextAttempt, answer, answer_met, next_attempt, refused};
use crate::codes::Code;
use crate::domain::mask;
use crate::domain::payment_intent::{CaptureMethod, Event, Way};
use crate::edge::call::Context;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::money_path::{self, Charged, carry_out};
use crate::render::payment_intent::{PaymentIntent, payment_intent};
use crate::request_ids::AttemptIds;
use crate::routes::payment_methods::naming;
use crate::store::attempts::{Attempt, Kind, State};
use crate::store::cards::{self, Card};
use crate::store::payment_intents::{self, Intent, NamedCard};
use crate::store::timeline;

/// How a payment is confirmed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmIntent {
    /// `pm_…`; the one that the payment has, where it is left out.
    payment_method: Option<Text<255>>,
    /// A new payment method.
    payment_method_data: Option<naming::MethodData>,
    /// Comes back masked.
    receipt_email: Option<Text>,
}

/// Runs it.
pub async fn run(context: Context, asked: ConfirmIntent) -> ApiResult<PaymentIntent> {
    let (saved, data) = (asked.payment_method.as_deref(), asked.payment_method_data.as_ref());
    let name = naming::named(saved, data, context.tenant().livemode())?;
    let receipt_email = asked.receipt_email.as_deref().map(mask::email);
    let id = context.id("payment_intent")?;
    if let Some(answer) = meet(&context, id).await? {
        return Ok(answer);
    }
    let named = match name {
        Some(name) => Some(naming::find(&context, &name).await?),
        None => None,
    };
    confirm(&context, Target::Existing(id, receipt_email), named).await
}

/// What is confirmed.
pub enum Target {
    /// A payment that this request makes.
    New(Box<Intent>),
    /// One that is there, with another masked e-mail address perhaps.
    Existing(PaymentIntentId, Option<String>),
}

/// The answer about the attempt that an earlier run of this request made, if it made one. Asked before this run looks at the
/// card, which may have been spent by that attempt, or have changed hands since.
pub(super) async fn meet(context: &Context, id: PaymentIntentId) -> ApiResult<Option<PaymentIntent>> {
    if context.first_run {
        return Ok(None);
    }
    let mut tx = context.begin().await?;
    let Some(intent) = payment_intents::lock(&mut tx, context.tenant(), id).await? else { return Ok(None) };
    let NextAttempt::Met(attempt) = next_attempt(context, &mut tx).await? else { return Ok(None) };
    drop(tx);
    answer_met(context, &attempt, &intent).await.map(Some)
}

/// Confirms, and answers.
pub async fn confirm(context: &Context, target: Target, named: Option<(NamedCard, Card)>) -> ApiResult<PaymentIntent> {
    let mut started = Started::Changed;
    // Twice, for the kept card may be replaced between reading it and locking the payment.
    for _ in 0..2 {
        let chosen = choose(context, &target, named.as_ref()).await?;
        started = start(context, &target, chosen).await?;
        if !matches!(started, Started::Changed) {
            break;
        }
    }
    let (attempt, intent, named, card) = match started {
        Started::Met(attempt, intent) => return answer_met(context, &attempt, &intent).await,
        Started::Fresh(attempt, intent, card) => (attempt, intent, card.0, card.1),
        Started::Changed => return Err(ApiError::internal("a payment whose card keeps changing")),
    };
    let cvc = context.cvc_rule(&card);
    let charged = Charged { card, allows: named.allows, cvc };
    let carried =
        carry_out(&context.app, &context.cause(), context.vault_context(), &attempt, Some(&charged), *intent).await?;
    answer(context, carried, Some(&charged.card)).await
}

/// The card to be charged.
enum Chosen {
    /// By this request; a new payment has no other.
    Named(Option<(NamedCard, Card)>),
    /// The payment has it, as read before the lock: the payment must still have it under the lock.
    Kept(Option<(NamedCard, Card)>),
}

impl Chosen {
    /// The card, unless the payment has another one by now.
    fn still(self, intent: &Intent) -> Result<Option<(NamedCard, Card)>, Stale> {
        match self {
            Self::Named(card) => Ok(card),
            Self::Kept(card) if card.as_ref().map(|(named, _)| *named) == intent.card => Ok(card),
            Self::Kept(_) => Err(Stale),
        }
    }
}

/// What was read before the lock is not so any more.
#[derive(Debug, PartialEq, Eq)]
struct Stale;

/// The card of this request, or the one that the payment has. Read before the lock, so that no transaction waits for a second
/// connection.
async fn choose(context: &Context, target: &Target, named: Option<&(NamedCard, Card)>) -> ApiResult<Chosen> {
    let (None, Target::Existing(id, _)) = (named, target) else { return Ok(Chosen::Named(named.cloned())) };
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let intent = payment_intents::find(&mut db, tenant, *id).await?;
    let kept = intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))?.card;
    let Some(kept) = kept else { return Ok(Chosen::Kept(None)) };
    Ok(Chosen::Kept(cards::find(&mut db, tenant, kept.record).await?.map(|card| (kept, card))))
}

/// The named card is nobody's, or the payment's customer's, and its token is unspent.
pub(super) fn check_owner(intent: &Intent, named: Option<&(NamedCard, Card)>) -> ApiResult<()> {
    let Some((named, card)) = named else { return Ok(()) };
    if card.customer.is_some() && card.customer != intent.customer {
        return Err(ApiError::new(Code::CustomerMismatch).on("payment_method"));
    }
    let spent = named.allows == kura_wire::ids::TokenUse::Single && card.token_used_at.is_some();
    if spent { Err(ApiError::new(Code::TokenAlreadyUsed)) } else { Ok(()) }
}

enum Started {
    Met(Attempt, Box<Intent>),
    Fresh(Attempt, Box<Intent>, Box<(NamedCard, Card)>),
    /// Nothing was, for the payment has another card than was read.
    Changed,
}

/// Transaction 1: the payment `processing`, the attempt written down.
async fn start(context: &Context, target: &Target, chosen: Chosen) -> ApiResult<Started> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let (intent, fresh) = match target {
        Target::New(intent) if context.first_run => (Intent::clone(intent), true),
        Target::New(intent) => {
            let fresh = payment_intents::insert(&mut tx, tenant, intent).await?;
            (locked(context, &mut tx, intent.id).await?, fresh)
        }
        Target::Existing(id, receipt_email) => {
            let intent = locked(context, &mut tx, *id).await?;
            (Intent { receipt_email: receipt_email.clone().or_else(|| intent.receipt_email.clone()), ..intent }, false)
        }
    };
    let ids = match next_attempt(context, &mut tx).await? {
        NextAttempt::Fresh(ids) => ids,
        NextAttempt::Met(attempt) => return Ok(Started::Met(attempt, Box::new(intent))),
    };
    let Ok(card) = chosen.still(&intent) else { return Ok(Started::Changed) };
    let before = payment_intent(tenant, &intent, card.as_ref().map(|(_, card)| card));
    let intent = decide(intent, card.as_ref())?;
    let card = card.ok_or_else(|| ApiError::new(Code::PaymentMethodMissing))?;
    let attempt = new_attempt(context, &intent, &card.1, ids);

    if !(fresh && context.first_run && payment_intents::insert(&mut tx, tenant, &intent).await?) {
        payment_intents::update(&mut tx, tenant, &intent).await?;
    }
    money_path::open(&context.app, &mut tx, tenant, &attempt).await?;
    if fresh {
        create::created(&mut tx, context, &intent, &before).await?;
    }
    let entries = [money_path::entry("processing", &attempt, None)];
    timeline::append(&mut tx, tenant, intent.id, Some(context.request_id), attempt.created_at, &entries).await?;
    tx.commit().await?;
    Ok(Started::Fresh(attempt, Box::new(intent), Box::new(card)))
}

async fn locked(context: &Context, conn: &mut PgConnection, id: PaymentIntentId) -> ApiResult<Intent> {
    let intent = payment_intents::lock(conn, context.tenant(), id).await?;
    intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))
}

/// The payment with its card, `processing`.
fn decide(intent: Intent, card: Option<&(NamedCard, Card)>) -> ApiResult<Intent> {
    let refuse = |refusal| refused(&intent, "confirm", refusal);
    let (Some((named, _)), true) = (card, intent.progress.is_open()) else {
        return Err(refuse(crate::domain::payment_intent::Refusal::Status));
    };
    check_owner(&intent, card)?;
    let progress = intent
        .progress
        .after(Event::NameMethod)
        .and_then(|named| named.after(Event::Confirm(Way::Card)))
        .map_err(refuse)?;
    Ok(Intent { progress, card: Some(*named), last_error: None, ..intent })
}

fn new_attempt(context: &Context, intent: &Intent, card: &Card, ids: AttemptIds) -> Attempt {
    Attempt {
        id: ids.attempt,
        intent: intent.id,
        kind: Kind::Authorize,
        original: None,
        charge: ids.charge,
        refund: None,
        network_reference: ids.network_reference,
        amount_minor: intent.progress.amount,
        currency: intent.currency.clone(),
        record: card.record,
        capture: intent.progress.capture_method == CaptureMethod::Automatic,
        state: State::Unresolved,
        request: context.request_id,
        created_at: clock::now(),
    }
}
