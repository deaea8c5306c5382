//! `GET /v1/payment_methods?customer=…`.

use kura_wire::ids::{CardToken, CustomerId};
use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::routes::lists::{ListParams, unknown_cursor};
use crate::store::{Cursor, Listed, cards, customers};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let list = ListParams::take(&mut params)?;
    let customer = params.required_text("customer")?;
    params.choice("type", &[("card", ())])?;
    params.finish()?;

    let (mut db, tenant) = (context.db().await?, context.tenant());
    let missing = || ApiError::missing("customer", "customer");
    let customer: CustomerId = customer.parse().map_err(|_| missing())?;
    customers::find(&mut db, tenant, customer).await?.ok_or_else(missing)?;
    drop(db);
    let after = place(&context, list.starting_after.as_deref(), "starting_after").await?;
    let before = place(&context, list.ending_before.as_deref(), "ending_before").await?;
    let found = cards::list(&mut *context.db().await?, tenant, customer, &list.page(after, before)).await?;

    let items = found.items.iter().map(|card| render::card::payment_method(tenant, card)).collect();
    Ok(render::list("/v1/payment_methods", Listed { items, has_more: found.has_more }))
}

async fn place(context: &Context, id: Option<&str>, name: &str) -> ApiResult<Option<Cursor>> {
    let Some(id) = id else { return Ok(None) };
    let token: CardToken = id.parse().map_err(|_| unknown_cursor(name))?;
    let found = cards::find(&mut *context.db().await?, context.tenant(), token.record).await?;
    Ok(Some(cards::cursor(&found.ok_or_else(|| unknown_cursor(name))?)))
}
