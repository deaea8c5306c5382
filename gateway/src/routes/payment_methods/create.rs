//! `POST /v1/payment_methods`: turns a single-use token into a saved payment method.

use kura_platform::clock;
use kura_wire::ids::TokenUse;
use kura_wire::vault::Attach;
use schemars::JsonSchema;
use serde::Deserialize;

use super::naming::{self, CardOfToken, MethodType};
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::Metadata;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards;

/// A card to be saved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMethod {
    /// `card`.
    #[serde(rename = "type")]
    _kind: MethodType,
    /// Its token.
    card: CardOfToken,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateMethod) -> ApiResult<render::card::PaymentMethod> {
    let name = asked.card.name(context.tenant().livemode(), "card[token]")?;
    let metadata = asked.metadata.of_new()?;
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
