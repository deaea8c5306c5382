//! PaymentIntents.

use kura_wire::ids::TokenUse;
use serde_json::{Value, json};

use super::{card, unix};
use crate::codes::Code;
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::payment_intents::{Intent, LastError};

/// What else of a payment is shown than its row.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// The card that it names, or that failed.
    pub card: Option<Card>,
    /// `expand[]=latest_charge`.
    pub latest_charge: Option<Value>,
    /// `expand[]=payment_method`.
    pub payment_method: Option<Value>,
}

/// A PaymentIntent.
pub fn payment_intent(tenant: Tenant, intent: &Intent, around: &Around) -> Value {
    let progress = &intent.progress;
    let named = intent.card.and(around.card.as_ref()).map(|card| card.token(TokenUse::Multi).to_string());
    let automatic = intent.automatic_payment_methods;
    json!({
        "id": intent.id.to_string(),
        "object": "payment_intent",
        "amount": progress.amount,
        "amount_capturable": progress.capturable,
        "amount_details": { "tip": {} },
        "amount_received": progress.received,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": automatic.then(|| json!({ "allow_redirects": "always", "enabled": true })),
        "canceled_at": intent.canceled_at.map(unix),
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": progress.capture_method.as_str(),
        "client_secret": null,
        "confirmation_method": "automatic",
        "created": unix(intent.created_at),
        "currency": intent.currency,
        "customer": intent.customer.map(|id| id.to_string()),
        "description": intent.description,
        "last_payment_error": intent.last_error.as_ref().map(|error| last_error(tenant, error, around.card.as_ref())),
        "latest_charge": around.latest_charge.clone().or_else(|| intent.latest_charge.map(|id| id.to_string().into())),
        "livemode": tenant.livemode(),
        "metadata": intent.metadata,
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": around.payment_method.clone().or_else(|| named.map(Value::from)),
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": { "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic" } },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": intent.receipt_email,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": progress.status.as_str(),
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// The words of a stored error.
pub fn message_of(error: &LastError) -> &'static str {
    if error.decline_code.as_deref() == Some("insufficient_funds") {
        return "Your card has insufficient funds.";
    }
    Code::of_word(&error.code).unwrap_or(Code::CardDeclined).message()
}

fn last_error(tenant: Tenant, error: &LastError, failed: Option<&Card>) -> Value {
    json!({
        "charge": error.charge.map(|id| id.to_string()),
        "code": error.code,
        "decline_code": error.decline_code,
        "message": message_of(error),
        "payment_method": failed.map(|failed| card::payment_method(tenant, failed)),
        "type": "card_error",
    })
}
