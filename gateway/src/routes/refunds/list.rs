//! `GET /v1/refunds`.

use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::routes::lists::{ListParams, unknown_cursor};
use crate::store::refunds::{self, cursor};
use crate::store::{Cursor, Listed};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let list = ListParams::take(&mut params)?;
    let intent = params.text("payment_intent")?;
    let charge = params.text("charge")?;
    params.finish()?;
    let intent = intent.map(|id| id.parse().map_err(|_| ApiError::missing("payment_intent", "payment_intent")));
    let charge = charge.map(|id| id.parse().map_err(|_| ApiError::missing("charge", "charge")));
    let (intent, charge) = (intent.transpose()?, charge.transpose()?);

    let after = place(&context, list.starting_after.as_deref(), "starting_after").await?;
    let before = place(&context, list.ending_before.as_deref(), "ending_before").await?;
    let page = list.page(after, before);
    let found = refunds::list(&mut *context.db().await?, context.tenant(), intent, charge, &page).await?;

    let items = found.items.iter().map(render::refund::refund).collect();
    Ok(render::list("/v1/refunds", Listed { items, has_more: found.has_more }))
}

async fn place(context: &Context, id: Option<&str>, name: &str) -> ApiResult<Option<Cursor>> {
    let Some(id) = id else { return Ok(None) };
    let id = id.parse().map_err(|_| unknown_cursor(name))?;
    let found = refunds::find(&mut *context.db().await?, context.tenant(), id).await?;
    Ok(Some(cursor(&found.ok_or_else(|| unknown_cursor(name))?)))
}
