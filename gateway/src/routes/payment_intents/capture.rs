//! `POST /v1/payment_intents/{id}/capture`: takes what was authorized, or part of it; the rest is freed.

use kura_platform::clock;
use kura_wire::ids::PaymentIntentId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::flow::{NextAttempt, answer, answer_met, next_attempt, refused};
use crate::domain::payment_intent::{Event, InFlight};
use crate::edge::call::Context;
use crate::endpoint::types::Amount;
use crate::error::{ApiError, ApiResult};
use crate::money_path::{self, carry_out};
use crate::render::payment_intent::PaymentIntent;
use crate::request_ids::AttemptIds;
use crate::store::attempts::{Attempt, Kind, State};
use crate::store::charges::{self, Charge};
use crate::store::payment_intents::{self, Intent};
use crate::store::timeline;

/// How much is captured.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureIntent {
    /// Minor units; all of it where it is left out. The rest is freed.
    amount_to_capture: Option<Amount>,
}

/// Runs it.
pub async fn run(context: Context, asked: CaptureIntent) -> ApiResult<PaymentIntent> {
    let id = context.id("payment_intent")?;
    let amount = asked.amount_to_capture.map(|amount| amount.0);
    let wanted = |intent: &Intent| Event::Capture(amount.unwrap_or(intent.progress.capturable));
    finish(&context, start(&context, id, wanted, |_| ()).await?).await
}

/// Asks the network, unless an earlier run did, and answers.
pub(super) async fn finish(context: &Context, started: Started) -> ApiResult<PaymentIntent> {
    match started {
        Started::Met(attempt, intent) => answer_met(context, &attempt, &intent).await,
        Started::Fresh(attempt, intent) => {
            let vault = context.vault_context();
            let carried = carry_out(&context.app, &context.cause(), vault, &attempt, None, *intent).await?;
            answer(context, carried, None).await
        }
    }
}

/// The charge that holds the authorization, if there is one. Read before the lock.
async fn authorized_charge(context: &Context, id: PaymentIntentId) -> ApiResult<Option<Charge>> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let intent = payment_intents::find(&mut db, tenant, id).await?;
    let intent = intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
    match intent.latest_charge {
        Some(charge) => Ok(charges::find(&mut db, tenant, charge).await?),
        None => Ok(None),
    }
}

/// A capture or void that was set going, or was so before.
pub(super) enum Started {
    /// By an earlier run.
    Met(Attempt, Box<Intent>),
    /// By this one.
    Fresh(Attempt, Box<Intent>),
}

/// Sets a capture or void going. `change` writes what else the event brings to the payment.
pub(super) async fn start(
    context: &Context,
    id: PaymentIntentId,
    event: impl Fn(&Intent) -> Event,
    change: impl Fn(&mut Intent),
) -> ApiResult<Started> {
    // Twice, for the payment may get a newer charge between reading its charge and locking it.
    for _ in 0..2 {
        let charge = authorized_charge(context, id).await?;
        if let Some(started) = try_start(context, id, charge, &event, &change).await? {
            return Ok(started);
        }
    }
    Err(ApiError::internal("an authorization without its charge"))
}

/// Transaction 1 of captures and voids. `None`, with nothing written, where the charge is not the payment's newest any more.
async fn try_start(
    context: &Context,
    id: PaymentIntentId,
    charge: Option<Charge>,
    event: impl Fn(&Intent) -> Event,
    change: impl Fn(&mut Intent),
) -> ApiResult<Option<Started>> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let locked = payment_intents::lock(&mut tx, tenant, id).await?;
    let mut intent = locked.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
    let ids = match next_attempt(context, &mut tx).await? {
        NextAttempt::Fresh(ids) => ids,
        NextAttempt::Met(attempt) => return Ok(Some(Started::Met(attempt, Box::new(intent)))),
    };
    let event = event(&intent);
    let what = if event == Event::Cancel { "cancel" } else { "capture" };
    intent.progress = intent.progress.after(event).map_err(|refusal| refused(&intent, what, refusal))?;
    change(&mut intent);
    let newest = charge.filter(|charge| Some(charge.id) == intent.latest_charge);
    let Some(charge) = newest else { return Ok(None) };
    let attempt = new_attempt(context, &intent, &charge, ids);

    money_path::open(&context.app, &mut tx, tenant, &attempt).await?;
    payment_intents::update(&mut tx, tenant, &intent).await?;
    let kind = if attempt.kind == Kind::Void { "canceling" } else { "capturing" };
    let entries = [money_path::entry(kind, &attempt, None)];
    timeline::append(&mut tx, tenant, id, Some(context.request_id), attempt.created_at, &entries).await?;
    tx.commit().await?;
    Ok(Some(Started::Fresh(attempt, Box::new(intent))))
}

fn new_attempt(context: &Context, intent: &Intent, charge: &Charge, ids: AttemptIds) -> Attempt {
    let (kind, amount_minor) = match intent.progress.in_flight {
        Some(InFlight::Capture(amount)) => (Kind::Capture, amount),
        _ => (Kind::Void, charge.amount_minor),
    };
    Attempt {
        id: ids.attempt,
        intent: intent.id,
        kind,
        original: Some(charge.attempt),
        charge: charge.id,
        refund: None,
        network_reference: ids.network_reference,
        amount_minor,
        currency: intent.currency.clone(),
        method: charge.method,
        capture: false,
        authentication: None,
        off_session: false,
        stepped_up: false,
        state: State::Unresolved,
        request: context.request_id,
        created_at: clock::now(),
    }
}
