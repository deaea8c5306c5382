//! What peers may not do any more, until a person releases it.

use kura_platform::database::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::alerts::{self, AlertKind, Raised};

/// One freeze.
#[derive(Debug, Clone)]
pub struct FreezeRow {
    /// Names it.
    pub id: i64,
    /// Who.
    pub peer: String,
    /// What.
    pub purpose: String,
    /// Why.
    pub reason: String,
    /// The node that found out.
    pub node: i16,
    /// Since when.
    pub frozen_at: OffsetDateTime,
    /// Until when.
    pub released_at: Option<OffsetDateTime>,
    /// By whom.
    pub released_by: Option<String>,
    /// Why.
    pub release_reason: Option<String>,
}

/// A freeze to put in force, and what led to it.
#[derive(Debug, Clone)]
pub struct NewFreeze {
    /// Who.
    pub peer: String,
    /// What.
    pub purpose: String,
    /// Why.
    pub reason: AlertKind,
    /// The node that found out.
    pub node: i16,
    /// When.
    pub at: OffsetDateTime,
    /// Whose record.
    pub merchant: Option<Uuid>,
    /// The record.
    pub record: Option<Uuid>,
    /// The request.
    pub request: Option<Uuid>,
}

/// Puts a freeze in force unless it is, and raises the alert: of a canary each time, of a budget once for each freeze.
///
/// # Errors
/// [`StoreError`]; neither is written then.
pub async fn insert(pool: &PgPool, freeze: &NewFreeze) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let fresh = sqlx::query!(
        "/* vault freezes::insert */
         INSERT INTO freezes (peer, purpose, reason, node, frozen_at, merchant_id, record_id, request_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (peer, purpose) WHERE released_at IS NULL DO NOTHING",
        freeze.peer,
        freeze.purpose,
        freeze.reason.as_str(),
        freeze.node,
        freeze.at,
        freeze.merchant,
        freeze.record,
        freeze.request
    )
    .execute(&mut *transaction)
    .await?;
    if fresh.rows_affected() == 1 || matches!(freeze.reason, AlertKind::CanaryUsed) {
        let raised = Raised {
            kind: freeze.reason,
            merchant: freeze.merchant,
            record: freeze.record,
            request: freeze.request,
            peer: Some(&freeze.peer),
            purpose: Some(&freeze.purpose),
        };
        alerts::raise(&mut transaction, freeze.at, raised).await?;
    }
    transaction.commit().await
}

/// Those that are in force: peer and purpose.
///
/// # Errors
/// [`StoreError`].
pub async fn list_in_force(pool: &PgPool) -> Result<Vec<(String, String)>, StoreError> {
    let rows =
        sqlx::query!("/* vault freezes::list_in_force */ SELECT peer, purpose FROM freezes WHERE released_at IS NULL")
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|row| (row.peer, row.purpose)).collect())
}

/// All, newest first; or those in force alone.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool, all: bool) -> Result<Vec<FreezeRow>, StoreError> {
    sqlx::query_as!(
        FreezeRow,
        "/* vault freezes::list */
         SELECT id, peer, purpose, reason, node, frozen_at, released_at, released_by, release_reason
         FROM freezes WHERE $1 OR released_at IS NULL ORDER BY id DESC LIMIT 1000",
        all
    )
    .fetch_all(pool)
    .await
}

/// A freeze.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: i64) -> Result<Option<FreezeRow>, StoreError> {
    sqlx::query_as!(
        FreezeRow,
        "/* vault freezes::find */
         SELECT id, peer, purpose, reason, node, frozen_at, released_at, released_by, release_reason
         FROM freezes WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await
}

/// Releases one that is in force, and forgives what its budget has counted. False when it was released before.
///
/// # Errors
/// [`StoreError`]; it is in force then.
pub async fn release(pool: &PgPool, id: i64, at: OffsetDateTime, by: &str, reason: &str) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault freezes::release */
         WITH released AS (
             UPDATE freezes SET released_at = $2, released_by = $3, release_reason = $4
             WHERE id = $1 AND released_at IS NULL RETURNING id, peer, purpose),
         forgiven AS (
             UPDATE budget_windows SET leased = 0, granted = 0 FROM released
             WHERE budget_windows.peer = released.peer AND budget_windows.purpose = released.purpose)
         SELECT id FROM released",
        id,
        at,
        by,
        reason
    )
    .fetch_optional(pool)
    .await?;
    Ok(done.is_some())
}
