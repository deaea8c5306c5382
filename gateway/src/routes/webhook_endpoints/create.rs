//! `POST /v1/webhook_endpoints`.

use kura_platform::clock;
use kura_wire::ids::WebhookEndpointId;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::params::{EnabledEvent, address, enabled_events};
use crate::codes::Code;
use crate::domain::webhook::Record;
use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Text};
use crate::error::{ApiError, ApiResult};
use crate::render::API_VERSION;
use crate::render::webhook_endpoint::WebhookEndpoint;
use crate::store::webhook_endpoints::{self, WebhookEndpoint as Row};
use crate::webhooks::secret::SigningSecret;

/// As many as a merchant has of each mode.
const MAX_ENDPOINTS: i64 = 16;

/// A new endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWebhookEndpoint {
    /// An https address on the public internet, on port 443, 4443, 8443 or 9443.
    url: Text<2000>,
    /// Kinds of events; `*` is all.
    enabled_events: Vec<EnabledEvent>,
    /// The version in whose shapes events are told; there is one.
    api_version: Option<Text<64>>,
    /// Your words.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateWebhookEndpoint) -> ApiResult<WebhookEndpoint> {
    let metadata = asked.metadata.of_new()?;
    let enabled_events = enabled_events(asked.enabled_events)?;
    let url = address(&context, &asked.url)?;
    if asked.api_version.is_some_and(|version| &*version != API_VERSION) {
        return Err(ApiError::invalid("api_version", API_VERSION));
    }
    let id: WebhookEndpointId = context.ids().one();
    let (tenant, key) = (context.tenant(), &context.app.secrets.webhooks);
    let secret = SigningSecret::draw();
    let row = Row {
        id,
        url,
        description: asked.description.map(Text::into_string),
        enabled_events,
        metadata,
        api_version: API_VERSION.to_owned(),
        disabled_by: None,
        secret_sealed: secret.seal(key, tenant, id)?,
        previous: None,
        secret_made_by: Uuid::from_bytes(*id.as_bytes()),
        record: Record::default(),
        created_at: clock::now(),
        deleted_at: None,
    };
    let mut tx = context.begin().await?;
    if !webhook_endpoints::insert(&mut tx, tenant, &row).await? {
        let there = webhook_endpoints::find(&mut tx, tenant, id).await?.ok_or_else(super::missing)?;
        let secret = SigningSecret::open(key, tenant, id, &there.secret_sealed)?;
        return Ok(with_secret(super::shown(&context, there), &secret));
    }
    if webhook_endpoints::count(&mut tx, tenant).await? > MAX_ENDPOINTS {
        return Err(ApiError::new(Code::WebhookEndpointsTooMany));
    }
    tx.commit().await?;
    Ok(with_secret(super::shown(&context, row), &secret))
}

/// The one answer that shows it.
pub(super) fn with_secret(mut shown: WebhookEndpoint, secret: &SigningSecret) -> WebhookEndpoint {
    shown.secret = Some(secret.reveal_to_its_owner().to_owned());
    shown
}
