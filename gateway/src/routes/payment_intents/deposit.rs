//! Confirming a payment that is made without a card: the network is asked to take the shopper's money.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use time::OffsetDateTime;

use super::confirm::{Target, Terms, locked};
use super::create::{self, check_type};
use super::flow::{NextAttempt, answer_met, next_attempt, refused};
use super::render_one;
use crate::codes::Code;
use crate::deposits;
use crate::domain::deposit::{expiry, limits};
use crate::domain::payment_intent::{CaptureMethod, Event, Way};
use crate::edge::call::Context;
use crate::endpoint::types::moment;
use crate::error::{ApiError, ApiResult};
use crate::money_path;
use crate::render::payment_intent::{PaymentIntent, payment_intent};
use crate::request_ids::AttemptIds;
use crate::routes::payment_methods::naming::Found;
use crate::store::attempts::{Attempt, Kind, State as AttemptState};
use crate::store::deposits::{Deposit, State};
use crate::store::methods::{Method, MethodRef};
use crate::store::payers::{self, Payer};
use crate::store::payment_intents::{self, Intent};
use crate::store::timeline;

/// Confirms with this payer, or the one that the payment has, and answers.
///
/// # Errors
/// 400 for what the payment's status or the network's rules refuse; 503 where the network can't be asked.
pub async fn confirm(
    context: &Context,
    target: Target,
    payer: Option<Payer>,
    terms: &Terms,
) -> ApiResult<PaymentIntent> {
    match start(context, &target, payer, terms).await? {
        Started::Met(attempt, intent) => answer_met(context, &attempt, &intent).await,
        Started::Fresh(attempt, deposit, intent) => {
            let (cause, vault) = (context.cause(), context.vault_context());
            let settled = deposits::carry_out(&context.app, &cause, vault, &attempt, &deposit).await?;
            render_one(context, settled.as_ref().unwrap_or(&intent), None).await
        }
    }
}

enum Started {
    Met(Attempt, Box<Intent>),
    Fresh(Attempt, Box<Deposit>, Box<Intent>),
}

/// Transaction 1: the payment `processing`, the attempt and the deposit written down.
async fn start(context: &Context, target: &Target, named: Option<Payer>, terms: &Terms) -> ApiResult<Started> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let (intent, fresh) = match target {
        Target::New(intent) if context.first_run => (Intent::clone(intent), true),
        Target::New(intent) => {
            let fresh = payment_intents::insert(&mut tx, tenant, intent).await?;
            (locked(context, &mut tx, intent.id).await?, fresh)
        }
        Target::Existing(id) => (locked(context, &mut tx, *id).await?, false),
    };
    let ids = match next_attempt(context, &mut tx).await? {
        NextAttempt::Fresh(ids) => ids,
        NextAttempt::Met(attempt) => return Ok(Started::Met(attempt, Box::new(intent))),
    };
    let payer = match named {
        Some(payer) => payer,
        None => kept(context, &mut tx, &intent).await?,
    };
    let before = payment_intent(tenant, &intent, Some(&Method::Payer(payer.clone())), None);
    let intent = terms.apply(intent);
    let expires_at = check(&intent, &payer, terms, at)?;
    let refuse = |refusal| refused(&intent, "confirm", refusal);
    let progress = intent
        .progress
        .after(Event::NameMethod)
        .and_then(|named| named.after(Event::Confirm(Way::Deposit)))
        .map_err(refuse)?;
    let intent = Intent { progress, card: None, payer: Some(payer.id), last_error: None, ..intent };

    if !(fresh && context.first_run && payment_intents::insert(&mut tx, tenant, &intent).await?) {
        payment_intents::update(&mut tx, tenant, &intent).await?;
    }
    if fresh {
        create::created(&mut tx, context, &intent, &before).await?;
    }
    let attempt = new_attempt(context, &intent, &payer, ids, at);
    let said = intent.deposit_options.of(payer.method);
    let deposit = Deposit {
        id: attempt.id,
        intent: intent.id,
        payer: payer.id,
        method: payer.method,
        state: State::Asked,
        description: said.product_description.clone(),
        confirmation_number: said.confirmation_number.clone(),
        instructions: None,
        expires_at,
        paid_at: None,
        place: None,
        created_at: at,
    };
    deposits::open(&context.app, &mut tx, tenant, &attempt, &deposit).await?;
    let entries = [money_path::entry("processing", &attempt, None)];
    timeline::append(&mut tx, tenant, intent.id, Some(context.request_id), at, &entries).await?;
    tx.commit().await?;
    Ok(Started::Fresh(attempt, Box::new(deposit), Box::new(intent)))
}

/// The payer that the payment has.
async fn kept(context: &Context, conn: &mut PgConnection, intent: &Intent) -> ApiResult<Payer> {
    let id = intent.payer.ok_or_else(|| ApiError::new(Code::PaymentMethodMissing))?;
    let payer = payers::find(conn, context.tenant(), id).await?;
    payer.ok_or_else(|| ApiError::internal("a payment without its payer"))
}

/// What the networks' rules say, and until when the money can be brought.
fn check(intent: &Intent, payer: &Payer, terms: &Terms, now: OffsetDateTime) -> ApiResult<OffsetDateTime> {
    check_type(intent, Some(&Found::Payer(payer.clone())))?;
    let manual = intent.progress.capture_method == CaptureMethod::Manual;
    if terms.off_session || intent.future_usage.is_some() || manual || intent.currency != "jpy" {
        return Err(ApiError::new(Code::IncompatibleMethod));
    }
    let (least, most) = limits(payer.method);
    if intent.progress.amount < least {
        return Err(ApiError::new(Code::AmountTooSmall).on("amount"));
    }
    if intent.progress.amount > most {
        return Err(ApiError::new(Code::AmountTooLarge).on("amount"));
    }
    let said = intent.deposit_options.of(payer.method);
    expiry(payer.method, now, said.expires_at.and_then(moment), said.expires_after_days).ok_or_else(|| {
        let word = payers::word(payer.method);
        let expected = "a moment that leaves the shopper time, and is no more than 60 days off";
        ApiError::invalid(&format!("payment_method_options[{word}][expires_at]"), expected)
    })
}

fn new_attempt(context: &Context, intent: &Intent, payer: &Payer, ids: AttemptIds, at: OffsetDateTime) -> Attempt {
    Attempt {
        id: ids.attempt,
        intent: intent.id,
        kind: Kind::Deposit,
        original: None,
        charge: ids.charge,
        refund: None,
        network_reference: ids.network_reference,
        amount_minor: intent.progress.amount,
        currency: intent.currency.clone(),
        method: MethodRef::Payer(payer.id),
        capture: true,
        authentication: None,
        off_session: false,
        stepped_up: false,
        state: AttemptState::Unresolved,
        request: context.request_id,
        created_at: at,
    }
}
