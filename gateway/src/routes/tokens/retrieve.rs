//! `GET /v1/tokens/{id}`.

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
    let token: CardToken = context.id("token")?;
    if token.allows != TokenUse::Single {
        return Err(ApiError::missing("token", "id"));
    }
    let card = cards::find(&mut *context.db().await?, context.tenant(), token.record).await?;
    let card = card.filter(|card| card.node == token.node).ok_or_else(|| ApiError::missing("token", "id"))?;
    Ok(render::card::token(context.tenant(), &card))
}
