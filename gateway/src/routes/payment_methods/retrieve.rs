//! `GET /v1/payment_methods/{id}`. A method that came with a payment and was never saved can be read too.

use kura_wire::ids::{CardToken, TokenUse};
use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let missing = || ApiError::missing("payment_method", "id");
    let token: CardToken = context.id("payment_method")?;
    let card = cards::find(&context.app.pool, context.tenant(), token.record).await?;
    let card = card.filter(|card| token.allows == TokenUse::Multi && card.node == token.node).ok_or_else(missing)?;
    Ok(render::card::payment_method(context.tenant(), &card))
}
