//! How long what may be kept.

use kura_platform::database::PgPool;
use time::OffsetDateTime;

use super::StoreError;

/// The limits in days, by rule.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool) -> Result<Vec<(String, i32)>, StoreError> {
    let rows = sqlx::query!("/* vault retention::list */ SELECT rule, days FROM retention ORDER BY rule")
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (row.rule, row.days)).collect())
}

/// Changes a limit. False when there is no such rule.
///
/// # Errors
/// [`StoreError`]; also for days out of 1 to 3650.
pub async fn update(pool: &PgPool, rule: &str, days: i32, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault retention::update */ UPDATE retention SET days = $2, changed_at = $3 WHERE rule = $1",
        rule,
        days,
        now
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}
