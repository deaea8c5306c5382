//! Bulk loads of cards, their batches, and the copying in of a batch's cards.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// An import.
#[derive(Debug, Clone)]
pub struct ImportRow {
    /// Its id.
    pub id: Uuid,
    /// Whose cards.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// Whether cards whose month is over are taken.
    pub keep_expired: bool,
    /// The KEK that wraps its secret.
    pub kek_version: i32,
    /// The secret; empty once it is finished.
    pub secret_wrapped: Vec<u8>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// Since when it takes no more batches.
    pub finished_at: Option<OffsetDateTime>,
}

/// One batch.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// HMAC of its content.
    pub content_hash: Vec<u8>,
    /// Cards that were taken.
    pub rows: i32,
    /// Rows that were refused: number and code.
    pub refused: serde_json::Value,
}

/// Begins one under the active KEK; false when that was retired meanwhile. Its row is locked against its retirement.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(pool: &PgPool, new: &ImportRow) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault imports::insert */
         INSERT INTO imports (id, merchant_id, livemode, keep_expired, kek_version, secret_wrapped, created_at)
         SELECT $1, $2, $3, $4, version, $6, $7 FROM keks WHERE version = $5 AND state = 'active' FOR SHARE",
        new.id,
        new.merchant_id,
        new.livemode,
        new.keep_expired,
        new.kek_version,
        new.secret_wrapped,
        new.created_at
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An import.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: Uuid) -> Result<Option<ImportRow>, StoreError> {
    sqlx::query_as!(
        ImportRow,
        "/* vault imports::find */
         SELECT id, merchant_id, livemode, keep_expired, kek_version, secret_wrapped, created_at, finished_at
         FROM imports WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await
}

/// Ends one, and its secret with it: false when that was done before.
///
/// # Errors
/// [`StoreError`].
pub async fn finish(pool: &PgPool, id: Uuid, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault imports::finish */
         UPDATE imports SET finished_at = $2, secret_wrapped = ''::bytea WHERE id = $1 AND finished_at IS NULL",
        id,
        now
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Open imports whose secret is not under this KEK.
///
/// # Errors
/// [`StoreError`].
pub async fn list_under_others(pool: &PgPool, version: i32) -> Result<Vec<ImportRow>, StoreError> {
    sqlx::query_as!(
        ImportRow,
        "/* vault imports::list_under_others */
         SELECT id, merchant_id, livemode, keep_expired, kek_version, secret_wrapped, created_at, finished_at
         FROM imports WHERE finished_at IS NULL AND kek_version <> $1",
        version
    )
    .fetch_all(pool)
    .await
}

/// Puts an import's secret under another KEK, if it is still under the old one.
///
/// # Errors
/// [`StoreError`].
pub async fn rewrap(
    pool: &PgPool,
    id: Uuid,
    old_version: i32,
    version: i32,
    secret_wrapped: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault imports::rewrap */
         UPDATE imports SET kek_version = $3, secret_wrapped = $4
         WHERE id = $1 AND kek_version = $2 AND finished_at IS NULL",
        id,
        old_version,
        version,
        secret_wrapped
    )
    .execute(pool)
    .await
    .map(drop)
}

/// A batch that was taken before.
///
/// # Errors
/// [`StoreError`].
pub async fn find_batch(pool: &PgPool, import: Uuid, number: i32) -> Result<Option<BatchRow>, StoreError> {
    sqlx::query_as!(
        BatchRow,
        "/* vault imports::find_batch */
         SELECT content_hash, rows, refused FROM import_batches WHERE import_id = $1 AND number = $2",
        import,
        number
    )
    .fetch_optional(pool)
    .await
}

/// Cards that an import has taken, and rows that it refused, so far.
///
/// # Errors
/// [`StoreError`].
pub async fn count_rows(pool: &PgPool, import: Uuid) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query!(
        "/* vault imports::count_rows */
         SELECT COALESCE(sum(rows), 0)::bigint AS \"taken!\", COALESCE(sum(jsonb_array_length(refused)), 0)::bigint AS \"refused!\"
         FROM import_batches WHERE import_id = $1",
        import
    )
    .fetch_one(pool)
    .await?;
    Ok((row.taken, row.refused))
}

/// Notes a batch; false when it is there already, or the import is finished. The import's row is locked against its end.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_batch(
    connection: &mut PgConnection,
    import: Uuid,
    number: i32,
    batch: &BatchRow,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault imports::insert_batch */
         INSERT INTO import_batches (import_id, number, content_hash, rows, refused, created_at)
         SELECT id, $2, $3, $4, $5, $6 FROM imports WHERE id = $1 AND finished_at IS NULL FOR SHARE
         ON CONFLICT DO NOTHING",
        import,
        number,
        batch.content_hash,
        batch.rows,
        batch.refused,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Copies cards in, in PostgreSQL's binary format; who calls this holds the lock of [`super::deks::hold_active`] on their
/// key, since COPY can't look whether it is active.
///
/// # Errors
/// [`StoreError`]; none is in then.
pub async fn copy_cards(connection: &mut PgConnection, rows: &[u8]) -> Result<u64, StoreError> {
    connection
        .copy_in(
            "/* vault imports::copy_cards */
             COPY cards (id, merchant_id, livemode, key_id, pan_sealed, holder_sealed, fingerprint_hash,
                 merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, created_at, saved_at, imported_on)
             FROM STDIN (FORMAT binary)",
            rows,
        )
        .await
}
