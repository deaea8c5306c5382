//! Wrapped data encryption keys.

use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;
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
    /// As the KEK's `wrap` made it; empty once destroyed.
    pub dek_wrapped: Vec<u8>,
}

/// The key that seals for a merchant and class.
///
/// # Errors
/// [`StoreError`].
pub async fn find_active(pool: &PgPool, merchant: Uuid, class: &str) -> Result<Option<DekRow>, StoreError> {
    sqlx::query_as!(
        DekRow,
        "/* vault deks::find_active */
         SELECT id, merchant_id, data_class, epoch, kek_version, dek_wrapped
         FROM deks WHERE merchant_id = $1 AND data_class = $2 AND state = 'active'",
        merchant,
        class
    )
    .fetch_optional(pool)
    .await
}

/// The last epoch that a merchant and class had a key for; 0 for none.
///
/// # Errors
/// [`StoreError`].
pub async fn last_epoch(pool: &PgPool, merchant: Uuid, class: &str) -> Result<i32, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::last_epoch */
         SELECT COALESCE(max(epoch), 0) AS \"last!\" FROM deks WHERE merchant_id = $1 AND data_class = $2",
        merchant,
        class
    )
    .fetch_one(pool)
    .await
}

/// The key of an id, unless it was destroyed.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<DekRow>, StoreError> {
    sqlx::query_as!(
        DekRow,
        "/* vault deks::find */
         SELECT id, merchant_id, data_class, epoch, kek_version, dek_wrapped FROM deks
         WHERE id = $1 AND state <> 'destroyed'",
        id
    )
    .fetch_optional(pool)
    .await
}

/// A new key.
pub struct NewDek<'a> {
    /// Whose.
    pub merchant_id: Uuid,
    /// Of which class.
    pub class: &'a str,
    /// One after the last.
    pub epoch: i32,
    /// The KEK that wrapped it: nothing is inserted when it is no longer the active one.
    pub kek_version: i32,
    /// As it made it.
    pub dek_wrapped: &'a [u8],
}

/// Inserts the active key unless another process was first, or its KEK was retired meanwhile: false then. The KEK's row is
/// locked against its retirement, so that no key can come in behind the back of a rotation.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(executor: impl PgExecutor<'_>, new: &NewDek<'_>, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault deks::insert */
         INSERT INTO deks (merchant_id, data_class, epoch, kek_version, dek_wrapped, created_at)
         SELECT $1, $2, $3, version, $5, $6 FROM keks WHERE version = $4 AND state = 'active' FOR SHARE
         ON CONFLICT DO NOTHING",
        new.merchant_id,
        new.class,
        new.epoch,
        new.kek_version,
        new.dek_wrapped,
        now
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// From now on this key opens and no longer seals.
///
/// # Errors
/// [`StoreError`].
pub async fn retire(executor: impl PgExecutor<'_>, id: i64, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault deks::retire */
         UPDATE deks SET state = 'retired', retired_at = $2, retired_in = pg_current_xact_id()
         WHERE id = $1 AND state = 'active'",
        id,
        now
    )
    .execute(executor)
    .await
    .map(drop)
}

/// Reserves a block of seals. False when the key has no such block left, or no longer seals.
///
/// # Errors
/// [`StoreError`].
pub async fn reserve_seals(pool: &PgPool, id: i64, block: i64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault deks::reserve_seals */
         UPDATE deks SET seals_reserved = seals_reserved + $2
         WHERE id = $1 AND seals_reserved + $2 <= $3 AND state = 'active'",
        id,
        block,
        MAX_SEALS
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The active keys of a merchant and class; of all of them for `None`.
///
/// # Errors
/// [`StoreError`].
pub async fn list_active(
    pool: &PgPool,
    merchant: Option<Uuid>,
    class: Option<&str>,
) -> Result<Vec<DekRow>, StoreError> {
    sqlx::query_as!(
        DekRow,
        "/* vault deks::list_active */
         SELECT id, merchant_id, data_class, epoch, kek_version, dek_wrapped FROM deks
         WHERE state = 'active' AND ($1::uuid IS NULL OR merchant_id = $1) AND ($2::text IS NULL OR data_class = $2)
         ORDER BY id",
        merchant,
        class
    )
    .fetch_all(pool)
    .await
}

/// Keys that another KEK than this version wraps, from `after` on.
///
/// # Errors
/// [`StoreError`].
pub async fn list_under_others(pool: &PgPool, version: i32, after: i64, limit: i64) -> Result<Vec<DekRow>, StoreError> {
    sqlx::query_as!(
        DekRow,
        "/* vault deks::list_under_others */
         SELECT id, merchant_id, data_class, epoch, kek_version, dek_wrapped FROM deks
         WHERE kek_version <> $1 AND state <> 'destroyed' AND id > $2 ORDER BY id LIMIT $3",
        version,
        after,
        limit
    )
    .fetch_all(pool)
    .await
}

/// How many keys another KEK than this version wraps.
///
/// # Errors
/// [`StoreError`].
pub async fn count_under_others(pool: &PgPool, version: i32) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::count_under_others */
         SELECT count(*) AS \"count!\" FROM deks WHERE kek_version <> $1 AND state <> 'destroyed'",
        version
    )
    .fetch_one(pool)
    .await
}

/// Puts a key under another KEK, if it is still under the old one.
///
/// # Errors
/// [`StoreError`].
pub async fn rewrap(
    pool: &PgPool,
    id: i64,
    old_version: i32,
    version: i32,
    dek_wrapped: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault deks::rewrap */
         UPDATE deks SET kek_version = $3, dek_wrapped = $4
         WHERE id = $1 AND kek_version = $2 AND state <> 'destroyed'",
        id,
        old_version,
        version,
        dek_wrapped
    )
    .execute(pool)
    .await
    .map(drop)
}

/// The retired keys of a merchant and class; of all of them for `None`.
///
/// # Errors
/// [`StoreError`].
pub async fn list_retired(pool: &PgPool, merchant: Option<Uuid>, class: Option<&str>) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::list_retired */
         SELECT id FROM deks
         WHERE state = 'retired' AND ($1::uuid IS NULL OR merchant_id = $1) AND ($2::text IS NULL OR data_class = $2)
         ORDER BY id",
        merchant,
        class
    )
    .fetch_all(pool)
    .await
}

/// Those of these retired keys under which nobody can be writing a row any more: every transaction that began before
/// their retirement is over, and so is every statement that still sees them as active. The second is not in the first: a
/// statement has its view of the database before it writes its first row, and a transaction number only then.
///
/// # Errors
/// [`StoreError`].
pub async fn list_settled(pool: &PgPool, ids: &[i64]) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::list_settled */
         SELECT id FROM deks WHERE id = ANY($1) AND state = 'retired'
           AND retired_in < pg_snapshot_xmin(pg_current_snapshot())
           AND NOT EXISTS (
               SELECT FROM pg_stat_activity
               WHERE datname = current_database() AND age(backend_xmin) >= age(retired_in::xid))",
        ids
    )
    .fetch_all(pool)
    .await
}

/// Holds a key active until this transaction ends: who would retire it waits. False when it isn't active.
///
/// # Errors
/// [`StoreError`].
pub async fn hold_active(connection: &mut PgConnection, id: i64) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        "/* vault deks::hold_active */ SELECT id FROM deks WHERE id = $1 AND state = 'active' FOR SHARE",
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Destroys these retired keys: what was sealed under them is closed for good.
///
/// # Errors
/// [`StoreError`].
pub async fn destroy(pool: &PgPool, ids: &[i64], now: OffsetDateTime) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "/* vault deks::destroy */
         UPDATE deks SET state = 'destroyed', destroyed_at = $2, dek_wrapped = ''::bytea
         WHERE id = ANY($1) AND state = 'retired'",
        ids,
        now
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Keys that were destroyed since then: every node drops what it still holds of them.
///
/// # Errors
/// [`StoreError`].
pub async fn list_destroyed_since(pool: &PgPool, since: OffsetDateTime) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::list_destroyed_since */ SELECT id FROM deks WHERE state = 'destroyed' AND destroyed_at >= $1",
        since
    )
    .fetch_all(pool)
    .await
}

/// The merchants that have a key for cards.
///
/// # Errors
/// [`StoreError`].
pub async fn list_card_merchants(pool: &PgPool) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::list_card_merchants */
         SELECT DISTINCT merchant_id FROM deks WHERE data_class = 'card' AND state = 'active' ORDER BY merchant_id"
    )
    .fetch_all(pool)
    .await
}

/// Destroys all keys of a merchant, whatever their class and state: what was sealed under them is closed for good. Gives
/// their ids.
///
/// # Errors
/// [`StoreError`].
pub async fn destroy_of_merchant(
    connection: &mut PgConnection,
    merchant: Uuid,
    now: OffsetDateTime,
) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::destroy_of_merchant */
         UPDATE deks SET state = 'destroyed', destroyed_at = $2, dek_wrapped = ''::bytea
         WHERE merchant_id = $1 AND state <> 'destroyed' RETURNING id",
        merchant,
        now
    )
    .fetch_all(connection)
    .await
}

/// How many keys a merchant has that are not destroyed.
///
/// # Errors
/// [`StoreError`].
pub async fn count_of_merchant(connection: &mut PgConnection, merchant: Uuid) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault deks::count_of_merchant */
         SELECT count(*) AS \"count!\" FROM deks WHERE merchant_id = $1 AND state <> 'destroyed'",
        merchant
    )
    .fetch_one(connection)
    .await
}
