//! Tokens and payment methods: a card under its two names.

use kura_wire::ids::TokenUse;
use serde_json::{Value, json};

use super::unix;
use crate::store::Tenant;
use crate::store::cards::Card;

/// Under its name `tok_`.
pub fn token(tenant: Tenant, card: &Card) -> Value {
    let token = card.token(TokenUse::Single).to_string();
    json!({
        "id": token,
        "object": "token",
        "card": {
            "id": token.replacen("tok_", "card_", 1),
            "object": "card",
            "brand": display_brand(&card.brand),
            "country": null,
            "cvc_check": null,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "fingerprint": card.fingerprint,
            "funding": "unknown",
            "last4": card.last_four,
            "metadata": {},
            "name": null,
        },
        "client_ip": null,
        "created": unix(card.created_at),
        "livemode": tenant.livemode(),
        "type": "card",
        "used": card.token_used_at.is_some(),
    })
}

/// Under its name `pm_`.
pub fn payment_method(tenant: Tenant, card: &Card) -> Value {
    json!({
        "id": card.token(TokenUse::Multi).to_string(),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
            "email": null,
            "name": null,
            "phone": null,
            "tax_id": null,
        },
        "card": details(card),
        "created": unix(card.created_at),
        "customer": card.customer.map(|id| id.to_string()),
        "livemode": tenant.livemode(),
        "metadata": card.metadata,
        "type": "card",
    })
}

fn details(card: &Card) -> Value {
    json!({
        "brand": card.brand,
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": null },
        "country": null,
        "display_brand": card.brand,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "fingerprint": card.fingerprint,
        "funding": "unknown",
        "generated_from": null,
        "iin": card.bin,
        "last4": card.last_four,
        "networks": { "available": [card.brand], "preferred": null },
        "three_d_secure_usage": { "supported": false },
        "wallet": null,
    })
}

/// Tokens write brands with capitals, payment methods without.
fn display_brand(brand: &str) -> &str {
    match brand {
        "amex" => "American Express",
        "diners" => "Diners Club",
        "discover" => "Discover",
        "jcb" => "JCB",
        "mastercard" => "MasterCard",
        "unionpay" => "UnionPay",
        "visa" => "Visa",
        other => other,
    }
}
