//! Charges.

use kura_wire::ids::TokenUse;
use serde_json::{Value, json};

use super::unix;
use crate::codes::Code;
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::charges::Charge;

/// A charge and its card.
pub fn charge(tenant: Tenant, charge: &Charge, card: Option<&Card>) -> Value {
    let failure = charge.decline_code.as_deref().map(Code::of_decline);
    // As Stripe does: what is freed without having been taken counts as refunded.
    let refunded = charge.refunded_minor + charge.released_minor;
    json!({
        "id": charge.id.to_string(),
        "object": "charge",
        "amount": charge.amount_minor,
        "amount_captured": charge.captured_minor,
        "amount_refunded": refunded,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": {
            "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
            "email": null,
            "name": null,
            "phone": null,
            "tax_id": null,
        },
        "calculated_statement_descriptor": null,
        "captured": charge.captured,
        "created": unix(charge.created_at),
        "currency": charge.currency,
        "customer": charge.customer.map(|id| id.to_string()),
        "description": charge.description,
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": failure.map(Code::as_str),
        "failure_message": failure.map(Code::message),
        "fraud_details": {},
        "livemode": tenant.livemode(),
        "metadata": charge.metadata,
        "on_behalf_of": null,
        "outcome": outcome(charge),
        "paid": charge.succeeded,
        "payment_intent": charge.intent.to_string(),
        "payment_method": card.map(|card| card.token(TokenUse::Multi).to_string()),
        "payment_method_details": card.map(|card| details(charge, card)),
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": charge.succeeded && refunded == charge.amount_minor,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": if charge.succeeded { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn outcome(charge: &Charge) -> Value {
    if charge.succeeded {
        return json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": "not_assessed",
            "seller_message": "Payment complete.",
            "type": "authorized",
        });
    }
    json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": charge.response_code,
        "network_status": "declined_by_network",
        "reason": charge.decline_code,
        "risk_level": "not_assessed",
        "seller_message": "The network did not approve the payment.",
        "type": "issuer_declined",
    })
}

fn details(charge: &Charge, card: &Card) -> Value {
    json!({
        "card": {
            "amount_authorized": charge.succeeded.then_some(charge.amount_minor),
            "authorization_code": charge.approval_code,
            "brand": card.brand,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": charge.cvc_check },
            "country": null,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "fingerprint": card.fingerprint,
            "funding": "unknown",
            "iin": card.bin,
            "installments": null,
            "last4": card.last_four,
            "mandate": null,
            "network": card.brand,
            "three_d_secure": null,
            "wallet": null,
        },
        "type": "card",
    })
}
