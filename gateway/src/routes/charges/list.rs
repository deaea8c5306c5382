//! `GET /v1/charges`.

use serde_json::Value;

use super::render_all;
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::routes::lists::{ListParams, unknown_cursor};
use crate::store::charges::{self, cursor};
use crate::store::{Cursor, Listed};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let list = ListParams::take(&mut params)?;
    let intent = params.text("payment_intent")?;
    params.finish()?;
    let missing = || ApiError::missing("payment_intent", "payment_intent");
    let intent = intent.map(|id| id.parse().map_err(|_| missing())).transpose()?;

    let after = place(&context, list.starting_after.as_deref(), "starting_after").await?;
    let before = place(&context, list.ending_before.as_deref(), "ending_before").await?;
    let found = charges::list(&mut *context.db().await?, context.tenant(), intent, &list.page(after, before)).await?;

    let items = render_all(&context, &found.items).await?;
    Ok(render::list("/v1/charges", Listed { items, has_more: found.has_more }))
}

async fn place(context: &Context, id: Option<&str>, name: &str) -> ApiResult<Option<Cursor>> {
    let Some(id) = id else { return Ok(None) };
    let id = id.parse().map_err(|_| unknown_cursor(name))?;
    let found = charges::find(&mut *context.db().await?, context.tenant(), id).await?;
    Ok(Some(cursor(&found.ok_or_else(|| unknown_cursor(name))?)))
}
