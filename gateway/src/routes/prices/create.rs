//! `POST /v1/prices`, with its product in one call.

use kura_platform::clock;
use kura_wire::ids::ProductId;
use kura_wire::money::{MAX_AMOUNT_MINOR, currency_code};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{by_id, free_lookup_key};
use crate::domain::calendar::{Interval, Recurring};
use crate::edge::call::Context;
use crate::endpoint::types::{CurrencyCode, IdOf, Metadata, Text, Whole};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::product::{Price, price, product};
use crate::store::prices::{self, Price as Row};
use crate::store::products::{self, Product};

/// What one costs, in minor units. Nothing, too.
pub type UnitAmount = Whole<0, MAX_AMOUNT_MINOR>;

/// What something costs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePrice {
    /// Three letters.
    currency: CurrencyCode,
    /// Of one, in minor units.
    unit_amount: UnitAmount,
    /// On sale; so it is where this is left out.
    active: Option<bool>,
    /// A name of yours that can move to another price.
    lookup_key: Option<Text<200>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// Your words.
    nickname: Option<Text<250>>,
    /// Of what.
    product: Option<IdOf<ProductId>>,
    /// A new product.
    product_data: Option<ProductData>,
    /// How often; once where it is left out.
    recurring: Option<RecurringParams>,
    /// Take the name from the price that has it.
    #[serde(default)]
    transfer_lookup_key: bool,
}

/// A new product.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProductData {
    /// What the shopper reads.
    name: Text<250>,
    /// On sale; so it is where this is left out.
    active: Option<bool>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// What one of it is called.
    unit_label: Option<Text<12>>,
}

/// How often something is due.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecurringParams {
    /// The unit.
    interval: IntervalParam,
    /// How many of them, at the most three years; one where it is left out.
    interval_count: Option<Whole<1, 1095>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum IntervalParam {
    Day,
    Week,
    Month,
    Year,
}

impl RecurringParams {
    /// At the most three years.
    ///
    /// # Errors
    /// 400 for longer ones.
    pub fn checked(self, param: &str) -> ApiResult<Recurring> {
        let interval = match self.interval {
            IntervalParam::Day => Interval::Day,
            IntervalParam::Week => Interval::Week,
            IntervalParam::Month => Interval::Month,
            IntervalParam::Year => Interval::Year,
        };
        let count = self.interval_count.map_or(1, |count| count.0);
        match i32::try_from(count) {
            Ok(count) if count <= interval.most() => Ok(Recurring { interval, count }),
            _ => Err(ApiError::invalid(&format!("{param}[interval_count]"), "at the most three years")),
        }
    }
}

/// Runs it.
pub async fn run(context: Context, asked: CreatePrice) -> ApiResult<Price> {
    let at = clock::now();
    let made = match asked.product_data {
        Some(data) => Some(Product {
            id: context.ids().one(),
            name: data.name.into_string(),
            description: None,
            unit_label: data.unit_label.map(Text::into_string),
            url: None,
            active: data.active.unwrap_or(true),
            default_price: None,
            metadata: data.metadata.of_new()?,
            created_at: at,
            updated_at: at,
        }),
        None => None,
    };
    let product_id = match (asked.product, &made) {
        (Some(IdOf(id)), None) => id,
        (None, Some(made)) => made.id,
        (Some(_), Some(_)) => return Err(ApiError::invalid("product_data", "left out where product is given")),
        (None, None) => return Err(ApiError::invalid("product", "given, or product_data")),
    };
    let row = Row {
        id: context.ids().one(),
        product: product_id,
        currency: currency_code(asked.currency.0),
        unit_amount: asked.unit_amount.0,
        recurring: asked.recurring.map(|sent| sent.checked("recurring")).transpose()?,
        nickname: asked.nickname.map(Text::into_string),
        lookup_key: asked.lookup_key.map(Text::into_string),
        active: asked.active.unwrap_or(true),
        metadata: asked.metadata.of_new()?,
        created_at: at,
    };
    insert(&context, row, made, asked.transfer_lookup_key).await
}

async fn insert(context: &Context, row: Row, made: Option<Product>, transfer: bool) -> ApiResult<Price> {
    let (tenant, at) = (context.tenant(), row.created_at);
    let mut tx = context.begin().await?;
    let mut told = Vec::new();
    match made {
        Some(made) => {
            if products::insert(&mut tx, tenant, &made).await? {
                told.push(Happened::to(&product(tenant, made), events::Kind::ProductCreated)?);
            }
        }
        None => {
            let found = products::find(&mut tx, tenant, row.product).await?;
            found.ok_or_else(|| ApiError::missing("product", "product"))?;
        }
    }
    if !context.first_run && prices::find(&mut tx, tenant, row.id).await?.is_some() {
        drop(tx);
        return by_id(context, &row.id.to_string()).await;
    }
    free_lookup_key(&mut tx, context, row.lookup_key.as_deref(), row.id, transfer).await?;
    prices::insert(&mut tx, tenant, &row).await?;
    let shown = price(tenant, &row);
    told.push(Happened::to(&shown, events::Kind::PriceCreated)?);
    events::tell(&mut tx, &context.cause(), at, told).await?;
    tx.commit().await?;
    Ok(shown)
}
