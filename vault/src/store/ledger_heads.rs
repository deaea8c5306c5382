//! How far each node's ledger goes, and which process may write it.

use kura_platform::database::PgConnection;
use sqlx::PgExecutor;

use super::StoreError;

/// Of the advisory locks: one for each node number.
const LOCK_CLASS: i32 = 7300;

/// Makes a node's head, at 0, when it has none.
///
/// # Errors
/// [`StoreError`].
pub async fn ensure(executor: impl PgExecutor<'_>, node: i16) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault ledger_heads::ensure */ INSERT INTO ledger_heads (node, size) VALUES ($1, 0) ON CONFLICT DO NOTHING",
        node
    )
    .execute(executor)
    .await
    .map(drop)
}

/// A node's size, once no transaction is under way that could move it; until this one ends none can.
///
/// # Errors
/// [`StoreError`].
pub async fn lock(connection: &mut PgConnection, node: i16) -> Result<i64, StoreError> {
    sqlx::query_scalar!("/* vault ledger_heads::lock */ SELECT size FROM ledger_heads WHERE node = $1 FOR UPDATE", node)
        .fetch_one(connection)
        .await
}

/// Takes a node's number for as long as this connection lives; false when another one has it.
///
/// # Errors
/// [`StoreError`].
pub async fn claim(connection: &mut PgConnection, node: i16) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault ledger_heads::claim */ SELECT pg_try_advisory_lock($1, $2) AS \"claimed!\"",
        LOCK_CLASS,
        i32::from(node)
    )
    .fetch_one(connection)
    .await
}
