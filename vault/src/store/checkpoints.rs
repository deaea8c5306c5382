//! What this vault has signed of its ledger. The service's role can add and read; it can't change or delete one.

use kura_platform::database::PgPool;
use time::OffsetDateTime;

use super::StoreError;

/// A signed checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointRow {
    /// Leaves.
    pub size: i64,
    /// The signed note.
    pub note: String,
    /// When.
    pub at: OffsetDateTime,
}

/// Adds one.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(pool: &PgPool, node: i16, root_hash: &[u8], row: &CheckpointRow) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault checkpoints::insert */
         INSERT INTO checkpoints (node, size, root_hash, note, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        node,
        row.size,
        root_hash,
        row.note,
        row.at
    )
    .execute(pool)
    .await
    .map(drop)
}

/// A node's latest one.
///
/// # Errors
/// [`StoreError`].
pub async fn find_latest(pool: &PgPool, node: i16) -> Result<Option<CheckpointRow>, StoreError> {
    sqlx::query_as!(
        CheckpointRow,
        "/* vault checkpoints::find_latest */
         SELECT size, note, at FROM checkpoints WHERE node = $1 ORDER BY size DESC LIMIT 1",
        node
    )
    .fetch_optional(pool)
    .await
}

/// A node's checkpoints after a size, in order.
///
/// # Errors
/// [`StoreError`].
pub async fn list_after(pool: &PgPool, node: i16, after: i64, limit: i64) -> Result<Vec<CheckpointRow>, StoreError> {
    sqlx::query_as!(
        CheckpointRow,
        "/* vault checkpoints::list_after */
         SELECT size, note, at FROM checkpoints WHERE node = $1 AND size > $2 ORDER BY size LIMIT $3",
        node,
        after,
        limit
    )
    .fetch_all(pool)
    .await
}
