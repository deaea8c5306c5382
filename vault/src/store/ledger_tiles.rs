//! Complete tiles of the ledgers' trees, added in the transaction that completes them and never changed.

use kura_ledger::tree::{Hash, Tile};
use kura_platform::database::PgConnection;
use sqlx::PgExecutor;

use super::StoreError;

/// Adds tiles.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_all(connection: &mut PgConnection, node: i16, tiles: &[Tile]) -> Result<(), StoreError> {
    let levels: Vec<i16> = tiles.iter().map(|tile| i16::from(tile.level)).collect();
    let indexes: Vec<i64> = tiles.iter().map(|tile| i64::try_from(tile.index).unwrap_or(i64::MAX)).collect();
    let hashes: Vec<Vec<u8>> =
        tiles.iter().map(|tile| tile.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()).collect();
    sqlx::query!(
        "/* vault ledger_tiles::insert_all */
         INSERT INTO ledger_tiles (node, level, index, hashes)
         SELECT $1, level, index, hashes FROM UNNEST($2::smallint[], $3::bigint[], $4::bytea[]) AS new (level, index, hashes)",
        node,
        &levels,
        &indexes,
        &hashes
    )
    .execute(connection)
    .await
    .map(drop)
}

/// How many a node has in level 0.
///
/// # Errors
/// [`StoreError`].
pub async fn count_leaves(executor: impl PgExecutor<'_>, node: i16) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault ledger_tiles::count_leaves */
         SELECT count(*) AS \"count!\" FROM ledger_tiles WHERE node = $1 AND level = 0",
        node
    )
    .fetch_one(executor)
    .await
}

/// Those of a level with an index in `from..to`, in order.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    executor: impl PgExecutor<'_>,
    node: i16,
    level: i16,
    from: i64,
    to: i64,
) -> Result<Vec<Vec<Hash>>, StoreError> {
    let rows = sqlx::query_scalar!(
        "/* vault ledger_tiles::list */
         SELECT hashes FROM ledger_tiles WHERE node = $1 AND level = $2 AND index >= $3 AND index < $4 ORDER BY index",
        node,
        level,
        from,
        to
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.iter().map(|tile| tile.chunks(32).filter_map(Hash::from_slice).collect()).collect())
}
