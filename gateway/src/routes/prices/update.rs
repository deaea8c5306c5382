//! `POST /v1/prices/{id}`.

use kura_platform::clock;
use kura_wire::ids::PriceId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::free_lookup_key;
use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::product::{Price, price};
use crate::store::prices;

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePrice {
    /// On sale.
    active: Option<bool>,
    /// A name of yours that can move to another price.
    #[serde(default)]
    lookup_key: Patch<Text<200>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// Your words.
    #[serde(default)]
    nickname: Patch<Text<250>>,
    /// Take the name from the price that has it.
    #[serde(default)]
    transfer_lookup_key: bool,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdatePrice) -> ApiResult<Price> {
    let (tenant, id) = (context.tenant(), context.id::<PriceId>("price")?);
    let mut tx = context.begin().await?;
    let before = prices::lock(&mut tx, tenant, id).await?.ok_or_else(|| ApiError::missing("price", "id"))?;
    let mut after = before.clone();
    after.active = asked.active.unwrap_or(after.active);
    after.lookup_key = asked.lookup_key.map(Text::into_string).apply(after.lookup_key);
    after.nickname = asked.nickname.map(Text::into_string).apply(after.nickname);
    after.metadata = asked.metadata.apply(after.metadata)?;
    free_lookup_key(&mut tx, &context, after.lookup_key.as_deref(), id, asked.transfer_lookup_key).await?;
    prices::update(&mut tx, tenant, &after).await?;
    let shown = price(tenant, &after);
    let told = Happened::update(&price(tenant, &before), &shown, events::Kind::PriceUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}
