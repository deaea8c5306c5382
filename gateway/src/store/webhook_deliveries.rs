//! Table `webhook_deliveries`: the queue, and what came of it. Rows are made by [`super::events::insert_all`].

use kura_platform::database::PgPool;
use kura_wire::ids::{EventId, WebhookEndpointId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Tenant, uuid};
use crate::domain::webhook::CIRCUIT_OPENS_AT;

/// A delivery, as its owner sees it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// To whom.
    pub endpoint: WebhookEndpointId,
    /// `pending`, `delivered`, `failed` or `canceled`.
    pub state: String,
    /// So far.
    pub attempts: i32,
    /// The next attempt, of a pending one.
    pub due_at: OffsetDateTime,
    /// The last attempt.
    pub attempted_at: Option<OffsetDateTime>,
    /// What it was answered.
    pub http_status: Option<i16>,
    /// Why it was not.
    pub failure: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i32>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

/// One that somebody is to send now. Nobody else has it until its sender must be dead.
#[derive(Debug, Clone, Copy)]
pub struct Claimed {
    /// Whose.
    pub tenant: Tenant,
    /// What.
    pub event: EventId,
    /// To whom.
    pub endpoint: WebhookEndpointId,
    /// The number of this attempt.
    pub attempt: i32,
}

/// How many deliveries of one endpoint this process is sending.
#[derive(Debug, Default)]
pub struct Busy {
    /// Endpoints.
    pub endpoints: Vec<Uuid>,
    /// How many of each.
    pub counts: Vec<i64>,
}

/// Takes deliveries that are due, of each endpoint no more than `at_once` less what is being sent to it, and one at a time of an
/// endpoint that has failed too often. Endpoints with something to send are found one by one over the index, so a long queue
/// of one hides no other.
pub async fn claim_due(
    pool: &PgPool,
    now: OffsetDateTime,
    sender_dead_at: OffsetDateTime,
    at_once: i64,
    busy: &Busy,
    limit: i64,
) -> sqlx::Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        r#"/* gateway webhook_deliveries::claim_due */
         WITH RECURSIVE waiting AS (
             (SELECT merchant_id, endpoint_id FROM webhook_deliveries WHERE state = 'pending'
              ORDER BY merchant_id, endpoint_id LIMIT 1)
             UNION ALL
             SELECT next.merchant_id, next.endpoint_id FROM waiting CROSS JOIN LATERAL (
                 SELECT merchant_id, endpoint_id FROM webhook_deliveries
                 WHERE state = 'pending' AND (merchant_id, endpoint_id) > (waiting.merchant_id, waiting.endpoint_id)
                 ORDER BY merchant_id, endpoint_id LIMIT 1) next
         ), due AS (
             SELECT one.merchant_id, one.event_id, one.endpoint_id
             FROM waiting
             JOIN webhook_endpoints e ON e.merchant_id = waiting.merchant_id AND e.id = waiting.endpoint_id
                 AND e.status = 'enabled' AND e.deleted_at IS NULL AND (e.open_until IS NULL OR e.open_until <= $1)
             LEFT JOIN UNNEST($4::uuid[], $5::bigint[]) AS busy (endpoint_id, count) ON busy.endpoint_id = e.id
             CROSS JOIN LATERAL (
                 SELECT merchant_id, event_id, endpoint_id FROM webhook_deliveries d
                 WHERE d.merchant_id = e.merchant_id AND d.endpoint_id = e.id AND d.state = 'pending' AND d.due_at <= $1
                 ORDER BY d.due_at
                 LIMIT GREATEST(0, (CASE WHEN e.failures >= $7::integer THEN 1 ELSE $3::bigint END) - COALESCE(busy.count, 0))
                 FOR UPDATE SKIP LOCKED) one
             LIMIT $6
         )
         UPDATE webhook_deliveries d SET due_at = $2, attempts = attempts + 1
         FROM due WHERE d.merchant_id = due.merchant_id AND d.event_id = due.event_id AND d.endpoint_id = due.endpoint_id
         RETURNING d.merchant_id, d.livemode, d.event_id, d.endpoint_id, d.attempts"#,
        now,
        sender_dead_at,
        at_once,
        &busy.endpoints,
        &busy.counts,
        limit,
        CIRCUIT_OPENS_AT,
    )
    .fetch_all(pool)
    .await?;
    let claimed = rows.into_iter().map(|row| Claimed {
        tenant: Tenant::of(row.merchant_id, row.livemode),
        event: EventId::from_bytes(row.event_id.into_bytes()),
        endpoint: WebhookEndpointId::from_bytes(row.endpoint_id.into_bytes()),
        attempt: row.attempts,
    });
    Ok(claimed.collect())
}

/// How often it failed since it was set going, and when that was; locked until the transaction ends. `None` where it is not
/// this claim's any more.
pub(crate) async fn lock_claimed(conn: Conn<'_>, claim: &Claimed) -> sqlx::Result<Option<(i32, OffsetDateTime)>> {
    let row = sqlx::query!(
        "/* gateway webhook_deliveries::lock_claimed */
         SELECT tries, since FROM webhook_deliveries
         WHERE merchant_id = $1 AND event_id = $2 AND endpoint_id = $3 AND attempts = $4 AND state = 'pending' FOR UPDATE",
        claim.tenant.id(),
        uuid(claim.event.as_bytes()),
        uuid(claim.endpoint.as_bytes()),
        claim.attempt,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.tries, row.since)))
}

/// What came of an attempt.
#[derive(Debug)]
pub struct Attempted<'a> {
    /// What the delivery is now.
    pub state: &'a str,
    /// When it is due again.
    pub due_at: OffsetDateTime,
    /// When the attempt ended.
    pub at: OffsetDateTime,
    /// What it was answered.
    pub http_status: Option<i16>,
    /// Why it was not.
    pub failure: Option<&'a str>,
    /// How long it took.
    pub duration_ms: i32,
    /// The beginning of the answer.
    pub answer: Option<&'a str>,
}

/// Writes down what came of an attempt, while the row is locked.
pub(crate) async fn record(conn: Conn<'_>, claim: &Claimed, attempted: &Attempted<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway webhook_deliveries::record */
         UPDATE webhook_deliveries SET state = $4, due_at = $5, attempted_at = $6, http_status = $7, failure = $8, duration_ms = $9,
             answer = $10, tries = tries + 1
         WHERE merchant_id = $1 AND event_id = $2 AND endpoint_id = $3",
        claim.tenant.id(),
        uuid(claim.event.as_bytes()),
        uuid(claim.endpoint.as_bytes()),
        attempted.state,
        attempted.due_at,
        attempted.at,
        attempted.http_status,
        attempted.failure,
        attempted.duration_ms,
        attempted.answer,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets deliveries of an event going anew: for these endpoints, whether they were to be told of it or not.
pub(crate) async fn send_again(
    conn: Conn<'_>,
    tenant: Tenant,
    event: EventId,
    endpoints: &[WebhookEndpointId],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let endpoints: Vec<Uuid> = endpoints.iter().map(|id| uuid(id.as_bytes())).collect();
    sqlx::query!(
        "/* gateway webhook_deliveries::send_again */
         INSERT INTO webhook_deliveries (merchant_id, event_id, endpoint_id, livemode, state, since, due_at, created_at)
         SELECT $1, $2, id, $3, 'pending', $5, $5, $5 FROM UNNEST($4::uuid[]) AS endpoint (id)
         ON CONFLICT (merchant_id, event_id, endpoint_id) DO UPDATE
             SET state = 'pending', tries = 0, since = EXCLUDED.since, due_at = EXCLUDED.due_at
             WHERE webhook_deliveries.state <> 'pending' OR webhook_deliveries.due_at > EXCLUDED.due_at + interval '1 minute'",
        tenant.id(),
        uuid(event.as_bytes()),
        tenant.livemode,
        &endpoints,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What became of an event, endpoint by endpoint.
pub(crate) async fn of_event(conn: Conn<'_>, tenant: Tenant, event: EventId) -> sqlx::Result<Vec<Delivery>> {
    let rows = sqlx::query!(
        "/* gateway webhook_deliveries::of_event */
         SELECT endpoint_id, state, attempts, due_at, attempted_at, http_status, failure, duration_ms, answer
         FROM webhook_deliveries WHERE merchant_id = $1 AND event_id = $2 AND livemode = $3 ORDER BY endpoint_id LIMIT 100",
        tenant.id(),
        uuid(event.as_bytes()),
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    let deliveries = rows.into_iter().map(|row| Delivery {
        endpoint: WebhookEndpointId::from_bytes(row.endpoint_id.into_bytes()),
        state: row.state,
        attempts: row.attempts,
        due_at: row.due_at,
        attempted_at: row.attempted_at,
        http_status: row.http_status,
        failure: row.failure,
        duration_ms: row.duration_ms,
        answer: row.answer,
    });
    Ok(deliveries.collect())
}

/// Ends what waits for endpoints that are told nothing any more, a bounded number at a time; says how many.
pub async fn end_unwanted(pool: &PgPool) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "/* gateway webhook_deliveries::end_unwanted */
         UPDATE webhook_deliveries d SET state = unwanted.state
         FROM (SELECT d.merchant_id, d.event_id, d.endpoint_id,
                   CASE WHEN e.disabled_by = 'failing' AND e.deleted_at IS NULL THEN 'failed' ELSE 'canceled' END AS state
               FROM webhook_endpoints e JOIN webhook_deliveries d ON d.merchant_id = e.merchant_id AND d.endpoint_id = e.id
               WHERE d.state = 'pending' AND (e.status = 'disabled' OR e.deleted_at IS NOT NULL)
               LIMIT 5000 FOR UPDATE OF d SKIP LOCKED) unwanted
         WHERE d.merchant_id = unwanted.merchant_id AND d.event_id = unwanted.event_id AND d.endpoint_id = unwanted.endpoint_id",
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets what is older, a bounded number at a time; says how many.
pub async fn forget_older(pool: &PgPool, than: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "/* gateway webhook_deliveries::forget_older */
         DELETE FROM webhook_deliveries WHERE (merchant_id, event_id, endpoint_id) IN (
             SELECT merchant_id, event_id, endpoint_id FROM webhook_deliveries WHERE created_at < $1 LIMIT 5000)",
        than,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
