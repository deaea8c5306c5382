//! Customers: of a payer only what may be seen again.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::customers::Customer as Row;

word!(CustomerWord, "customer");
nulls!(Unused { address, currency, default_source, discount, shipping });
nulls!(UnusedSettings { custom_fields, footer, rendering_options });

/// A customer. Name, e-mail and telephone number are masked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Customer {
    /// `cus_…`.
    pub id: String,
    /// `customer`.
    pub object: CustomerWord,
    /// Always 0: there is no credit here.
    pub balance: i64,
    /// Unix seconds.
    pub created: i64,
    /// Whether its newest invoice is overdue.
    pub delinquent: bool,
    /// The merchant's words.
    pub description: Option<String>,
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
    /// Always empty.
    pub preferred_locales: Vec<String>,
    /// Always `none`.
    pub tax_exempt: &'static str,
    /// The clock that it lives by.
    pub test_clock: Option<Expandable>,
    #[serde(flatten)]
    unused: Unused,
}

/// How a customer's invoices are paid.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct InvoiceSettings {
    /// `pm_…`.
    pub default_payment_method: Option<Expandable>,
    #[serde(flatten)]
    unused: UnusedSettings,
}

/// As the API shows it.
pub fn customer(tenant: Tenant, row: Row) -> Customer {
    Customer {
        id: row.id.to_string(),
        object: CustomerWord::default(),
        balance: 0,
        created: unix(row.created_at),
        delinquent: false,
        description: row.description,
        email: row.email,
        invoice_settings: InvoiceSettings::default(),
        livemode: tenant.livemode(),
        metadata: row.metadata,
        name: row.name,
        phone: row.phone,
        preferred_locales: Vec::new(),
        tax_exempt: "none",
        test_clock: None,
        unused: Unused::default(),
    }
}
