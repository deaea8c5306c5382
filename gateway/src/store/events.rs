//! Table `events`. Insert and read only; what is past its thirty days is forgotten.

use kura_wire::ids::{EventId, RequestId};
use serde_json::{Map, Value};
use sqlx::postgres::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};

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
}

struct Row {
    id: Uuid,
    kind: String,
    object: Value,
    previous: Option<Value>,
    request_id: Option<Uuid>,
    idempotency_key: Option<String>,
    created_at: OffsetDateTime,
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
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, type AS kind, object, previous, request_id, idempotency_key, created_at FROM events " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Writes them down, in one statement.
pub(crate) async fn insert_all(conn: Conn<'_>, tenant: Tenant, events: &[Event]) -> sqlx::Result<()> {
    let column = |of: fn(&Event) -> String| events.iter().map(of).collect::<Vec<String>>();
    let ids: Vec<Uuid> = events.iter().map(|event| uuid(event.id.as_bytes())).collect();
    let objects: Vec<Value> = events.iter().map(|event| event.object.clone()).collect();
    let previous: Vec<Option<Value>> = events.iter().map(|event| event.previous.clone().map(Value::Object)).collect();
    let first = events.first();
    sqlx::query!(
        "/* gateway events::insert_all */
         INSERT INTO events (merchant_id, livemode, request_id, idempotency_key, created_at, id, type, object, previous)
         SELECT $1, $2, $3, $4, $5, id, type, object, previous
         FROM UNNEST($6::uuid[], $7::text[], $8::json[], $9::json[]) AS event (id, type, object, previous)",
        tenant.id(),
        tenant.livemode,
        first.and_then(|event| event.request).map(|id| uuid(id.as_bytes())),
        first.and_then(|event| event.idempotency_key.as_deref()),
        first.map(|event| event.created_at),
        &ids,
        &column(|event| event.kind.clone()),
        &objects,
        &previous as &[Option<Value>],
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

/// The merchant's events, perhaps of some kinds only.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    kinds: Option<&[String]>,
    page: &Page,
) -> sqlx::Result<Listed<Event>> {
    let mut rows = Vec::new();
    match kinds {
        None => rows = page_of!(select, "/* gateway events::list */ ", "id", "", conn, tenant, page),
        // One walk along the index for each kind: however rare it is among the others, it is found at once.
        Some(kinds) => {
            for kind in kinds {
                rows.extend(page_of!(
                    select,
                    "/* gateway events::list of kind */ ",
                    "id",
                    "AND type = $7",
                    &mut *conn,
                    tenant,
                    page,
                    kind,
                ));
            }
            rows.sort_by_key(|row| (row.created_at, row.id));
            if !page.ascending() {
                rows.reverse();
            }
        }
    }
    Ok(page.close(rows.into_iter().map(Event::from).collect()))
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
