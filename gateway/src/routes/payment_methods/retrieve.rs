//! `GET /v1/payment_methods/{id}`. A method that came with a payment and was never saved can be read too.

use kura_wire::ids::{CardToken, TokenUse};
use serde_json::Value;

use super::naming;
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let missing = || ApiError::missing("payment_method", "id");
    let token: CardToken = context.id("payment_method")?;
    let card = naming::find_or_adopt(&context, token).await?;
    let card = card.filter(|_| token.allows == TokenUse::Multi).ok_or_else(missing)?;
    Ok(render::card::payment_method(context.tenant(), &card))
}
