//! Customers: of a payer only what may be seen again.

use serde_json::{Value, json};

use super::unix;
use crate::store::Tenant;
use crate::store::customers::Customer;

/// A customer. Name, e-mail and telephone number are masked.
pub fn customer(tenant: Tenant, customer: &Customer) -> Value {
    json!({
        "id": customer.id.to_string(),
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": unix(customer.created_at),
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": customer.description,
        "discount": null,
        "email": customer.email,
        "invoice_settings": { "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null },
        "livemode": tenant.livemode(),
        "metadata": customer.metadata,
        "name": customer.name,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}
