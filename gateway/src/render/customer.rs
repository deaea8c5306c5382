//! Customers: of a payer only what may be seen again.

use kura_wire::ids::{CustomerId, TokenUse};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::customers::Customer as Row;

word!(CustomerWord, "customer");
nulls!(Unused { default_source, discount, shipping });
nulls!(UnusedAddress { city, country, line2, postal_code, state });
nulls!(UnusedSettings { custom_fields, footer, rendering_options });

/// A customer. Name, e-mail and telephone number are masked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Customer {
    /// `cus_…`.
    pub id: String,
    /// `customer`.
    pub object: CustomerWord,
    /// Masked, as a whole, in `line1`.
    pub address: Option<Address>,
    /// Less than nothing is a credit that the next invoice takes.
    pub balance: i64,
    /// Unix seconds.
    pub created: i64,
    /// The currency of the balance.
    pub currency: Option<String>,
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

/// Where a customer lives, masked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Address {
    /// What may be seen of it.
    pub line1: String,
    #[serde(flatten)]
    unused: UnusedAddress,
}

/// A customer, or what is left of one that was deleted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Found {
    /// There.
    There(Box<Customer>),
    /// Deleted.
    Gone(Deleted),
}

/// What is left of a deleted customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Deleted {
    /// `cus_…`.
    pub id: String,
    /// `customer`.
    pub object: CustomerWord,
    /// True.
    pub deleted: bool,
}

impl Deleted {
    /// Of this one.
    pub fn of(id: CustomerId) -> Self {
        Self { id: id.to_string(), object: CustomerWord::default(), deleted: true }
    }
}

/// How a customer's invoices are paid.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct InvoiceSettings {
    /// `pm_…`.
    pub default_payment_method: Option<Expandable>,
    #[serde(flatten)]
    unused: UnusedSettings,
}

/// As the API shows it, with the card that its invoices are paid with.
pub fn found(tenant: Tenant, row: Row, default_card: Option<&Card>) -> Found {
    if row.deleted_at.is_some() {
        Found::Gone(Deleted::of(row.id))
    } else {
        Found::There(Box::new(customer(tenant, row, default_card)))
    }
}

/// One that is there.
pub fn customer(tenant: Tenant, row: Row, default_card: Option<&Card>) -> Customer {
    Customer {
        id: row.id.to_string(),
        object: CustomerWord::default(),
        address: row.address.map(|line1| Address { line1, unused: UnusedAddress::default() }),
        balance: row.balance,
        created: unix(row.created_at),
        currency: row.balance_currency,
        delinquent: row.delinquent,
        description: row.description,
        email: row.email,
        invoice_settings: InvoiceSettings {
            default_payment_method: row.default_card.and(default_card).map(|card| card.token(TokenUse::Multi).into()),
            unused: UnusedSettings::default(),
        },
        livemode: tenant.livemode(),
        metadata: row.metadata,
        name: row.name,
        phone: row.phone,
        preferred_locales: Vec::new(),
        tax_exempt: "none",
        test_clock: row.test_clock.map(Expandable::from),
        unused: Unused::default(),
    }
}
