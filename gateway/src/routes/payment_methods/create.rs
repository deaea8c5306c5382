//! `POST /v1/payment_methods`: turns a single-use token into a saved payment method.

use kura_platform::clock;
use kura_wire::ids::TokenUse;
use kura_wire::vault::Attach;
use serde_json::Value;

use super::naming::{self, CardName};
use crate::codes::Code;
use crate::edge::call::Context;
use crate::edge::params::{Params, new_metadata};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards;

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    params.choice("type", &[("card", ())])?.ok_or_else(|| params.missing_value("type"))?;
    let name = naming::take_token(&mut params, context.tenant().livemode(), "card[token]")?;
    let metadata = new_metadata(params.metadata()?)?;
    params.finish()?;

    let tenant = context.tenant();
    let (named, card) = naming::find(&context, &name).await?;
    let saved_before = card.saved_at.is_some() && !context.first_run;
    if card.token_used_at.is_some() && !saved_before {
        return Err(ApiError::new(Code::TokenAlreadyUsed).on("card[token]"));
    }

    if !saved_before {
        let token = card.token(TokenUse::Single);
        context.app.vault.attach(&Attach { context: context.vault_context(), token }).await?;
        cards::mark_saved(&mut *context.db().await?, tenant, named.record, clock::now()).await?;
    }
    let mut db = context.db().await?;
    if !metadata.is_empty() {
        cards::describe(&mut db, tenant, named.record, &metadata).await?;
    }
    let card = cards::find(&mut db, tenant, named.record).await?;
    Ok(render::card::payment_method(tenant, &card.ok_or_else(|| ApiError::internal("a saved card is gone"))?))
}

/// The saved card of the path.
///
/// # Errors
/// 404.
pub(super) async fn of_path(context: &Context) -> ApiResult<(CardName, cards::Card)> {
    let livemode = context.tenant().livemode();
    let name = CardName::parse(context.raw_id(), TokenUse::Multi, livemode, "payment_method")?;
    let (_, card) = naming::find(context, &name).await?;
    Ok((name, card))
}
