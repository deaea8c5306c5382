//! `POST /v1/payment_intents/{id}/cancel`: calls a payment off; an authorization is taken back at the network.

use kura_platform::clock;
use kura_wire::ids::PaymentIntentId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::capture::{finish, start};
use super::render_in;
use crate::domain::payment_intent::{Event, Status};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::payment_intent::PaymentIntent;
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
    if let Some(canceled) = cancel_unpaid(&context, id, reason).await? {
        return Ok(canceled);
    }
    let keep_reason = |intent: &mut Intent| intent.cancellation_reason = reason.map(str::to_owned);
    finish(&context, start(&context, id, |_| Event::Cancel, keep_reason).await?).await
}

/// Calls off what never reached the network. `None` when it did, or when it is over.
async fn cancel_unpaid(
    context: &Context,
    id: PaymentIntentId,
    reason: Option<&str>,
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
