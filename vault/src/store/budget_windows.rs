//! Openings that were taken out of a ceiling, by minute and by day, for all nodes together.

use kura_platform::database::PgPool;
use time::OffsetDateTime;

use super::StoreError;

/// What is counted, and from when.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Who opens.
    pub peer: &'a str,
    /// What for.
    pub purpose: &'a str,
    /// `minute` or `day`.
    pub span: &'a str,
    /// Its beginning.
    pub starts_at: OffsetDateTime,
}

/// Takes `needed` openings out of a window's ceiling, and up to `block` at once while there is plenty: towards the end blocks
/// shrink, so that nodes don't sit on what others need. Gives how many; `None` when there are not as many left.
///
/// # Errors
/// [`StoreError`]; nothing is taken then.
pub async fn lease(
    pool: &PgPool,
    window: Window<'_>,
    ceiling: i64,
    needed: i64,
    block: i64,
) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        "/* vault budget_windows::lease */
         INSERT INTO budget_windows AS w (peer, purpose, span, starts_at, leased, granted)
         SELECT $1, $2, $3, $4, first.n, first.n
         FROM (SELECT GREATEST($6::bigint, LEAST($7::bigint, $5::bigint / 8)) AS n) AS first WHERE $6 <= $5
         ON CONFLICT (peer, purpose, span, starts_at) DO UPDATE
         SET granted = GREATEST($6, LEAST($7, ($5 - w.leased) / 8)),
             leased = w.leased + GREATEST($6, LEAST($7, ($5 - w.leased) / 8))
         WHERE w.leased + $6 <= $5
         RETURNING granted",
        window.peer,
        window.purpose,
        window.span,
        window.starts_at,
        ceiling,
        needed,
        block
    )
    .fetch_optional(pool)
    .await
}

/// Forgets windows that began before this moment.
///
/// # Errors
/// [`StoreError`].
pub async fn forget_older(pool: &PgPool, than: OffsetDateTime) -> Result<u64, StoreError> {
    let done =
        sqlx::query!("/* vault budget_windows::forget_older */ DELETE FROM budget_windows WHERE starts_at < $1", than)
            .execute(pool)
            .await?;
    Ok(done.rows_affected())
}
