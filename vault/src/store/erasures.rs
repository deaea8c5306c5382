//! Proofs of erasure. The service's role can add and read them; it can't change or delete one.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A proof to insert.
pub struct ErasureRow<'a> {
    /// When.
    pub at: OffsetDateTime,
    /// `record`, `merchant` or `age`.
    pub scope: &'static str,
    /// The rule, or `keys`.
    pub rule: &'a str,
    /// Whose.
    pub merchant_id: Uuid,
    /// Records blanked.
    pub records: i64,
    /// Keys destroyed.
    pub keys: i64,
    /// By whom.
    pub actor: &'a str,
    /// For which request.
    pub request_id: Uuid,
    /// SHA-256 over the ids.
    pub ids_hash: &'a [u8],
    /// What was signed.
    pub statement: &'a str,
    /// By the vault identity.
    pub signature: &'a str,
}

/// A proof as it is on record.
pub struct ProofRow {
    /// Its place among all.
    pub id: i64,
    /// What was signed.
    pub statement: String,
    /// By the vault identity.
    pub signature: String,
}

/// What was erased of one rule and merchant.
pub struct ErasedCount {
    /// The rule.
    pub rule: String,
    /// Whose.
    pub merchant_id: Uuid,
    /// Records.
    pub records: i64,
    /// Keys.
    pub keys: i64,
    /// The last time.
    pub last_at: OffsetDateTime,
}

/// Appends a proof, in the transaction of what it proves.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(connection: &mut PgConnection, row: &ErasureRow<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault erasures::insert */
         INSERT INTO erasures
             (at, scope, rule, merchant_id, records, keys, actor, request_id, ids_hash, statement, signature)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        row.at,
        row.scope,
        row.rule,
        row.merchant_id,
        row.records,
        row.keys,
        row.actor,
        row.request_id,
        row.ids_hash,
        row.statement,
        row.signature
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Proofs after one, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool, after: i64, limit: i64) -> Result<Vec<ProofRow>, StoreError> {
    sqlx::query_as!(
        ProofRow,
        "/* vault erasures::list */ SELECT id, statement, signature FROM erasures WHERE id > $1 ORDER BY id LIMIT $2",
        after,
        limit
    )
    .fetch_all(pool)
    .await
}

/// Sums by rule and merchant.
///
/// # Errors
/// [`StoreError`].
pub async fn count(pool: &PgPool) -> Result<Vec<ErasedCount>, StoreError> {
    sqlx::query_as!(
        ErasedCount,
        "/* vault erasures::count */
         SELECT rule, merchant_id, sum(records)::bigint AS \"records!\", sum(keys)::bigint AS \"keys!\",
             max(at) AS \"last_at!\"
         FROM erasures GROUP BY rule, merchant_id ORDER BY rule, merchant_id"
    )
    .fetch_all(pool)
    .await
}

/// Merchants whose keys were destroyed by an erasure.
///
/// # Errors
/// [`StoreError`].
pub async fn list_erased_merchants(connection: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query_scalar!(
        "/* vault erasures::list_erased_merchants */
         SELECT DISTINCT merchant_id FROM erasures WHERE scope = 'merchant' AND keys > 0"
    )
    .fetch_all(connection)
    .await
}
