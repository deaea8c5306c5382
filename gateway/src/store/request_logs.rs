//! Table `request_logs`. Written for many merchants at once, by the gateway's own work; read by each merchant.

use kura_platform::database::PgPool;
use kura_wire::ids::RequestId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, page_of, uuid};

/// A request that a merchant made.
#[derive(Debug, Clone)]
pub struct RequestLog {
    /// Its id.
    pub id: RequestId,
    /// `POST`.
    pub method: String,
    /// Words and ids of ours.
    pub path: String,
    /// What it was answered.
    pub status: i16,
    /// The error's code.
    pub code: Option<String>,
    /// How long it took.
    pub duration_ms: i32,
    /// Prefix and last four letters of the key.
    pub key_hint: String,
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// When it came.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    method: String,
    path: String,
    status: i16,
    code: Option<String>,
    duration_ms: i32,
    key_hint: String,
    idempotency_key: Option<String>,
    created_at: OffsetDateTime,
}

impl From<Row> for RequestLog {
    fn from(row: Row) -> Self {
        Self {
            id: RequestId::from_bytes(row.id.into_bytes()),
            method: row.method,
            path: row.path,
            status: row.status,
            code: row.code,
            duration_ms: row.duration_ms,
            key_hint: row.key_hint,
            idempotency_key: row.idempotency_key,
            created_at: row.created_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, method, path, status, code, duration_ms, key_hint, idempotency_key, created_at
                FROM request_logs " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Which requests a list is of.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this method.
    pub method: Option<String>,
    /// With this status.
    pub status: Option<i16>,
    /// With this error.
    pub code: Option<String>,
}

fn column<T>(logs: &[(Tenant, RequestLog)], of: impl Fn(&(Tenant, RequestLog)) -> T) -> Vec<T> {
    logs.iter().map(of).collect()
}

/// Writes them down, in one statement.
pub async fn insert_all(pool: &PgPool, logs: &[(Tenant, RequestLog)]) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway request_logs::insert_all */
         INSERT INTO request_logs (merchant_id, livemode, id, method, path, status, code, duration_ms, key_hint, idempotency_key,
             created_at)
         SELECT * FROM UNNEST($1::uuid[], $2::boolean[], $3::uuid[], $4::text[], $5::text[], $6::smallint[], $7::text[],
             $8::integer[], $9::text[], $10::text[], $11::timestamptz[])",
        &column(logs, |(tenant, _)| tenant.id()),
        &column(logs, |(tenant, _)| tenant.livemode),
        &column(logs, |(_, log)| uuid(log.id.as_bytes())),
        &column(logs, |(_, log)| log.method.clone()),
        &column(logs, |(_, log)| log.path.clone()),
        &column(logs, |(_, log)| log.status),
        &column(logs, |(_, log)| log.code.clone()) as &[Option<String>],
        &column(logs, |(_, log)| log.duration_ms),
        &column(logs, |(_, log)| log.key_hint.clone()),
        &column(logs, |(_, log)| log.idempotency_key.clone()) as &[Option<String>],
        &column(logs, |(_, log)| log.created_at),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The merchant's request of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: RequestId) -> sqlx::Result<Option<RequestLog>> {
    let row = select!(
        "/* gateway request_logs::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(RequestLog::from))
}

/// The merchant's requests.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    wanted: &Wanted,
    page: &Page,
) -> sqlx::Result<Listed<RequestLog>> {
    let (method, status) = (wanted.method.as_deref(), wanted.status);
    let rows = match (wanted.code.as_deref(), status, method) {
        (Some(code), status, method) => page_of!(
            select,
            "/* gateway request_logs::list of error */ ",
            "id",
            "AND code = $7 AND ($8::text IS NULL OR method = $8) AND ($9::smallint IS NULL OR status = $9)",
            conn,
            tenant,
            page,
            code,
            method,
            status,
        ),
        (None, Some(status), method) if status >= 400 => page_of!(
            select,
            "/* gateway request_logs::list refused */ ",
            "id",
            "AND status >= 400 AND status = $7 AND ($8::text IS NULL OR method = $8)",
            conn,
            tenant,
            page,
            status,
            method,
        ),
        (None, status, Some("DELETE")) => page_of!(
            select,
            "/* gateway request_logs::list deleting */ ",
            "id",
            "AND method = 'DELETE' AND ($7::smallint IS NULL OR status = $7)",
            conn,
            tenant,
            page,
            status,
        ),
        (None, status, method) => page_of!(
            select,
            "/* gateway request_logs::list */ ",
            "id",
            "AND ($7::text IS NULL OR method = $7) AND ($8::smallint IS NULL OR status = $8)",
            conn,
            tenant,
            page,
            method,
            status,
        ),
    };
    Ok(page.close(rows.into_iter().map(RequestLog::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(log: &RequestLog) -> Cursor {
    (log.created_at, uuid(log.id.as_bytes()))
}

/// Forgets what is older, a bounded number at a time; says how many.
pub async fn forget_older(pool: &PgPool, than: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "/* gateway request_logs::forget_older */
         DELETE FROM request_logs WHERE (merchant_id, id) IN (
             SELECT merchant_id, id FROM request_logs WHERE created_at < $1 LIMIT 5000)",
        than,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
