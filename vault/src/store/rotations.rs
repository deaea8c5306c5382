//! Rotations of keys: what is under way, how far it is, and where it goes on.

use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A rotation.
#[derive(Debug, Clone)]
pub struct RotationRow {
    /// Its id; the request id of its openings.
    pub id: Uuid,
    /// `kek` or `dek`.
    pub kind: String,
    /// Whose DEKs; everybody's for `None`.
    pub merchant_id: Option<Uuid>,
    /// DEKs of which class; all for `None`.
    pub data_class: Option<String>,
    /// The limit, if there is one.
    pub rows_per_second: Option<i32>,
    /// `running` or `done`.
    pub state: String,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When it was done.
    pub finished_at: Option<OffsetDateTime>,
    /// Rows or keys to do, as counted at the beginning.
    pub items_total: i64,
    /// Those that are done.
    pub items_done: i64,
    /// Those that don't open.
    pub items_damaged: i64,
    /// The table that comes next; `None` before the first pass.
    pub next_table: Option<String>,
    /// The page of it that comes next.
    pub next_page: i64,
    /// Passes over all tables so far.
    pub passes: i32,
    /// Time spent working, in milliseconds.
    pub worked_ms: i64,
    /// The KEK that is replaced.
    pub old_kek_version: Option<i32>,
    /// The kind of provider that makes the next KEK.
    pub provider: Option<String>,
    /// DEKs up to this one are replaced.
    pub last_key: i64,
}

/// A rotation to begin.
pub struct NewRotation<'a> {
    /// Its id.
    pub id: Uuid,
    /// `kek` or `dek`.
    pub kind: &'a str,
    /// Whose DEKs.
    pub merchant_id: Option<Uuid>,
    /// Of which class.
    pub data_class: Option<&'a str>,
    /// The limit.
    pub rows_per_second: Option<i32>,
    /// The kind of provider that makes the next KEK.
    pub provider: Option<&'a str>,
}

/// Where a rotation is, after one more batch.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The rotation.
    pub id: Uuid,
    /// Items done since the last report.
    pub done: i64,
    /// Time worked since the last report, in milliseconds.
    pub worked_ms: i64,
    /// Where it goes on.
    pub next_table: Option<&'a str>,
    /// And on which page.
    pub next_page: i64,
}

/// Begins one, unless one is under way: false then.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(pool: &PgPool, new: &NewRotation<'_>, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault rotations::insert */
         INSERT INTO rotations (id, kind, merchant_id, data_class, rows_per_second, provider, state, created_at,
             old_kek_version, last_key)
         SELECT $1, $2, $3, $4, $5, $6, 'running', $7, (SELECT version FROM keks WHERE state = 'active'),
             (SELECT COALESCE(max(id), 0) FROM deks)
         ON CONFLICT DO NOTHING",
        new.id,
        new.kind,
        new.merchant_id,
        new.data_class,
        new.rows_per_second,
        new.provider,
        now
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The one that is under way.
///
/// # Errors
/// [`StoreError`].
pub async fn find_running(pool: &PgPool) -> Result<Option<RotationRow>, StoreError> {
    sqlx::query_as!(
        RotationRow,
        "/* vault rotations::find_running */
         SELECT id, kind, merchant_id, data_class, rows_per_second, state, created_at, finished_at, items_total, items_done,
             items_damaged, next_table, next_page, passes, worked_ms, old_kek_version, provider, last_key
         FROM rotations WHERE state = 'running'"
    )
    .fetch_optional(pool)
    .await
}

/// The latest ones, newest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool, limit: i64) -> Result<Vec<RotationRow>, StoreError> {
    sqlx::query_as!(
        RotationRow,
        "/* vault rotations::list */
         SELECT id, kind, merchant_id, data_class, rows_per_second, state, created_at, finished_at, items_total, items_done,
             items_damaged, next_table, next_page, passes, worked_ms, old_kek_version, provider, last_key
         FROM rotations ORDER BY created_at DESC LIMIT $1",
        limit
    )
    .fetch_all(pool)
    .await
}

/// Changes the limit of one that is under way; false when it is not.
///
/// # Errors
/// [`StoreError`].
pub async fn throttle(pool: &PgPool, id: Uuid, rows_per_second: Option<i32>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault rotations::throttle */ UPDATE rotations SET rows_per_second = $2 WHERE id = $1 AND state = 'running'",
        id,
        rows_per_second
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The limit as it is now.
///
/// # Errors
/// [`StoreError`].
pub async fn find_limit(pool: &PgPool, id: Uuid) -> Result<Option<i32>, StoreError> {
    sqlx::query_scalar!("/* vault rotations::find_limit */ SELECT rows_per_second FROM rotations WHERE id = $1", id)
        .fetch_one(pool)
        .await
}

/// How much there is to do.
///
/// # Errors
/// [`StoreError`].
pub async fn set_total(executor: impl PgExecutor<'_>, id: Uuid, total: i64) -> Result<(), StoreError> {
    sqlx::query!("/* vault rotations::set_total */ UPDATE rotations SET items_total = $2 WHERE id = $1", id, total)
        .execute(executor)
        .await
        .map(drop)
}

/// Notes how far it is. Gives the limit as it is now.
///
/// # Errors
/// [`StoreError`].
pub async fn advance(executor: impl PgExecutor<'_>, progress: Progress<'_>) -> Result<Option<i32>, StoreError> {
    sqlx::query_scalar!(
        "/* vault rotations::advance */
         UPDATE rotations SET items_done = items_done + $2, worked_ms = worked_ms + $3, next_table = $4, next_page = $5
         WHERE id = $1 RETURNING rows_per_second",
        progress.id,
        progress.done,
        progress.worked_ms,
        progress.next_table,
        progress.next_page
    )
    .fetch_one(executor)
    .await
}

/// One more pass over everything is done, and found so many that don't open.
///
/// # Errors
/// [`StoreError`].
pub async fn finish_pass(executor: impl PgExecutor<'_>, id: Uuid, damaged: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault rotations::finish_pass */
         UPDATE rotations SET passes = passes + 1, items_damaged = $2, next_table = NULL, next_page = 0 WHERE id = $1",
        id,
        damaged
    )
    .execute(executor)
    .await
    .map(drop)
}

/// It is done.
///
/// # Errors
/// [`StoreError`].
pub async fn finish(pool: &PgPool, id: Uuid, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault rotations::finish */ UPDATE rotations SET state = 'done', finished_at = $2 WHERE id = $1",
        id,
        now
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Takes the one lock of all rotations for this connection, as long as that lives; false when another node has it.
///
/// # Errors
/// [`StoreError`].
pub async fn lock(connection: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault rotations::lock */ SELECT pg_try_advisory_lock(hashtext('kura rotation')) AS \"locked!\""
    )
    .fetch_one(connection)
    .await
}

/// How this connection, which does nothing but rotate, treats others: it gives way within 20 ms where a row is locked, long
/// before the database looks for deadlocks, and doesn't wait for the disk, since what a crash takes from it is done again.
/// (The destruction of a key, on another connection, is on the disk after all that went before.)
///
/// # Errors
/// [`StoreError`].
pub async fn give_way(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault rotations::give_way */
         SELECT set_config('lock_timeout', '20ms', false) AS locks, set_config('synchronous_commit', 'off', false) AS commits"
    )
    .fetch_one(connection)
    .await
    .map(drop)
}
