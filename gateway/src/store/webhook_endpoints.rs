//! Table `webhook_endpoints`. Signing secrets have columns as sealed bytes only; a deleted endpoint's row stays, without them
//! being of use, for what was told to it.

use kura_wire::ids::{EventId, WebhookEndpointId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};
use crate::domain::webhook::Record;

/// A webhook endpoint.
#[derive(Clone)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Where it is.
    pub url: String,
    /// The merchant's words.
    pub description: Option<String>,
    /// Kinds, or one star.
    pub enabled_events: Vec<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// In whose shapes it is told.
    pub api_version: String,
    /// `merchant` or `failing`; none while it is enabled.
    pub disabled_by: Option<String>,
    /// The signing secret.
    pub secret_sealed: Vec<u8>,
    /// The one before it, and until when it signs too.
    pub previous: Option<(Vec<u8>, OffsetDateTime)>,
    /// Follows from the request that made the secret.
    pub secret_made_by: Uuid,
    /// How it has done lately.
    pub record: Record,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

impl WebhookEndpoint {
    /// Whether it is told of anything.
    pub fn is_enabled(&self) -> bool {
        self.disabled_by.is_none() && self.deleted_at.is_none()
    }

    fn status(&self) -> &'static str {
        if self.disabled_by.is_none() { "enabled" } else { "disabled" }
    }
}

struct Row {
    id: Uuid,
    url: String,
    description: Option<String>,
    enabled_events: Vec<String>,
    metadata: Value,
    api_version: String,
    disabled_by: Option<String>,
    secret_sealed: Vec<u8>,
    previous_secret_sealed: Option<Vec<u8>>,
    previous_until: Option<OffsetDateTime>,
    secret_made_by: Uuid,
    failures: i32,
    failing_since: Option<OffsetDateTime>,
    open_until: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
}

impl From<Row> for WebhookEndpoint {
    fn from(row: Row) -> Self {
        Self {
            id: WebhookEndpointId::from_bytes(row.id.into_bytes()),
            url: row.url,
            description: row.description,
            enabled_events: row.enabled_events,
            metadata: object(row.metadata),
            api_version: row.api_version,
            disabled_by: row.disabled_by,
            secret_sealed: row.secret_sealed,
            previous: row.previous_secret_sealed.zip(row.previous_until),
            secret_made_by: row.secret_made_by,
            record: Record { failures: row.failures, failing_since: row.failing_since, open_until: row.open_until },
            created_at: row.created_at,
            deleted_at: row.deleted_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, url, description, enabled_events, metadata, api_version, disabled_by, secret_sealed,
                previous_secret_sealed, previous_until, secret_made_by, failures, failing_since, open_until, created_at, deleted_at
                FROM webhook_endpoints " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, endpoint: &WebhookEndpoint) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway webhook_endpoints::insert */
         INSERT INTO webhook_endpoints (merchant_id, id, livemode, url, description, enabled_events, metadata, api_version, status,
             secret_sealed, secret_made_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'enabled', $9, $10, $11) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(endpoint.id.as_bytes()),
        tenant.livemode,
        endpoint.url,
        endpoint.description,
        &endpoint.enabled_events,
        Value::Object(endpoint.metadata.clone()),
        endpoint.api_version,
        endpoint.secret_sealed,
        endpoint.secret_made_by,
        endpoint.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's endpoint of this id, deleted or not.
pub(crate) async fn find(
    conn: Conn<'_>,
    tenant: Tenant,
    id: WebhookEndpointId,
) -> sqlx::Result<Option<WebhookEndpoint>> {
    let row = select!(
        "/* gateway webhook_endpoints::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(WebhookEndpoint::from))
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(
    conn: Conn<'_>,
    tenant: Tenant,
    id: WebhookEndpointId,
) -> sqlx::Result<Option<WebhookEndpoint>> {
    let row = select!(
        "/* gateway webhook_endpoints::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR NO KEY UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(WebhookEndpoint::from))
}

/// How many there are that were not deleted.
pub(crate) async fn count(conn: Conn<'_>, tenant: Tenant) -> sqlx::Result<i64> {
    let count = sqlx::query_scalar!(
        r#"/* gateway webhook_endpoints::count */
         SELECT count(*) AS "count!" FROM webhook_endpoints WHERE merchant_id = $1 AND livemode = $2 AND deleted_at IS NULL"#,
        tenant.id(),
        tenant.livemode,
    );
    count.fetch_one(conn).await
}

/// Writes all that can change.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, endpoint: &WebhookEndpoint) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway webhook_endpoints::update */
         UPDATE webhook_endpoints SET url = $4, description = $5, enabled_events = $6, metadata = $7, status = $8, disabled_by = $9,
             secret_sealed = $10, previous_secret_sealed = $11, previous_until = $12, secret_made_by = $13, failures = $14,
             failing_since = $15, open_until = $16, deleted_at = $17
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(endpoint.id.as_bytes()),
        tenant.livemode,
        endpoint.url,
        endpoint.description,
        &endpoint.enabled_events,
        Value::Object(endpoint.metadata.clone()),
        endpoint.status(),
        endpoint.disabled_by,
        endpoint.secret_sealed,
        endpoint.previous.as_ref().map(|(sealed, _)| sealed),
        endpoint.previous.as_ref().map(|(_, until)| *until),
        endpoint.secret_made_by,
        endpoint.record.failures,
        endpoint.record.failing_since,
        endpoint.record.open_until,
        endpoint.deleted_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's endpoints.
pub(crate) async fn list(conn: Conn<'_>, tenant: Tenant, page: &Page) -> sqlx::Result<Listed<WebhookEndpoint>> {
    let rows =
        page_of!(select, "/* gateway webhook_endpoints::list */ ", "id", "AND deleted_at IS NULL", conn, tenant, page,);
    Ok(page.close(rows.into_iter().map(WebhookEndpoint::from).collect()))
}

/// Those that were to be told of an event and still can be.
pub(crate) async fn told_of(conn: Conn<'_>, tenant: Tenant, event: EventId) -> sqlx::Result<Vec<WebhookEndpointId>> {
    let rows = sqlx::query_scalar!(
        "/* gateway webhook_endpoints::told_of */
         SELECT endpoint_id FROM webhook_deliveries JOIN webhook_endpoints
             ON webhook_endpoints.merchant_id = webhook_deliveries.merchant_id AND webhook_endpoints.id = endpoint_id
         WHERE webhook_deliveries.merchant_id = $1 AND event_id = $2 AND webhook_deliveries.livemode = $3
           AND status = 'enabled' AND deleted_at IS NULL",
        tenant.id(),
        uuid(event.as_bytes()),
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|id| WebhookEndpointId::from_bytes(id.into_bytes())).collect())
}

/// Where this one stands in lists.
pub fn cursor(endpoint: &WebhookEndpoint) -> Cursor {
    (endpoint.created_at, uuid(endpoint.id.as_bytes()))
}
