//! `GET /v1/payment_intents`.

use serde_json::Value;

use super::{EXPANDABLE, render_some};
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::routes::lists::{ListParams, expansions, unknown_cursor};
use crate::store::payment_intents::{self, cursor};
use crate::store::{Cursor, Listed};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let list = ListParams::take(&mut params)?;
    let expand = expansions(&mut params, "data.", EXPANDABLE)?;
    let customer = params.text("customer")?;
    params.finish()?;
    let missing = || ApiError::missing("customer", "customer");
    let customer = customer.map(|id| id.parse().map_err(|_| missing())).transpose()?;

    let after = place(&context, list.starting_after.as_deref(), "starting_after").await?;
    let before = place(&context, list.ending_before.as_deref(), "ending_before").await?;
    let page = list.page(after, before);
    let found = payment_intents::list(&mut *context.db().await?, context.tenant(), customer, &page).await?;

    let items = render_some(&context, &found.items, None, &expand).await?;
    Ok(render::list("/v1/payment_intents", Listed { items, has_more: found.has_more }))
}

async fn place(context: &Context, id: Option<&str>, name: &str) -> ApiResult<Option<Cursor>> {
    let Some(id) = id else { return Ok(None) };
    let id = id.parse().map_err(|_| unknown_cursor(name))?;
    let found = payment_intents::find(&mut *context.db().await?, context.tenant(), id).await?;
    Ok(Some(cursor(&found.ok_or_else(|| unknown_cursor(name))?)))
}
