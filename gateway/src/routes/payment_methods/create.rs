//! `POST /v1/payment_methods`: turns a single-use token into a saved payment method, or keeps who pays without a card.

use kura_platform::clock;
use kura_wire::ids::TokenUse;
use kura_wire::vault::Attach;
use schemars::JsonSchema;
use serde::Deserialize;

use super::naming::{self, Billing, CardOfToken, MethodType};
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::Metadata;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards;

/// A payment method to be made: a card to be saved, or somebody who pays without one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMethod {
    /// `card`, `konbini`, `payeasy`, `emoney`.
    #[serde(rename = "type")]
    kind: MethodType,
    /// A card's token.
    card: Option<CardOfToken>,
    /// Who pays, without a card. Sealed in the vault; comes back masked.
    billing_details: Option<Billing>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateMethod) -> ApiResult<render::card::PaymentMethod> {
    let (metadata, tenant) = (asked.metadata.of_new()?, context.tenant());
    let card = match (asked.kind.deposit(), asked.card, asked.billing_details) {
        (None, Some(card), None) => card,
        (None, None, _) => return Err(ApiError::new(Code::ParameterMissing).on("card")),
        (None, Some(_), Some(_)) => return Err(ApiError::invalid("billing_details", "left out for cards")),
        (Some(_), Some(_), _) => return Err(ApiError::invalid("card", "left out where type is not card")),
        (Some(_), None, None) => return Err(ApiError::new(Code::ParameterMissing).on("billing_details")),
        (Some(method), None, Some(billing)) => {
            let payer = naming::new_payer(&context, method, billing, metadata).await?;
            return Ok(render::card::of_payer(tenant, &payer));
        }
    };
    let name = card.name(tenant.livemode(), "card[token]")?;
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
