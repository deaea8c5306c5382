//! Refunds.

use serde_json::{Value, json};

use super::unix;
use crate::store::refunds::Refund;

/// A refund.
pub fn refund(refund: &Refund) -> Value {
    json!({
        "id": refund.id.to_string(),
        "object": "refund",
        "amount": refund.amount_minor,
        "balance_transaction": null,
        "charge": refund.charge.to_string(),
        "created": unix(refund.created_at),
        "currency": refund.currency,
        "destination_details": {
            "card": {
                "reference": refund.network_reference,
                "reference_status": if refund.status == "succeeded" { "available" } else { "pending" },
                "reference_type": "retrieval_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "failure_reason": refund.failure_reason,
        "metadata": refund.metadata,
        "payment_intent": refund.intent.to_string(),
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": refund.status,
        "transfer_reversal": null,
    })
}
