//! Events.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{API_VERSION, nulls, unix, word};
use crate::store::Tenant;
use crate::store::events::Event as Row;

word!(EventWord, "event");
nulls!(Unused { context });

/// Something that happened.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// `event`.
    pub object: EventWord,
    /// Whose shape the object has.
    pub api_version: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// To what.
    pub data: Data,
    /// Live or test.
    pub livemode: bool,
    /// Endpoints that are yet to be told.
    pub pending_webhooks: i64,
    /// Because of which request of yours; without one where a network or the time was behind it.
    pub request: Request,
    /// What happened, such as `payment_intent.succeeded`.
    pub r#type: String,
    #[serde(flatten)]
    unused: Unused,
}

/// What an event is about.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Data {
    /// The object as it was when it happened.
    pub object: Map<String, Value>,
    /// Of an update: what the changed properties were before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_attributes: Option<Map<String, Value>>,
}

/// What set it going.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Request {
    /// `req_…`.
    pub id: Option<String>,
    /// As you sent it.
    pub idempotency_key: Option<String>,
}

/// As the API shows it.
pub fn event(tenant: Tenant, row: Row, pending_webhooks: i64) -> Event {
    let object = match row.object {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    Event {
        id: row.id.to_string(),
        object: EventWord::default(),
        api_version: API_VERSION,
        created: unix(row.created_at),
        data: Data { object, previous_attributes: row.previous },
        livemode: tenant.livemode(),
        pending_webhooks,
        request: Request { id: row.request.map(|id| id.to_string()), idempotency_key: row.idempotency_key },
        r#type: row.kind,
        unused: Unused::default(),
    }
}
