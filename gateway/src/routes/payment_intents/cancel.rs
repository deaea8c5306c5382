//! `POST /v1/payment_intents/{id}/cancel`: calls a payment off; an authorization is taken back at the network.

use kura_platform::clock;
use kura_wire::ids::PaymentIntentId;
use serde_json::Value;

use super::capture::{Started, start};
use super::flow::{answer, answer_met};
use super::{EXPANDABLE, render_one};
use crate::domain::payment_intent::{Event, Status};
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::money_path::carry_out;
use crate::routes::lists::expansions;
use crate::store::payment_intents::{self, Intent};
use crate::store::timeline::{self, Entry};

const REASONS: &[(&str, &str)] = &[
    ("abandoned", "abandoned"),
    ("duplicate", "duplicate"),
    ("fraudulent", "fraudulent"),
    ("requested_by_customer", "requested_by_customer"),
];

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let reason = params.choice("cancellation_reason", REASONS)?;
    let expand = expansions(&mut params, "", EXPANDABLE)?;
    params.finish()?;

    let id = context.id("payment_intent")?;
    if let Some(intent) = cancel_unpaid(&context, id, reason).await? {
        return render_one(&context, &intent, None, &expand).await;
    }
    let keep_reason = |intent: &mut Intent| intent.cancellation_reason = reason.map(str::to_owned);
    match start(&context, id, |_| Event::Cancel, keep_reason).await? {
        Started::Met(attempt, intent) => answer_met(&context, &attempt, &intent, &expand).await,
        Started::Fresh(attempt, intent) => {
            let vault = context.vault_context();
            let carried = carry_out(&context.app, vault, context.tenant(), &attempt, None, *intent).await?;
            answer(&context, carried, None, &expand).await
        }
    }
}

/// Calls off what never reached the network. `None` when it did, or when it is over.
async fn cancel_unpaid(context: &Context, id: PaymentIntentId, reason: Option<&str>) -> ApiResult<Option<Intent>> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let locked = payment_intents::lock(&mut tx, tenant, id).await?;
    let mut intent = locked.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
    // An earlier run of this request canceled it.
    if !context.first_run && intent.progress.status == Status::Canceled {
        return Ok(Some(intent));
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
    tx.commit().await?;
    Ok(Some(intent))
}
