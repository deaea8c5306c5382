//! `POST /v1/webhook_endpoints/{id}`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::params::{EnabledEvent, address, enabled_events};
use crate::domain::webhook::Record;
use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Patch, Text};
use crate::error::ApiResult;
use crate::render::webhook_endpoint::WebhookEndpoint;
use crate::store::webhook_endpoints;

/// What changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWebhookEndpoint {
    /// Where it is.
    url: Option<Text<2000>>,
    /// Kinds of events; `*` is all.
    enabled_events: Option<Vec<EnabledEvent>>,
    /// `true`: it is told nothing, and what waits for it is given up.
    disabled: Option<bool>,
    /// Your words.
    #[serde(default)]
    description: Patch<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateWebhookEndpoint) -> ApiResult<WebhookEndpoint> {
    let url = asked.url.map(|url| address(&context, &url)).transpose()?;
    let wanted = asked.enabled_events.map(enabled_events).transpose()?;
    let mut tx = context.begin().await?;
    let found = webhook_endpoints::lock(&mut tx, context.tenant(), context.id("webhook endpoint")?).await?;
    let mut row = found.filter(|row| row.deleted_at.is_none()).ok_or_else(super::missing)?;
    // At another address, or switched on again, it starts without a past.
    if url.as_ref().is_some_and(|url| *url != row.url) || (asked.disabled == Some(false) && row.disabled_by.is_some()) {
        row.record = Record::default();
    }
    match asked.disabled {
        Some(true) if row.disabled_by.is_none() => row.disabled_by = Some("merchant".to_owned()),
        Some(false) => row.disabled_by = None,
        Some(true) | None => {}
    }
    row.url = url.unwrap_or(row.url);
    row.enabled_events = wanted.unwrap_or(row.enabled_events);
    row.description = asked.description.map(Text::into_string).apply(row.description);
    row.metadata = asked.metadata.apply(row.metadata)?;
    webhook_endpoints::update(&mut tx, context.tenant(), &row).await?;
    tx.commit().await?;
    Ok(super::shown(&context, row))
}
