//! The access ledger's rows. The service's role can add and read them; it can't change or delete one.

use kura_ledger::opening::Opening;
use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;
use time::{Date, OffsetDateTime};
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

/// A row as it stands in the table, with its leaf's hash.
#[derive(Debug, Clone)]
pub struct StoredOpening {
    /// The row.
    pub row: OpeningRow,
    /// As stored; whether it is right is for the reader to find out.
    pub leaf_hash: Vec<u8>,
}

impl OpeningRow {
    /// The row as a leaf of the tree.
    pub fn leaf(&self) -> Opening {
        Opening {
            node: u16::try_from(self.node).unwrap_or_default(),
            sequence: u64::try_from(self.sequence).unwrap_or_default(),
            at_us: i64::try_from(self.at.unix_timestamp_nanos() / 1000).unwrap_or_default(),
            actor: self.actor.clone(),
            request: self.request_id.into_bytes(),
            merchant: self.merchant_id.into_bytes(),
            record: self.record_id.into_bytes(),
            class: self.class.clone(),
            records: u32::try_from(self.records).unwrap_or_default(),
            fields: self.fields.clone(),
            purpose: self.purpose.clone(),
            attempt: self.attempt_id.map(Uuid::into_bytes),
        }
    }
}

/// Appends all in one statement, and moves the node's head from `size` to what it is with them; false, with nothing done,
/// when the head is not there. Fields are joined by commas on the way.
///
/// # Errors
/// [`StoreError`]; none is appended then, and nothing may be opened.
pub async fn insert_all(
    connection: &mut PgConnection,
    node: i16,
    size: i64,
    rows: &[OpeningRow],
    leaf_hashes: &[Vec<u8>],
) -> Result<bool, StoreError> {
    let ids = |pick: fn(&OpeningRow) -> Uuid| rows.iter().map(pick).collect::<Vec<_>>();
    let text = |pick: fn(&OpeningRow) -> &String| rows.iter().map(|row| pick(row).clone()).collect::<Vec<_>>();
    let sequences: Vec<i64> = rows.iter().map(|row| row.sequence).collect();
    let ats: Vec<OffsetDateTime> = rows.iter().map(|row| row.at).collect();
    let fields: Vec<String> = rows.iter().map(|row| row.fields.join(",")).collect();
    let attempts: Vec<Option<Uuid>> = rows.iter().map(|row| row.attempt_id).collect();
    let done = sqlx::query!(
        "/* vault openings::insert_all */
         WITH head AS (
             UPDATE ledger_heads SET size = size + cardinality($3::bigint[]) WHERE node = $1 AND size = $2 RETURNING node)
         INSERT INTO openings (node, sequence, day, at, actor, request_id, merchant_id, record_id, class, records, fields,
             purpose, attempt_id, leaf_hash)
         SELECT head.node, sequence, (at AT TIME ZONE 'UTC')::date, at, actor, request_id, merchant_id, record_id, class,
             records, string_to_array(fields, ','), purpose, attempt_id, leaf_hash
         FROM head, UNNEST($3::bigint[], $4::timestamptz[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[],
             $9::text[], $10::integer[], $11::text[], $12::text[], $13::uuid[], $14::bytea[])
             AS new (sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id,
                 leaf_hash)",
        node,
        size,
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
        &attempts as &[Option<Uuid>],
        leaf_hashes
    )
    .execute(connection)
    .await?;
    Ok(usize::try_from(done.rows_affected()) == Ok(rows.len()))
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

/// The first sequence of a node on this UTC day or after it.
///
/// # Errors
/// [`StoreError`].
pub async fn first_sequence_since(pool: &PgPool, node: i16, day: Date) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        "/* vault openings::first_sequence_since */ SELECT min(sequence) FROM openings WHERE node = $1 AND day >= $2",
        node,
        day
    )
    .fetch_one(pool)
    .await
}

/// A node's rows after a sequence, in order; a few more than asked for when the last sequence is there twice.
///
/// # Errors
/// [`StoreError`].
pub async fn list_after(
    executor: impl PgExecutor<'_>,
    node: i16,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredOpening>, StoreError> {
    let rows = sqlx::query!(
        "/* vault openings::list_after */
         SELECT node, sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id,
             leaf_hash
         FROM openings WHERE node = $1 AND sequence > $2 ORDER BY sequence FETCH FIRST $3 ROWS WITH TIES",
        node,
        after,
        limit
    )
    .fetch_all(executor)
    .await?;
    let stored = rows.into_iter().map(|row| StoredOpening {
        leaf_hash: row.leaf_hash,
        row: OpeningRow {
            node: row.node,
            sequence: row.sequence,
            at: row.at,
            actor: row.actor,
            request_id: row.request_id,
            merchant_id: row.merchant_id,
            record_id: row.record_id,
            class: row.class,
            records: row.records,
            fields: row.fields,
            purpose: row.purpose,
            attempt_id: row.attempt_id,
        },
    });
    Ok(stored.collect())
}

/// Makes the partitions of a UTC day and of so many after it. Gives how many rows stand in the default partition, since
/// their day had none.
///
/// # Errors
/// [`StoreError`]; rows then go into the default partition.
pub async fn open_days(pool: &PgPool, first: Date, ahead: i32) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault openings::open_days */ SELECT open_ledger_days($1, $2) AS \"in_default!\"",
        first,
        ahead
    )
    .fetch_one(pool)
    .await
}

/// What an incident asks about; what isn't given holds for every row.
#[derive(Debug, Clone)]
pub struct ScopeFilter {
    /// The certificate that asked.
    pub actor: Option<String>,
    /// From then on.
    pub since: OffsetDateTime,
    /// Before then.
    pub until: OffsetDateTime,
    /// Whose records.
    pub merchant: Option<Uuid>,
    /// One of these records.
    pub records: Option<Vec<Uuid>>,
    /// One of these requests.
    pub requests: Option<Vec<Uuid>>,
}

/// Openings that are alike.
#[derive(Debug, Clone)]
pub struct GroupRow {
    /// Whose records.
    pub merchant_id: Uuid,
    /// The class of the data.
    pub class: String,
    /// The fields.
    pub fields: Vec<String>,
    /// Why.
    pub purpose: String,
    /// Whether they name batches.
    pub batches: bool,
    /// How many.
    pub openings: i64,
    /// How many different records; the sum, of batches.
    pub records: i64,
}

/// All openings of a scope, by what they opened.
///
/// The server plans it with the values in sight, each time: the one plan for all values would have to read every row, and it
/// takes that only where it is no dearer.
///
/// # Errors
/// [`StoreError`].
pub async fn scope_groups(pool: &PgPool, filter: &ScopeFilter) -> Result<Vec<GroupRow>, StoreError> {
    sqlx::query_as!(
        GroupRow,
        "/* vault openings::scope_groups */
         SELECT merchant_id, class, fields, purpose, records > 1 AS \"batches!\", count(*) AS \"openings!\",
             CASE WHEN records > 1 THEN sum(records) ELSE count(DISTINCT record_id) END AS \"records!\"
         FROM openings
         WHERE at >= $1 AND at < $2
           AND day BETWEEN ($1::timestamptz AT TIME ZONE 'UTC')::date AND ($2::timestamptz AT TIME ZONE 'UTC')::date
           AND ($3::text IS NULL OR actor = $3) AND ($4::uuid IS NULL OR merchant_id = $4)
           AND ($5::uuid[] IS NULL OR record_id = ANY($5)) AND ($6::uuid[] IS NULL OR request_id = ANY($6))
         GROUP BY merchant_id, class, fields, purpose, records > 1
         ORDER BY merchant_id, class, fields, purpose, records > 1",
        filter.since,
        filter.until,
        filter.actor.as_deref(),
        filter.merchant,
        filter.records.as_deref(),
        filter.requests.as_deref()
    )
    .fetch_all(pool)
    .await
}

/// A page of a scope's openings, by node and sequence, after this place. Planned as [`scope_groups`] is; the order is kept out
/// of it, or the server would walk the whole ledger in that order.
///
/// # Errors
/// [`StoreError`].
pub async fn scope_list(
    pool: &PgPool,
    filter: &ScopeFilter,
    after: (i16, i64),
    limit: i64,
) -> Result<Vec<OpeningRow>, StoreError> {
    sqlx::query_as!(
        OpeningRow,
        "/* vault openings::scope_list */
         WITH scoped AS MATERIALIZED (
             SELECT node, sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id
             FROM openings
             WHERE at >= $1 AND at < $2
               AND day BETWEEN ($1::timestamptz AT TIME ZONE 'UTC')::date AND ($2::timestamptz AT TIME ZONE 'UTC')::date
               AND ($3::text IS NULL OR actor = $3) AND ($4::uuid IS NULL OR merchant_id = $4)
               AND ($5::uuid[] IS NULL OR record_id = ANY($5)) AND ($6::uuid[] IS NULL OR request_id = ANY($6)))
         SELECT node, sequence, at, actor, request_id, merchant_id, record_id, class, records, fields, purpose, attempt_id
         FROM scoped WHERE (node, sequence) > ($7, $8)
         ORDER BY node, sequence LIMIT $9",
        filter.since,
        filter.until,
        filter.actor.as_deref(),
        filter.merchant,
        filter.records.as_deref(),
        filter.requests.as_deref(),
        after.0,
        after.1,
        limit
    )
    .fetch_all(pool)
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
