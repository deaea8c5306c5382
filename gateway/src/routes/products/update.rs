//! `POST /v1/products/{id}`.

use kura_platform::clock;
use kura_wire::ids::{PriceId, ProductId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Metadata, Patch, Text, WebAddress};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::product::{Product, product};
use crate::store::{prices, products};

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateProduct {
    /// What the shopper reads.
    name: Option<Text<250>>,
    /// On sale.
    active: Option<bool>,
    /// One of its prices.
    #[serde(default)]
    default_price: Patch<IdOf<PriceId>>,
    /// More of it.
    #[serde(default)]
    description: Patch<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// What one of it is called.
    #[serde(default)]
    unit_label: Patch<Text<12>>,
    /// Its page.
    #[serde(default)]
    url: Patch<WebAddress>,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateProduct) -> ApiResult<Product> {
    let (tenant, id, at) = (context.tenant(), context.id::<ProductId>("product")?, clock::now());
    let mut tx = context.begin().await?;
    let before = products::lock(&mut tx, tenant, id).await?.ok_or_else(|| ApiError::missing("product", "id"))?;
    if let Patch::Set(IdOf(price)) = &asked.default_price {
        let price = prices::find(&mut tx, tenant, *price).await?.filter(|price| price.product == id);
        price.ok_or_else(|| ApiError::missing("price of this product", "default_price"))?;
    }
    let mut after = before.clone();
    after.name = asked.name.map_or(after.name, Text::into_string);
    after.active = asked.active.unwrap_or(after.active);
    after.default_price = asked.default_price.map(|price| price.0).apply(after.default_price);
    after.description = asked.description.map(Text::into_string).apply(after.description);
    after.unit_label = asked.unit_label.map(Text::into_string).apply(after.unit_label);
    after.url = asked.url.map(WebAddress::into_string).apply(after.url);
    after.metadata = asked.metadata.apply(after.metadata)?;
    after.updated_at = at;
    products::update(&mut tx, tenant, &after).await?;
    let shown = product(tenant, after);
    let told = Happened::update(&product(tenant, before), &shown, events::Kind::ProductUpdated)?;
    events::tell(&mut tx, &context.cause(), at, told).await?;
    tx.commit().await?;
    Ok(shown)
}
