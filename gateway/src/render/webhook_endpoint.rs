//! Webhook endpoints. The signing secret is shown by the request that made it, and never again.

use kura_wire::ids::WebhookEndpointId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::store::Tenant;
use crate::store::webhook_endpoints::WebhookEndpoint as Row;

word!(WebhookEndpointWord, "webhook_endpoint");
nulls!(Unused { application });

/// Where you are told of events.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookEndpoint {
    /// `we_…`.
    pub id: String,
    /// `webhook_endpoint`.
    pub object: WebhookEndpointWord,
    /// In whose shapes you are told.
    pub api_version: String,
    /// Unix seconds.
    pub created: i64,
    /// Your words.
    pub description: Option<String>,
    /// True where this gateway is in development mode: endpoints may then be on its own machine, over http. Never in production.
    pub development_mode: bool,
    /// Kinds of events; `*` is all.
    pub enabled_events: Vec<String>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// Until when the signing secret before this one signs too, in Unix seconds.
    pub previous_secret_expires_at: Option<i64>,
    /// What webhooks are signed with: when the endpoint is made and when the secret is rolled, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `enabled` or `disabled`.
    pub status: Status,
    /// Why it is disabled: `merchant`, you did it; `failing`, it did nothing but fail for three days.
    pub disabled_by: Option<String>,
    /// Where it is.
    pub url: String,
    #[serde(flatten)]
    unused: Unused,
}

/// Whether it is told of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Enabled,
    /// It isn't.
    Disabled,
}

/// What is left of a deleted endpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Deleted {
    /// `we_…`.
    pub id: String,
    /// `webhook_endpoint`.
    pub object: WebhookEndpointWord,
    /// True.
    pub deleted: bool,
}

impl Deleted {
    /// Of this one.
    pub fn of(id: WebhookEndpointId) -> Self {
        Self { id: id.to_string(), object: WebhookEndpointWord::default(), deleted: true }
    }
}

/// As the API shows it.
pub fn webhook_endpoint(tenant: Tenant, row: Row, development_mode: bool) -> WebhookEndpoint {
    WebhookEndpoint {
        id: row.id.to_string(),
        object: WebhookEndpointWord::default(),
        api_version: row.api_version,
        created: unix(row.created_at),
        description: row.description,
        development_mode,
        enabled_events: row.enabled_events,
        livemode: tenant.livemode(),
        metadata: row.metadata,
        previous_secret_expires_at: row.previous.map(|(_, until)| unix(until)),
        secret: None,
        status: if row.disabled_by.is_none() { Status::Enabled } else { Status::Disabled },
        disabled_by: row.disabled_by,
        url: row.url,
        unused: Unused::default(),
    }
}
