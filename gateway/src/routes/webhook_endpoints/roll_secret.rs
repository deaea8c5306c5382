//! `POST /v1/webhook_endpoints/{id}/roll_secret`: a new signing secret, shown this once; the old one signs beside it for a while,
//! so that no webhook fails while yours is being replaced. An endpoint of our own.

use kura_platform::clock;
use kura_wire::ids::WebhookEndpointId;
use schemars::JsonSchema;
use serde::Deserialize;
use time::Duration;
use uuid::Uuid;

use super::create::with_secret;
use crate::edge::call::Context;
use crate::endpoint::types::Whole;
use crate::error::ApiResult;
use crate::render::webhook_endpoint::WebhookEndpoint;
use crate::store::webhook_endpoints;
use crate::webhooks::secret::SigningSecret;

const USUAL_OVERLAP_S: i64 = 24 * 60 * 60;

/// How it is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollSecret {
    /// How long the old secret signs too, in seconds: a day where you say nothing, up to a week; 0 ends it now.
    overlap: Option<Whole<0, 604_800>>,
}

/// Runs it.
pub async fn run(context: Context, asked: RollSecret) -> ApiResult<WebhookEndpoint> {
    let (tenant, key) = (context.tenant(), &context.app.secrets.webhooks);
    let id: WebhookEndpointId = context.id("webhook endpoint")?;
    let made_by = Uuid::from_bytes(*context.ids().one::<WebhookEndpointId>().as_bytes());
    let mut tx = context.begin().await?;
    let found = webhook_endpoints::lock(&mut tx, tenant, id).await?;
    let mut row = found.filter(|row| row.deleted_at.is_none()).ok_or_else(super::missing)?;
    if row.secret_made_by == made_by {
        let secret = SigningSecret::open(key, tenant, id, &row.secret_sealed)?;
        return Ok(with_secret(super::shown(&context, row), &secret));
    }
    let secret = SigningSecret::draw();
    let overlap = Duration::seconds(asked.overlap.map_or(USUAL_OVERLAP_S, |overlap| overlap.0));
    let old = std::mem::replace(&mut row.secret_sealed, secret.seal(key, tenant, id)?);
    row.previous = overlap.is_positive().then(|| (old, clock::now() + overlap));
    row.secret_made_by = made_by;
    webhook_endpoints::update(&mut tx, tenant, &row).await?;
    tx.commit().await?;
    Ok(with_secret(super::shown(&context, row), &secret))
}
