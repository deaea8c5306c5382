//! Invoice items: lines of invoices, as they are before and beside their invoice.

use kura_wire::ids::{InvoiceItemId, TestClockId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::invoice::{Period, Pricing, pricing};
use super::{nulls, unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::invoice_lines::Line;

word!(ItemWord, "invoiceitem");
word!(ParentWord, "subscription_details");
nulls!(Unused { customer_account });

/// What was written down for an invoice.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InvoiceItem {
    /// `ii_…`.
    pub id: String,
    /// `invoiceitem`.
    pub object: ItemWord,
    /// Less than nothing is owed to the customer.
    pub amount: i64,
    /// Three letters.
    pub currency: String,
    /// Whose.
    pub customer: Expandable,
    /// When it was made. Unix seconds.
    pub date: i64,
    /// What the customer reads.
    pub description: Option<String>,
    /// Always false.
    pub discountable: bool,
    /// Always empty.
    pub discounts: Vec<String>,
    /// On which invoice; null while it waits for one.
    pub invoice: Option<Expandable>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// The same as the amount.
    pub net_amount: i64,
    /// For which subscription.
    pub parent: Option<Parent>,
    /// For which time.
    pub period: Period,
    /// By which price.
    pub pricing: Option<Pricing>,
    /// For a part of a period.
    pub proration: bool,
    /// How many.
    pub quantity: i64,
    /// The same as text.
    pub quantity_decimal: String,
    /// Always empty.
    pub tax_rates: Vec<String>,
    /// The clock that its customer lives by.
    pub test_clock: Option<Expandable>,
    #[serde(flatten)]
    unused: Unused,
}

/// For which subscription.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Parent {
    /// Which.
    pub subscription_details: SubscriptionDetails,
    /// `subscription_details`.
    pub r#type: ParentWord,
}

/// Which subscription, and which of its items.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SubscriptionDetails {
    /// `sub_…`.
    pub subscription: String,
    /// `si_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_item: Option<String>,
}

/// What is left of a deleted item.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedItem {
    /// `ii_…`.
    pub id: String,
    /// `invoiceitem`.
    pub object: ItemWord,
    /// True.
    pub deleted: bool,
}

impl DeletedItem {
    /// Of this one.
    pub fn of(id: InvoiceItemId) -> Self {
        Self { id: id.to_string(), object: ItemWord::default(), deleted: true }
    }
}

/// A line as an item, with the clock that its customer lives by.
pub fn invoice_item(tenant: Tenant, row: &Line, test_clock: Option<TestClockId>) -> InvoiceItem {
    InvoiceItem {
        id: InvoiceItemId::from_bytes(*row.id.as_bytes()).to_string(),
        object: ItemWord::default(),
        amount: row.amount,
        currency: row.currency.clone(),
        customer: row.customer.into(),
        date: unix(row.created_at),
        description: row.description.clone(),
        discountable: false,
        discounts: Vec::new(),
        invoice: row.invoice.map(Expandable::from),
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        net_amount: row.amount,
        parent: row.subscription.map(|id| Parent {
            subscription_details: SubscriptionDetails {
                subscription: id.to_string(),
                subscription_item: row.item.map(|id| id.to_string()),
            },
            r#type: ParentWord::default(),
        }),
        period: Period { end: unix(row.period_end_at), start: unix(row.period_start_at) },
        pricing: pricing(row),
        proration: row.proration,
        quantity: row.quantity,
        quantity_decimal: row.quantity.to_string(),
        tax_rates: Vec::new(),
        test_clock: test_clock.map(Expandable::from),
        unused: Unused::default(),
    }
}
