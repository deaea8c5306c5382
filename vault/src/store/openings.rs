//! The access ledger's rows. The service's role can add and read them; it can't change or delete one.

use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// One opening of one record.
#[derive(Debug, Clone)]
pub struct OpeningRow {
    /// The vault node.
    pub node: i16,
    /// Its place among the node's rows.
    pub sequence: i64,
    /// When.
    pub at: OffsetDateTime,
    /// The certificate that asked.
    pub actor: String,
    /// The request.
    pub request_id: Uuid,
    /// Whose record.
    pub merchant_id: Uuid,
    /// The record; the batch, for many at once.
    pub record_id: Uuid,
    /// The class of its data, in the word of [`crate::crypto::field::DataClass`].
    pub class: String,
    /// How many records: more than one only in the vault's own batches (reseal, import checks), which name the batch.
    pub records: i32,
    /// The fields that are opened.
    pub fields: Vec<String>,
    /// Why.
    pub purpose: String,
    /// For which attempt.
    pub attempt_id: Option<Uuid>,
}

/// Appends all in one statement. Fields are joined by commas on the way.
///
/// # Errors
/// [`StoreError`]; none is appended then, and nothing may be opened.
pub async fn insert_all(connection: &mut PgConnection, rows: &[OpeningRow]) -> Result<(), StoreError> {
    let ids = |pick: fn(&OpeningRow) -> Uuid| rows.iter().map(pick).collect::<Vec<_>>();
    let text = |pick: fn(&OpeningRow) -> &String| rows.iter().map(|row| pick(row).clone()).collect::<Vec<_>>();
    let nodes: Vec<i16> = rows.iter().map(|row| row.node).collect();
    let sequences: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
    let ats: Vec<OffsetDateTime> = rows.iter().map(|row| row.at).collect();
    let fields: Vec<String> = rows.iter().map(|row| row.fields.join(",")).collect();
    let attempts: Vec<Option<Uuid>> = rows.iter().map(|row| row.attempt_id).collect();
    sqlx::query!(
        "/* vault openings::insert_all */
         INSERT INTO openings (node, sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id)
         SELECT node, sequence, at, actor, request_id, merchant_id, record_id, class, records, string_to_array(fields, ','), purpose, attempt_id
         FROM UNNEST($1::smallint[], $2::bigint[], $3::timestamptz[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
             $8::text[], $9::integer[], $10::text[], $11::text[], $12::uuid[])
             AS new (node, sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id)",
        &nodes,
        &sequences,
        &ats,
        &text(|row| &row.actor),
        &ids(|row| row.request_id),
        &ids(|row| row.merchant_id),
        &ids(|row| row.record_id),
        &text(|row| &row.class),
        &rows.iter().map(|row| row.records).collect::<Vec<_>>(),
        &fields,
        &text(|row| &row.purpose),
        &attempts as &[Option<Uuid>]
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The last sequence of a node; 0 when it has none.
///
/// # Errors
/// [`StoreError`].
pub async fn last_sequence(executor: impl PgExecutor<'_>, node: i16) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault openings::last_sequence */ SELECT COALESCE(max(sequence), 0) AS \"last!\" FROM openings WHERE node = $1",
        node
    )
    .fetch_one(executor)
    .await
}

/// The openings for these attempts, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list_for_attempts(pool: &PgPool, attempts: &[Uuid]) -> Result<Vec<OpeningRow>, StoreError> {
    sqlx::query_as!(
        OpeningRow,
        "/* vault openings::list_for_attempts */
         SELECT node, sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id
         FROM openings WHERE attempt_id = ANY($1) ORDER BY at, node, sequence LIMIT 1000",
        attempts
    )
    .fetch_all(pool)
    .await
}
