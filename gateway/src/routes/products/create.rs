//! `POST /v1/products`, with its first price in one call.

use kura_platform::clock;
use kura_wire::money::currency_code;
use schemars::JsonSchema;
use serde::Deserialize;

use super::by_id;
use crate::edge::call::Context;
use crate::endpoint::types::{CurrencyCode, Metadata, Text, WebAddress};
use crate::error::ApiResult;
use crate::events::{self, Happened};
use crate::render::product::{Product, price, product};
use crate::routes::prices::create::{RecurringParams, UnitAmount};
use crate::store::prices::{self, Price};
use crate::store::products::{self, Product as Row};

/// Something to sell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProduct {
    /// What the shopper reads.
    name: Text<250>,
    /// On sale; so it is where this is left out.
    active: Option<bool>,
    /// Its first price, which becomes its usual one.
    default_price_data: Option<DefaultPrice>,
    /// More of it.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// What one of it is called.
    unit_label: Option<Text<12>>,
    /// Its page.
    url: Option<WebAddress>,
}

/// A product's first price.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DefaultPrice {
    /// Three letters.
    currency: CurrencyCode,
    /// Of one, in minor units.
    unit_amount: UnitAmount,
    /// How often; once where it is left out.
    recurring: Option<RecurringParams>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateProduct) -> ApiResult<Product> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut row = Row {
        id: context.ids().one(),
        name: asked.name.into_string(),
        description: asked.description.map(Text::into_string),
        unit_label: asked.unit_label.map(Text::into_string),
        url: asked.url.map(WebAddress::into_string),
        active: asked.active.unwrap_or(true),
        default_price: None,
        metadata: asked.metadata.of_new()?,
        created_at: at,
        updated_at: at,
    };
    let default = match asked.default_price_data {
        Some(data) => Some(Price {
            id: context.ids().one(),
            product: row.id,
            currency: currency_code(data.currency.0),
            unit_amount: data.unit_amount.0,
            recurring: data.recurring.map(|sent| sent.checked("default_price_data[recurring]")).transpose()?,
            nickname: None,
            lookup_key: None,
            active: true,
            metadata: data.metadata.of_new()?,
            created_at: at,
        }),
        None => None,
    };
    let mut tx = context.begin().await?;
    if !products::insert(&mut tx, tenant, &row).await? {
        drop(tx);
        return by_id(&context, &row.id.to_string()).await;
    }
    let mut told = Vec::new();
    if let Some(default) = default {
        prices::insert(&mut tx, tenant, &default).await?;
        row.default_price = Some(default.id);
        products::update(&mut tx, tenant, &row).await?;
        told.push(Happened::to(&price(tenant, &default), events::Kind::PriceCreated)?);
    }
    let shown = product(tenant, row);
    told.insert(0, Happened::to(&shown, events::Kind::ProductCreated)?);
    events::tell(&mut tx, &context.cause(), at, told).await?;
    tx.commit().await?;
    Ok(shown)
}
