//! `POST /v1/payment_intents/{id}/cancel`: calls a payment off; an authorization is taken back at the network.

use kura_platform::clock;
use kura_wire::ids::{AttemptId, PaymentIntentId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::capture::{finish, start};
use super::render_in;
use crate::codes::Code;
use crate::domain::payment_intent::{Event, Status};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::payment_intent::PaymentIntent;
use crate::store::attempts::{self, State};
use crate::store::deposits::{self, Deposit, State as Stage};
use crate::store::payment_intents::{self, Intent};
use crate::store::timeline::{self, Entry};

/// Why a payment is called off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelIntent {
    /// Your reason.
    cancellation_reason: Option<Reason>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Abandoned,
    Duplicate,
    Fraudulent,
    RequestedByCustomer,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Duplicate => "duplicate",
            Self::Fraudulent => "fraudulent",
            Self::RequestedByCustomer => "requested_by_customer",
        }
    }
}

/// Runs it.
pub async fn run(context: Context, asked: CancelIntent) -> ApiResult<PaymentIntent> {
    let reason = asked.cancellation_reason.map(Reason::as_str);
    let id = context.id("payment_intent")?;
    let found = payment_intents::find(&mut *context.db().await?, context.tenant(), id).await?;
    if found.is_some_and(|intent| intent.invoice.is_some()) {
        let message = "This payment is an invoice's. Void the invoice instead.";
        return Err(ApiError::with_message(Code::PaymentIntentUnexpectedState, message));
    }
    let withdrawn = withdraw(&context, id).await?;
    if let Some(canceled) = cancel_unpaid(&context, id, reason, withdrawn).await? {
        return Ok(canceled);
    }
    let keep_reason = |intent: &mut Intent| intent.cancellation_reason = reason.map(str::to_owned);
    finish(&context, start(&context, id, |_| Event::Cancel, keep_reason).await?).await
}

/// Calls off the payment of what is itself called off: of an invoice, of a checkout. Doing it twice is doing it once.
///
/// # Errors
/// 400 where money is under way, or was taken.
pub async fn call_off(context: &Context, id: PaymentIntentId, reason: &'static str) -> ApiResult<()> {
    let found = payment_intents::find(&mut *context.db().await?, context.tenant(), id).await?;
    if found.is_some_and(|intent| intent.progress.status == Status::Canceled) {
        return Ok(());
    }
    if cancel_unpaid(context, id, Some(reason), None).await?.is_some() {
        return Ok(());
    }
    let message = "The payment is under way, or was made, so this can't be called off.";
    Err(ApiError::with_message(Code::PaymentIntentUnexpectedState, message))
}

/// Has the network forget the deposit that the payment waits for. What is withdrawn is withdrawn, also when this run ends here:
/// its next run, or the worker, finds it so.
async fn withdraw(context: &Context, id: PaymentIntentId) -> ApiResult<Option<AttemptId>> {
    let tenant = context.tenant();
    let waiting = deposits::find_under_way(&mut *context.db().await?, tenant, id).await?;
    let Some(deposit) = waiting.filter(|deposit| deposit.state == Stage::Waiting) else { return Ok(None) };
    let (cause, vault) = (context.cause(), context.vault_context());
    let gone = crate::deposits::withdraw(&context.app, &cause, vault, &deposit).await?;
    Ok(gone.then_some(deposit.id))
}

/// Calls off what never reached the network. `None` when it did, or when it is over.
async fn cancel_unpaid(
    context: &Context,
    id: PaymentIntentId,
    reason: Option<&str>,
    withdrawn: Option<AttemptId>,
) -> ApiResult<Option<PaymentIntent>> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let locked = payment_intents::lock(&mut tx, tenant, id).await?;
    let mut intent = locked.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
    // An earlier run of this request canceled it.
    if !context.first_run && intent.progress.status == Status::Canceled {
        return render_in(&mut tx, &context.app, tenant, &intent).await.map(Some);
    }
    match intent.progress.after(Event::Cancel) {
        Ok(progress) if progress.status == Status::Canceled => intent.progress = progress,
        Ok(_) | Err(_) => return Ok(None),
    }
    if let Some(deposit) = deposits::find_under_way(&mut tx, tenant, id).await? {
        // Asked for since it was looked for: the next run of this request withdraws it.
        if withdrawn != Some(deposit.id) {
            return Err(ApiError::new(Code::VaultUnavailable).retry_after(1));
        }
        attempts::mark_settled(&mut tx, tenant, deposit.id, State::Reversed, Some("withdrawn"), at).await?;
        deposits::update(&mut tx, tenant, &Deposit { state: Stage::Ended, ..deposit }).await?;
    }
    intent.canceled_at = Some(at);
    intent.cancellation_reason = reason.map(str::to_owned);
    payment_intents::update(&mut tx, tenant, &intent).await?;
    let entries = [Entry { code: reason.map(str::to_owned), ..Entry::of("canceled") }];
    timeline::append(&mut tx, tenant, id, Some(context.request_id), at, &entries).await?;
    let shown = render_in(&mut tx, &context.app, tenant, &intent).await?;
    let told = Happened::to(&shown, events::Kind::PaymentIntentCanceled)?;
    events::tell(&mut tx, &context.cause(), at, [told]).await?;
    tx.commit().await?;
    Ok(Some(shown))
}
