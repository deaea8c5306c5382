//! What the witness found wrong. Rows are added and read, never changed: this role has no grant for it.

use sqlx::query;
use time::OffsetDateTime;

use super::{Pool, Result};
use crate::domain::witness::Wrong;

/// A finding to be.
#[derive(Debug, Clone)]
pub struct FindingRow {
    /// When.
    pub at: OffsetDateTime,
    /// The vault node's control plane.
    pub peer: String,
    /// The log that it served.
    pub origin: Option<String>,
    /// What is wrong.
    pub kind: Wrong,
    /// The size that it served.
    pub size: Option<i64>,
    /// The note that it served.
    pub note: Option<String>,
    /// The size that it should have gone on from.
    pub kept: Option<i64>,
}

/// Adds one.
///
/// # Errors
/// [`super::StoreError`].
pub async fn insert(pool: &Pool, row: &FindingRow) -> Result<()> {
    query!(
        "/* admin witness_findings::insert */
         INSERT INTO witness_findings (at, peer, origin, kind, size, note, kept) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        row.at,
        row.peer,
        row.origin,
        row.kind.as_str(),
        row.size,
        row.note,
        row.kept
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// How many there are.
///
/// # Errors
/// [`super::StoreError`].
pub async fn count(pool: &Pool) -> Result<i64> {
    let row = query!("/* admin witness_findings::count */ SELECT count(*) AS \"count!\" FROM witness_findings");
    Ok(row.fetch_one(pool).await?.count)
}
