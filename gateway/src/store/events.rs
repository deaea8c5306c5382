//! Table `events`. Insert and read only; what is past its thirty days is forgotten. The statement that writes an event also puts
//! it into the queue of each webhook endpoint that wants it.

use kura_platform::database::PgPool;
use kura_wire::ids::{EventId, RequestId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, column, object, page_of, uuid};

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// What happened.
    pub kind: String,
    /// To what.
    pub object: Value,
    /// What the changed properties were.
    pub previous: Option<Map<String, Value>>,
    /// Because of which request.
    pub request: Option<RequestId>,
    /// That request's key.
    pub idempotency_key: Option<String>,
    /// When.
    pub created_at: OffsetDateTime,
    /// Endpoints that are yet to be told.
    pub pending: i64,
}

struct Row {
    id: Uuid,
    kind: String,
    object: Value,
    previous: Option<Value>,
    request_id: Option<Uuid>,
    idempotency_key: Option<String>,
    created_at: OffsetDateTime,
    pending: i64,
}

impl From<Row> for Event {
    fn from(row: Row) -> Self {
        Self {
            id: EventId::from_bytes(row.id.into_bytes()),
            kind: row.kind,
            object: row.object,
            previous: row.previous.map(object),
            request: row.request_id.map(|id| RequestId::from_bytes(id.into_bytes())),
            idempotency_key: row.idempotency_key,
            created_at: row.created_at,
            pending: row.pending,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + r#"SELECT id, type AS kind, object, previous, request_id, idempotency_key, created_at,
                (SELECT count(*) FROM webhook_deliveries d
                 WHERE d.merchant_id = events.merchant_id AND d.event_id = events.id AND d.state = 'pending') AS "pending!"
                FROM events "# $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Writes them down and into the queues of the endpoints that want them, in one statement.
pub(crate) async fn insert_all(conn: Conn<'_>, tenant: Tenant, events: &[Event]) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway events::insert_all */
         WITH told AS (
             INSERT INTO events (merchant_id, livemode, id, type, object, previous, request_id, idempotency_key, created_at)
             SELECT $1, $2, event.*
             FROM UNNEST($3::uuid[], $4::text[], $5::json[], $6::json[], $7::uuid[], $8::text[], $9::timestamptz[]) AS event
             RETURNING id, type, created_at
         )
         INSERT INTO webhook_deliveries (merchant_id, event_id, endpoint_id, livemode, state, since, due_at, created_at)
         SELECT $1, told.id, e.id, $2, 'pending', told.created_at, told.created_at, told.created_at
         FROM told JOIN webhook_endpoints e ON e.merchant_id = $1 AND e.livemode = $2 AND e.status = 'enabled'
             AND e.deleted_at IS NULL AND (e.enabled_events = ARRAY['*'] OR told.type = ANY(e.enabled_events))",
        tenant.id(),
        tenant.livemode,
        &column(events, |event| uuid(event.id.as_bytes())),
        &column(events, |event| event.kind.clone()),
        &column(events, |event| event.object.clone()),
        &column(events, |event| event.previous.clone().map(Value::Object)) as &[Option<Value>],
        &column(events, |event| event.request.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(events, |event| event.idempotency_key.clone()) as &[Option<String>],
        &column(events, |event| event.created_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's event of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: EventId) -> sqlx::Result<Option<Event>> {
    let row = select!(
        "/* gateway events::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Event::from))
}

/// The merchant's events, perhaps of some kinds only, or only those of which all endpoints were told (or not all).
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    kinds: Option<&[String]>,
    delivered: Option<bool>,
    page: &Page,
) -> sqlx::Result<Listed<Event>> {
    let mut rows = Vec::new();
    // One walk along the index for each kind: however rare it is among the others, it is found at once.
    let kinds = kinds.map_or_else(|| vec![None], |kinds| kinds.iter().map(Some).collect());
    for kind in kinds {
        let conn = &mut *conn;
        rows.extend(match (kind, delivered) {
            (None, None) => page_of!(select, "/* gateway events::list */ ", "id", "", conn, tenant, page),
            (Some(kind), None) => {
                page_of!(select, "/* gateway events::list of kind */ ", "id", "AND type = $7", conn, tenant, page, kind)
            }
            (None, Some(delivered)) => page_of!(
                select,
                "/* gateway events::list delivered */ ",
                "id",
                "AND $7 = NOT EXISTS (SELECT FROM webhook_deliveries d
                     WHERE d.merchant_id = $1 AND d.event_id = events.id AND d.state IN ('pending', 'failed'))",
                conn,
                tenant,
                page,
                delivered,
            ),
            (Some(kind), Some(delivered)) => page_of!(
                select,
                "/* gateway events::list delivered of kind */ ",
                "id",
                "AND type = $7 AND $8 = NOT EXISTS (SELECT FROM webhook_deliveries d
                     WHERE d.merchant_id = $1 AND d.event_id = events.id AND d.state IN ('pending', 'failed'))",
                conn,
                tenant,
                page,
                kind,
                delivered,
            ),
        });
    }
    rows.sort_by_key(|row| (row.created_at, row.id));
    if !page.ascending() {
        rows.reverse();
    }
    Ok(page.close(rows.into_iter().map(Event::from).collect()))
}

/// The merchant's events from this moment on, the oldest first, without those that are known.
pub(crate) async fn since(
    conn: Conn<'_>,
    tenant: Tenant,
    kinds: Option<&[String]>,
    from: OffsetDateTime,
    known: &[Uuid],
    limit: i64,
) -> sqlx::Result<Vec<Event>> {
    let rows = select!(
        "/* gateway events::since */ ",
        "WHERE merchant_id = $1 AND livemode = $2 AND ($3::text[] IS NULL OR type = ANY($3)) AND created_at >= $4
           AND id <> ALL($5::uuid[])
         ORDER BY created_at, id LIMIT $6",
        tenant.id(),
        tenant.livemode,
        kinds,
        from,
        known,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// Where this one stands in lists.
pub fn cursor(event: &Event) -> Cursor {
    (event.created_at, uuid(event.id.as_bytes()))
}

/// Forgets what is older, a bounded number at a time; says how many.
pub async fn forget_older(pool: &PgPool, than: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "/* gateway events::forget_older */
         DELETE FROM events WHERE (merchant_id, id) IN (
             SELECT merchant_id, id FROM events WHERE created_at < $1 LIMIT 5000)",
        than,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
