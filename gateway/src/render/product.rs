//! Products and prices.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::domain::calendar;
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::prices::Price as PriceRow;
use crate::store::products::Product as ProductRow;

word!(ProductWord, "product");
word!(PriceWord, "price");
word!(PlanWord, "plan");
nulls!(UnusedOfProduct { package_dimensions, shippable, statement_descriptor, tax_code });
nulls!(UnusedOfPrice { custom_unit_amount, tiers_mode, transform_quantity });
nulls!(UnusedOfRecurring { meter, trial_period_days });
nulls!(UnusedOfPlan { meter, tiers_mode, transform_usage, trial_period_days });

/// What a merchant sells.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Product {
    /// `prod_…`.
    pub id: String,
    /// `product`.
    pub object: ProductWord,
    /// On sale.
    pub active: bool,
    /// Unix seconds.
    pub created: i64,
    /// What it usually costs.
    pub default_price: Option<Expandable>,
    /// More of it.
    pub description: Option<String>,
    /// Always empty.
    pub images: Vec<String>,
    /// Live or test.
    pub livemode: bool,
    /// Always empty.
    pub marketing_features: Vec<String>,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// What the shopper reads.
    pub name: String,
    /// Always `service`.
    pub r#type: &'static str,
    /// What one of it is called.
    pub unit_label: Option<String>,
    /// Unix seconds.
    pub updated: i64,
    /// Its page.
    pub url: Option<String>,
    #[serde(flatten)]
    unused: UnusedOfProduct,
}

/// What is left of a deleted product.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedProduct {
    /// `prod_…`.
    pub id: String,
    /// `product`.
    pub object: ProductWord,
    /// True.
    pub deleted: bool,
}

/// What a product costs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Price {
    /// `price_…`.
    pub id: String,
    /// `price`.
    pub object: PriceWord,
    /// On sale.
    pub active: bool,
    /// Always `per_unit`.
    pub billing_scheme: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Live or test.
    pub livemode: bool,
    /// A name of yours that can move to another price.
    pub lookup_key: Option<String>,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// Your words.
    pub nickname: Option<String>,
    /// Of what.
    pub product: Expandable,
    /// How often.
    pub recurring: Option<Recurring>,
    /// Always `unspecified`: tax is no business of ours.
    pub tax_behavior: &'static str,
    /// `one_time` or `recurring`.
    pub r#type: &'static str,
    /// Of one, in minor units.
    pub unit_amount: i64,
    /// The same as text.
    pub unit_amount_decimal: String,
    #[serde(flatten)]
    unused: UnusedOfPrice,
}

/// How often something is due.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Recurring {
    /// `day`, `week`, `month` or `year`.
    pub interval: &'static str,
    /// How many of them.
    pub interval_count: i32,
    /// Always `licensed`.
    pub usage_type: &'static str,
    #[serde(flatten)]
    unused: UnusedOfRecurring,
}

/// A recurring price, as older clients know it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Plan {
    /// `price_…`.
    pub id: String,
    /// `plan`.
    pub object: PlanWord,
    /// On sale.
    pub active: bool,
    /// Of one, in minor units.
    pub amount: i64,
    /// The same as text.
    pub amount_decimal: String,
    /// Always `per_unit`.
    pub billing_scheme: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// `day`, `week`, `month` or `year`.
    pub interval: &'static str,
    /// How many of them.
    pub interval_count: i32,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// Your words.
    pub nickname: Option<String>,
    /// Of what.
    pub product: Expandable,
    /// Always `licensed`.
    pub usage_type: &'static str,
    #[serde(flatten)]
    unused: UnusedOfPlan,
}

/// A product.
pub fn product(tenant: Tenant, row: ProductRow) -> Product {
    Product {
        id: row.id.to_string(),
        object: ProductWord::default(),
        active: row.active,
        created: unix(row.created_at),
        default_price: row.default_price.map(Expandable::from),
        description: row.description,
        images: Vec::new(),
        livemode: tenant.livemode(),
        marketing_features: Vec::new(),
        metadata: row.metadata,
        name: row.name,
        r#type: "service",
        unit_label: row.unit_label,
        updated: unix(row.updated_at),
        url: row.url,
        unused: UnusedOfProduct::default(),
    }
}

/// A price.
pub fn price(tenant: Tenant, row: &PriceRow) -> Price {
    Price {
        id: row.id.to_string(),
        object: PriceWord::default(),
        active: row.active,
        billing_scheme: "per_unit",
        created: unix(row.created_at),
        currency: row.currency.clone(),
        livemode: tenant.livemode(),
        lookup_key: row.lookup_key.clone(),
        metadata: row.metadata.clone(),
        nickname: row.nickname.clone(),
        product: row.product.into(),
        recurring: row.recurring.map(|recurring| Recurring {
            interval: recurring.interval.as_str(),
            interval_count: recurring.count,
            usage_type: "licensed",
            unused: UnusedOfRecurring::default(),
        }),
        tax_behavior: "unspecified",
        r#type: if row.recurring.is_some() { "recurring" } else { "one_time" },
        unit_amount: row.unit_amount,
        unit_amount_decimal: row.unit_amount.to_string(),
        unused: UnusedOfPrice::default(),
    }
}

/// A recurring price, as older clients know it.
pub fn plan(tenant: Tenant, row: &PriceRow, recurring: calendar::Recurring) -> Plan {
    Plan {
        id: row.id.to_string(),
        object: PlanWord::default(),
        active: row.active,
        amount: row.unit_amount,
        amount_decimal: row.unit_amount.to_string(),
        billing_scheme: "per_unit",
        created: unix(row.created_at),
        currency: row.currency.clone(),
        interval: recurring.interval.as_str(),
        interval_count: recurring.count,
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        nickname: row.nickname.clone(),
        product: row.product.into(),
        usage_type: "licensed",
        unused: UnusedOfPlan::default(),
    }
}
