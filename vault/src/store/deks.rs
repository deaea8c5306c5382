//! Wrapped data encryption keys.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// At most so many seals under one key.
pub const MAX_SEALS: i64 = 1 << 31;

/// A wrapped key.
pub struct DekRow {
    /// Stands in every value sealed under it.
    pub id: i64,
    /// Whose.
    pub merchant_id: Uuid,
    /// Of which class.
    pub data_class: String,
    /// Which of this merchant's and class's keys.
    pub epoch: i32,
    /// The KEK that wrapped it.
    pub kek_version: i32,
    /// Nonce, ciphertext, tag.
    pub dek_wrapped: Vec<u8>,
}

/// The newest key of a merchant and class.
///
/// # Errors
/// [`StoreError`].
pub async fn find_newest(pool: &PgPool, merchant: Uuid, class: &str) -> Result<Option<DekRow>, StoreError> {
    sqlx::query_as!(
        DekRow,
        "/* vault deks::find_newest */
         SELECT id, merchant_id, data_class, epoch, kek_version, dek_wrapped
         FROM deks WHERE merchant_id = $1 AND data_class = $2 ORDER BY epoch DESC LIMIT 1",
        merchant,
        class
    )
    .fetch_optional(pool)
    .await
}

/// The key of an id.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<DekRow>, StoreError> {
    sqlx::query_as!(
        DekRow,
        "/* vault deks::find */
         SELECT id, merchant_id, data_class, epoch, kek_version, dek_wrapped FROM deks WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await
}

/// Inserts a key unless another process was first; the caller then finds that one.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    merchant: Uuid,
    class: &str,
    epoch: i32,
    kek_version: i32,
    dek_wrapped: &[u8],
    created_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault deks::insert */
         INSERT INTO deks (merchant_id, data_class, epoch, kek_version, dek_wrapped, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, data_class, epoch) DO NOTHING",
        merchant,
        class,
        epoch,
        kek_version,
        dek_wrapped,
        created_at
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Reserves a block of seals. False when the key has no such block left.
///
/// # Errors
/// [`StoreError`].
pub async fn reserve_seals(pool: &PgPool, id: i64, block: i64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault deks::reserve_seals */
         UPDATE deks SET seals_reserved = seals_reserved + $2 WHERE id = $1 AND seals_reserved + $2 <= $3",
        id,
        block,
        MAX_SEALS
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}
