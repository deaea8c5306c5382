//! One attempt at one delivery: load, sign, send, write down what came of it.
//!
//! It may be killed at any point. Before the outcome is written the delivery is still claimed, and is due again when its sender
//! must be dead: the endpoint may then get it twice, never not at all.

use kura_platform::clock;
use time::OffsetDateTime;

use super::secret::{SigningSecret, signatures};
use super::sender::Outcome;
use crate::app::App;
use crate::domain::webhook::{Next, Patience, Record};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Cause, Happened};
use crate::render;
use crate::store::webhook_deliveries::{self, Attempted, Claimed};
use crate::store::webhook_endpoints::{self, WebhookEndpoint};
use crate::store::{Tenant, events as event_rows};

/// Does it.
///
/// # Errors
/// The database's; the delivery is then due again later.
pub async fn run(app: &App, patience: &Patience, claim: &Claimed) -> ApiResult<()> {
    let mut conn = app.db.of(claim.tenant).await?;
    let endpoint = webhook_endpoints::find(&mut conn, claim.tenant, claim.endpoint).await?;
    let event = event_rows::find(&mut conn, claim.tenant, claim.event).await?;
    drop(conn);
    let (Some(endpoint), Some(event)) = (endpoint.filter(WebhookEndpoint::is_enabled), event) else {
        return end_unwanted(app, claim).await;
    };
    let id = event.id.to_string();
    let pending = event.pending;
    let body =
        serde_json::to_string(&render::event::event(claim.tenant, event, pending)).map_err(ApiError::internal)?;
    let now = clock::now();
    let secrets = secrets_of(app, claim.tenant, &endpoint, now)?;
    let signed = signatures(&secrets, &id, now.unix_timestamp(), &body);
    drop(secrets);
    let outcome = app.webhooks.send(&endpoint.url, &signed, body).await;
    tracing::info!(
        event = %claim.event, endpoint = %claim.endpoint, attempt = claim.attempt, status = outcome.http_status,
        failure = outcome.failure, ms = ms(&outcome), "webhook"
    );
    if outcome.is_success() {
        succeeded(app, claim, &endpoint, &outcome).await
    } else {
        failed(app, patience, claim, &outcome).await
    }
}

/// The secrets in force, the newest first.
fn secrets_of(
    app: &App,
    tenant: Tenant,
    endpoint: &WebhookEndpoint,
    now: OffsetDateTime,
) -> ApiResult<Vec<SigningSecret>> {
    let previous = endpoint.previous.as_ref().filter(|(_, until)| *until > now).map(|(sealed, _)| sealed);
    let sealed = std::iter::once(&endpoint.secret_sealed).chain(previous);
    sealed.map(|sealed| SigningSecret::open(&app.secrets.webhooks, tenant, endpoint.id, sealed)).collect()
}

fn ms(outcome: &Outcome) -> i32 {
    i32::try_from(outcome.took.as_millis()).unwrap_or(i32::MAX)
}

fn attempted<'a>(outcome: &'a Outcome, state: &'a str, at: OffsetDateTime, due_at: OffsetDateTime) -> Attempted<'a> {
    Attempted {
        state,
        due_at,
        at,
        http_status: outcome.http_status.and_then(|status| i16::try_from(status).ok()),
        failure: outcome.failure,
        duration_ms: ms(outcome),
        answer: outcome.answer.as_deref(),
    }
}

async fn succeeded(app: &App, claim: &Claimed, endpoint: &WebhookEndpoint, outcome: &Outcome) -> ApiResult<()> {
    let now = clock::now();
    let mut tx = app.db.begin(claim.tenant).await?;
    if webhook_deliveries::lock_claimed(&mut tx, claim).await?.is_none() {
        return Ok(());
    }
    webhook_deliveries::record(&mut tx, claim, &attempted(outcome, "delivered", now, now)).await?;
    // An endpoint that is well is not written to by each delivery.
    if endpoint.record.failures > 0
        && let Some(mut endpoint) = webhook_endpoints::lock(&mut tx, claim.tenant, claim.endpoint).await?
    {
        endpoint.record = Record::default();
        webhook_endpoints::update(&mut tx, claim.tenant, &endpoint).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn failed(app: &App, patience: &Patience, claim: &Claimed, outcome: &Outcome) -> ApiResult<()> {
    let (now, chance) = (clock::now(), u16::from_be_bytes(kura_platform::random::bytes()));
    let mut tx = app.db.begin(claim.tenant).await?;
    let Some((tries, since)) = webhook_deliveries::lock_claimed(&mut tx, claim).await? else { return Ok(()) };
    let next = patience.after_failure(tries.saturating_add(1), since, now, chance);
    let (state, due_at) = match next {
        Next::Again(at) => ("pending", at),
        Next::Over => ("failed", now),
    };
    webhook_deliveries::record(&mut tx, claim, &attempted(outcome, state, now, due_at)).await?;
    if let Some(mut endpoint) = webhook_endpoints::lock(&mut tx, claim.tenant, claim.endpoint).await?
        && endpoint.is_enabled()
    {
        let off;
        (endpoint.record, off) = endpoint.record.failed(patience, since, next, now, chance);
        if off {
            endpoint.disabled_by = Some("failing".to_owned());
        }
        webhook_endpoints::update(&mut tx, claim.tenant, &endpoint).await?;
        if off {
            let loopback = app.webhooks_reach_loopback();
            let shown = render::webhook_endpoint::webhook_endpoint(claim.tenant, endpoint, loopback);
            let told = Happened::to(&shown, events::Kind::WebhookEndpointDisabled)?;
            events::tell(&mut tx, &Cause::ours(claim.tenant), now, [told]).await?;
            tracing::warn!(endpoint = %claim.endpoint, merchant = %claim.tenant.merchant(), "webhook endpoint switched off: nothing but failures");
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Between claim and now the endpoint was deleted or switched off, or the event forgotten.
async fn end_unwanted(app: &App, claim: &Claimed) -> ApiResult<()> {
    let now = clock::now();
    let mut tx = app.db.begin(claim.tenant).await?;
    if webhook_deliveries::lock_claimed(&mut tx, claim).await?.is_some() {
        let outcome = Outcome { http_status: None, failure: None, took: std::time::Duration::ZERO, answer: None };
        webhook_deliveries::record(&mut tx, claim, &attempted(&outcome, "canceled", now, now)).await?;
    }
    tx.commit().await?;
    Ok(())
}
