//! `/v1/tokens`.

pub mod create;

use kura_wire::ids::{CardToken, TokenUse};

use crate::edge::call::Context;
use crate::endpoint::rights::Resource;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards;

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Tokens).post_from_browsers("/v1/tokens", "Turn a sealed card into a token", create::run).get(
        "/v1/tokens/{id}",
        "Retrieve a token",
        retrieve,
    )
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::card::Token> {
    by_id(&context, context.raw_id()).await
}

/// The token of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::card::Token> {
    let missing = || ApiError::missing("token", "id");
    let token: CardToken = id.parse().map_err(|_| missing())?;
    let card = cards::find(&mut *context.db().await?, context.tenant(), token.record).await?;
    let card = card.filter(|card| card.node == token.node && token.allows == TokenUse::Single).ok_or_else(missing)?;
    Ok(render::card::token(context.tenant(), &card))
}
