//! Canaries, by the keyed hash of their record: this table tells nobody which records they are.

use kura_platform::database::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// The canaries of one merchant and mode.
#[derive(Debug, Clone)]
pub struct GroupRow {
    /// Among whose cards.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// In force.
    pub active: i64,
    /// Replaced.
    pub retired: i64,
    /// When the newest was made.
    pub made_at: OffsetDateTime,
}

/// Watches a record from now on.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    record_hash: &[u8],
    merchant: Uuid,
    livemode: bool,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault canaries::insert */
         INSERT INTO canaries (record_hash, merchant_id, livemode, made_at) VALUES ($1, $2, $3, $4)",
        record_hash,
        merchant,
        livemode,
        at
    )
    .execute(pool)
    .await
    .map(drop)
}

/// How many there are, retired ones too: rows are only ever added.
///
/// # Errors
/// [`StoreError`].
pub async fn count(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!("/* vault canaries::count */ SELECT count(*) AS \"count!\" FROM canaries").fetch_one(pool).await
}

/// All hashes, those of retired ones too.
///
/// # Errors
/// [`StoreError`].
pub async fn list_hashes(pool: &PgPool) -> Result<Vec<Vec<u8>>, StoreError> {
    sqlx::query_scalar!("/* vault canaries::list_hashes */ SELECT record_hash FROM canaries").fetch_all(pool).await
}

/// How many each merchant has.
///
/// # Errors
/// [`StoreError`].
pub async fn list_groups(pool: &PgPool) -> Result<Vec<GroupRow>, StoreError> {
    sqlx::query_as!(
        GroupRow,
        "/* vault canaries::list_groups */
         SELECT merchant_id, livemode, count(*) FILTER (WHERE retired_at IS NULL) AS \"active!\",
             count(retired_at) AS \"retired!\", max(made_at) AS \"made_at!\"
         FROM canaries GROUP BY merchant_id, livemode ORDER BY merchant_id, livemode"
    )
    .fetch_all(pool)
    .await
}

/// Retires those of a merchant and mode that were made before this moment.
///
/// # Errors
/// [`StoreError`].
pub async fn retire_older(
    pool: &PgPool,
    merchant: Uuid,
    livemode: bool,
    than: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "/* vault canaries::retire_older */
         UPDATE canaries SET retired_at = $3
         WHERE merchant_id = $1 AND livemode = $2 AND retired_at IS NULL AND made_at < $3",
        merchant,
        livemode,
        than
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
