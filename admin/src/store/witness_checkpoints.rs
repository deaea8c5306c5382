//! The vault's checkpoints as this zone saw them. Rows are added and read, never changed: this role has no grant for it.

use sqlx::{query, query_as};
use time::OffsetDateTime;

use super::{Pool, Result};

/// A checkpoint that was seen.
#[derive(Debug, Clone)]
pub struct WitnessedRow {
    /// The log.
    pub origin: String,
    /// Leaves.
    pub size: i64,
    /// The root over them.
    pub root_hash: Vec<u8>,
    /// The signed note.
    pub note: String,
    /// When this zone first saw it.
    pub seen_at: OffsetDateTime,
}

/// Adds one.
///
/// # Errors
/// [`super::StoreError`].
pub async fn insert(pool: &Pool, row: &WitnessedRow) -> Result<()> {
    query!(
        "/* admin witness_checkpoints::insert */
         INSERT INTO witness_checkpoints (origin, size, root_hash, note, seen_at) VALUES ($1, $2, $3, $4, $5)",
        row.origin,
        row.size,
        row.root_hash,
        row.note,
        row.seen_at
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The latest one of a log.
///
/// # Errors
/// [`super::StoreError`].
pub async fn find_latest(pool: &Pool, origin: &str) -> Result<Option<WitnessedRow>> {
    let found = query_as!(
        WitnessedRow,
        "/* admin witness_checkpoints::find_latest */
         SELECT origin, size, root_hash, note, seen_at FROM witness_checkpoints WHERE origin = $1 ORDER BY size DESC LIMIT 1",
        origin
    )
    .fetch_optional(pool)
    .await?;
    Ok(found)
}

/// The latest one of each log.
///
/// # Errors
/// [`super::StoreError`].
pub async fn list_latest(pool: &Pool) -> Result<Vec<WitnessedRow>> {
    // From one log to the next through the key: there are few logs, and many checkpoints of each.
    let found = query_as!(
        WitnessedRow,
        "/* admin witness_checkpoints::list_latest */
         WITH RECURSIVE logs AS (
             SELECT min(origin) AS origin FROM witness_checkpoints
             UNION ALL
             SELECT (SELECT min(next.origin) FROM witness_checkpoints AS next WHERE next.origin > logs.origin)
               FROM logs WHERE logs.origin IS NOT NULL)
         SELECT latest.origin AS \"origin!\", latest.size AS \"size!\", latest.root_hash AS \"root_hash!\",
             latest.note AS \"note!\", latest.seen_at AS \"seen_at!\"
           FROM logs CROSS JOIN LATERAL (
             SELECT origin, size, root_hash, note, seen_at FROM witness_checkpoints AS kept
              WHERE kept.origin = logs.origin ORDER BY size DESC LIMIT 1) AS latest
          ORDER BY latest.origin"
    )
    .fetch_all(pool)
    .await?;
    Ok(found)
}

/// A log's notes after a size, in order.
///
/// # Errors
/// [`super::StoreError`].
pub async fn list_after(pool: &Pool, origin: &str, after: i64, limit: i64) -> Result<Vec<(i64, String)>> {
    let rows = query!(
        "/* admin witness_checkpoints::list_after */
         SELECT size, note FROM witness_checkpoints WHERE origin = $1 AND size > $2 ORDER BY size LIMIT $3",
        origin,
        after,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.size, row.note)).collect())
}
