//! The sweeper's place in each table.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::held::Table;

/// Where the sweeper is in a table.
pub struct SweepRow {
    /// The table.
    pub table_name: String,
    /// The last record that was looked at in this pass.
    pub next_id: Uuid,
    /// When this pass began; none between passes.
    pub pass_started_at: Option<OffsetDateTime>,
    /// When the last whole pass began.
    pub last_started_at: Option<OffsetDateTime>,
    /// And ended.
    pub last_finished_at: Option<OffsetDateTime>,
    /// Whole passes.
    pub passes: i64,
    /// Records erased.
    pub erased: i64,
}

/// Takes the sweeper's place for this transaction; none when another node has it.
///
/// # Errors
/// [`StoreError`].
pub async fn lock(connection: &mut PgConnection, table: Table) -> Result<Option<SweepRow>, StoreError> {
    // The number is of no meaning, only the same everywhere. FOR UPDATE would need the right to change every column.
    let alone =
        sqlx::query_scalar!("/* vault sweeps::lock */ SELECT pg_try_advisory_xact_lock(7253911302) AS \"alone!\"")
            .fetch_one(&mut *connection)
            .await?;
    if !alone {
        return Ok(None);
    }
    sqlx::query_as!(
        SweepRow,
        "/* vault sweeps::lock row */
         SELECT table_name, next_id, pass_started_at, last_started_at, last_finished_at, passes, erased
         FROM sweeps WHERE table_name = $1",
        table.as_str()
    )
    .fetch_optional(connection)
    .await
}

/// Keeps where the sweeper goes on in this pass.
///
/// # Errors
/// [`StoreError`].
pub async fn advance(
    connection: &mut PgConnection,
    table: Table,
    next_id: Uuid,
    pass_started_at: OffsetDateTime,
    erased: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault sweeps::advance */
         UPDATE sweeps SET next_id = $2, pass_started_at = $3, erased = erased + $4 WHERE table_name = $1",
        table.as_str(),
        next_id,
        pass_started_at,
        erased
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Ends a pass: the next one begins at the first record.
///
/// # Errors
/// [`StoreError`].
pub async fn finish(connection: &mut PgConnection, table: Table, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault sweeps::finish */
         UPDATE sweeps SET next_id = '00000000-0000-0000-0000-000000000000', last_started_at = pass_started_at,
             pass_started_at = NULL, last_finished_at = $2, passes = passes + 1
         WHERE table_name = $1",
        table.as_str(),
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// All tables' rows.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool) -> Result<Vec<SweepRow>, StoreError> {
    sqlx::query_as!(
        SweepRow,
        "/* vault sweeps::list */
         SELECT table_name, next_id, pass_started_at, last_started_at, last_finished_at, passes, erased
         FROM sweeps ORDER BY table_name"
    )
    .fetch_all(pool)
    .await
}
