//! Attempts at signing in, counted to slow guessing down.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::{PgExecutor, query};
use time::OffsetDateTime;

use super::Result;
use crate::domain::throttle::Seen;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Password or passkey was wrong.
    Failed,
    /// It was not looked at, and doesn't count.
    Refused,
    /// Both were right.
    Passed,
}

impl AttemptOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Passed => "passed",
        }
    }
}

/// Writes an attempt down before anything of it is looked at; answers its id.
///
/// # Errors
/// [`super::StoreError`].
pub async fn insert(
    db: impl PgExecutor<'_>,
    address: IpAddr,
    account_hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<i64> {
    let row = query!(
        "/* admin sign_in_attempts::insert */
         INSERT INTO sign_in_attempts (at, address, account_hash, outcome)
         VALUES ($1, $2::text::inet, $3, 'open') RETURNING id",
        now,
        address.to_string() as String,
        account_hash.as_slice()
    )
    .fetch_one(db)
    .await?;
    Ok(row.id)
}

/// Open and failed attempts at an account since `since` and since it last signed in, this one left out.
///
/// # Errors
/// [`super::StoreError`].
pub async fn count_for_account(
    db: impl PgExecutor<'_>,
    account_hash: &[u8; 32],
    this: i64,
    since: OffsetDateTime,
) -> Result<Seen> {
    let row = query!(
        "/* admin sign_in_attempts::count_for_account */
         SELECT count(*) AS \"count!\", max(at) AS last_at FROM sign_in_attempts
         WHERE account_hash = $1 AND at > $3 AND id <> $2 AND outcome IN ('open', 'failed')
           AND id > coalesce((SELECT max(id) FROM sign_in_attempts
                              WHERE account_hash = $1 AND at > $3 AND outcome = 'passed'), 0)",
        account_hash.as_slice(),
        this,
        since
    )
    .fetch_one(db)
    .await?;
    Ok(Seen { count: row.count, last_at: row.last_at })
}

/// Open and failed attempts from an address since `since`, this one left out; and whether one was refused in the last minute.
///
/// # Errors
/// [`super::StoreError`].
pub async fn count_for_address(
    db: impl PgExecutor<'_>,
    address: IpAddr,
    this: i64,
    since: OffsetDateTime,
    a_minute_ago: OffsetDateTime,
) -> Result<(Seen, bool)> {
    let row = query!(
        "/* admin sign_in_attempts::count_for_address */
         SELECT count(*) FILTER (WHERE outcome IN ('open', 'failed')) AS \"count!\",
                max(at) FILTER (WHERE outcome IN ('open', 'failed')) AS last_at,
                count(*) FILTER (WHERE outcome = 'refused' AND at > $4) AS \"refused!\"
         FROM sign_in_attempts WHERE address = $1::text::inet AND at > $3 AND id <> $2",
        address.to_string() as String,
        this,
        since,
        a_minute_ago
    )
    .fetch_one(db)
    .await?;
    Ok((Seen { count: row.count, last_at: row.last_at }, row.refused > 0))
}

/// Says how an attempt ended.
///
/// # Errors
/// [`super::StoreError`].
pub async fn set_outcome(db: impl PgExecutor<'_>, id: i64, outcome: AttemptOutcome) -> Result<()> {
    query!(
        "/* admin sign_in_attempts::set_outcome */ UPDATE sign_in_attempts SET outcome = $2 WHERE id = $1",
        id,
        outcome.as_str()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes those that no decision looks at any more.
///
/// # Errors
/// [`super::StoreError`].
pub async fn delete_older_than(db: impl PgExecutor<'_>, now: OffsetDateTime, age: Duration) -> Result<u64> {
    let done = query!(
        "/* admin sign_in_attempts::delete_older_than */ DELETE FROM sign_in_attempts WHERE at <= $1",
        now - age
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
