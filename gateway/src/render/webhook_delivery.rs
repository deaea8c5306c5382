//! What became of an event at one endpoint: an object of our own.

use kura_wire::ids::EventId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::webhook_deliveries::Delivery as Row;

word!(DeliveryWord, "webhook_delivery");

/// What became of an event at one endpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookDelivery {
    /// `webhook_delivery`.
    pub object: DeliveryWord,
    /// `evt_…`.
    pub event: Expandable,
    /// `we_…`.
    pub webhook_endpoint: Expandable,
    /// `pending`, `delivered`, `failed` (given up), or `canceled` (the endpoint was deleted or disabled).
    pub status: String,
    /// So far.
    pub attempts: i32,
    /// When it is tried again, in Unix seconds.
    pub next_attempt: Option<i64>,
    /// How the last attempt went.
    pub last_attempt: Option<Attempt>,
}

/// How an attempt went.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Attempt {
    /// When it ended, in Unix seconds.
    pub at: i64,
    /// What your server answered; 200 to 299 is success.
    pub http_status: Option<i16>,
    /// Why there was no answer: `address_refused` (not public), `connection_failed`, `certificate_untrusted` (of no authority
    /// that is trusted), `certificate_of_other_name`, `certificate_out_of_date`, `certificate_invalid`, `tls_failed`,
    /// `timeout`, `answer_unreadable`.
    pub failure: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i32>,
    /// The first 500 characters of what your server answered.
    pub answer: Option<String>,
}

/// As the API shows it.
pub fn webhook_delivery(event: EventId, row: Row) -> WebhookDelivery {
    WebhookDelivery {
        object: DeliveryWord::default(),
        event: event.into(),
        webhook_endpoint: row.endpoint.into(),
        next_attempt: (row.state == "pending").then(|| unix(row.due_at)),
        status: row.state,
        attempts: row.attempts,
        last_attempt: row.attempted_at.map(|at| Attempt {
            at: unix(at),
            http_status: row.http_status,
            failure: row.failure,
            duration_ms: row.duration_ms,
            answer: row.answer,
        }),
    }
}
