//! Sets of custodians. Never a share.

use kura_platform::database::PgConnection;
use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A set.
pub struct SetRow {
    /// Its id, which every share names.
    pub id: Uuid,
    /// Shares that make the root.
    pub threshold: i16,
    /// Names in the order of their shares.
    pub custodians: Vec<String>,
    /// `pending`, `active` or `retired`.
    pub state: String,
    /// Tells whether a root is this set's.
    pub check_value: Vec<u8>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A set to be.
pub struct NewSet<'a> {
    /// Its id.
    pub id: Uuid,
    /// Shares that make the root.
    pub threshold: i16,
    /// Names in the order of their shares.
    pub custodians: &'a [String],
    /// Tells whether a root is this set's.
    pub check_value: &'a [u8],
}

/// One set, whatever its state.
///
/// # Errors
/// [`StoreError`].
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Option<SetRow>, StoreError> {
    sqlx::query_as!(
        SetRow,
        "/* vault custodian_sets::find */
         SELECT id, threshold, custodians, state, check_value, created_at FROM custodian_sets WHERE id = $1",
        id
    )
    .fetch_optional(executor)
    .await
}

/// The active and the pending one: two at the most.
///
/// # Errors
/// [`StoreError`].
pub async fn list_current(executor: impl PgExecutor<'_>) -> Result<Vec<SetRow>, StoreError> {
    sqlx::query_as!(
        SetRow,
        "/* vault custodian_sets::list_current */
         SELECT id, threshold, custodians, state, check_value, created_at FROM custodian_sets
         WHERE state <> 'retired' ORDER BY state"
    )
    .fetch_all(executor)
    .await
}

/// Inserts a pending set, in the place of one that never became active.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_pending(
    connection: &mut PgConnection,
    new: &NewSet<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault custodian_sets::insert_pending older */
         UPDATE custodian_sets SET state = 'retired', retired_at = $1 WHERE state = 'pending'",
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "/* vault custodian_sets::insert_pending */
         INSERT INTO custodian_sets (id, threshold, custodians, state, check_value, created_at)
         VALUES ($1, $2, $3, 'pending', $4, $5)",
        new.id,
        new.threshold,
        new.custodians,
        new.check_value,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Puts the pending set in the place of the active one, if there is one. False when it isn't pending any more. Inside of a
/// transaction: from here on no KEK can be made under the set that was active.
///
/// # Errors
/// [`StoreError`].
pub async fn activate(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<bool, StoreError> {
    sqlx::query!(
        "/* vault custodian_sets::activate older */
         UPDATE custodian_sets SET state = 'retired', retired_at = $1 WHERE state = 'active'",
        now
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query!(
        "/* vault custodian_sets::activate */
         UPDATE custodian_sets SET state = 'active', activated_at = $2 WHERE id = $1 AND state = 'pending'",
        id,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
