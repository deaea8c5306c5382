//! Customers: of a payer only what may be seen again.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::customers::Customer as Row;

word!(CustomerWord, "customer");

/// A customer. Name, e-mail and telephone number are masked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Customer {
    /// `cus_…`.
    pub id: String,
    /// `customer`.
    pub object: CustomerWord,
    /// Not kept.
    pub address: Option<Map<String, Value>>,
    /// Always 0: there is no credit here.
    pub balance: i64,
    /// Unix seconds.
    pub created: i64,
    /// Of its first invoice.
    pub currency: Option<String>,
    /// Not kept.
    pub default_source: Option<String>,
    /// Whether its newest invoice is overdue.
    pub delinquent: bool,
    /// The merchant's words.
    pub description: Option<String>,
    /// Not kept.
    pub discount: Option<Map<String, Value>>,
    /// Masked.
    pub email: Option<String>,
    /// How its invoices are paid.
    pub invoice_settings: InvoiceSettings,
    /// Live or test.
    pub livemode: bool,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// Masked.
    pub name: Option<String>,
    /// Masked.
    pub phone: Option<String>,
    /// Not kept.
    pub preferred_locales: Vec<String>,
    /// Not kept.
    pub shipping: Option<Map<String, Value>>,
    /// `none`.
    pub tax_exempt: String,
    /// The clock that it lives by.
    pub test_clock: Option<Expandable>,
}

/// How a customer's invoices are paid.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct InvoiceSettings {
    /// Not kept.
    pub custom_fields: Option<Vec<Map<String, Value>>>,
    /// `pm_…`.
    pub default_payment_method: Option<Expandable>,
    /// Not kept.
    pub footer: Option<String>,
    /// Not kept.
    pub rendering_options: Option<Map<String, Value>>,
}

/// As the API shows it.
pub fn customer(tenant: Tenant, row: Row) -> Customer {
    Customer {
        id: row.id.to_string(),
        object: CustomerWord::default(),
        address: None,
        balance: 0,
        created: unix(row.created_at),
        currency: None,
        default_source: None,
        delinquent: false,
        description: row.description,
        discount: None,
        email: row.email,
        invoice_settings: InvoiceSettings::default(),
        livemode: tenant.livemode(),
        metadata: row.metadata,
        name: row.name,
        phone: row.phone,
        preferred_locales: Vec::new(),
        shipping: None,
        tax_exempt: "none".to_owned(),
        test_clock: None,
    }
}
