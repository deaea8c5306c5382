//! The history of cards that were replaced under their tokens.

use kura_platform::database::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// One replacement.
pub struct AccountUpdateRow<'a> {
    /// When.
    pub at: OffsetDateTime,
    /// The card.
    pub record_id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// The file that it was in.
    pub source: &'a str,
    /// The request that brought it.
    pub request_id: Uuid,
    /// The certificate that asked.
    pub actor: &'a str,
    /// SHA-256 of the vault-wide fingerprint before.
    pub old_fingerprint_hash: &'a [u8],
    /// And after; the same when only the expiry changed.
    pub new_fingerprint_hash: &'a [u8],
}

/// Appends a row.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(connection: &mut PgConnection, row: &AccountUpdateRow<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault account_updates::insert */
         INSERT INTO account_updates
             (at, record_id, merchant_id, source, request_id, actor, old_fingerprint_hash, new_fingerprint_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        row.at,
        row.record_id,
        row.merchant_id,
        row.source,
        row.request_id,
        row.actor,
        row.old_fingerprint_hash,
        row.new_fingerprint_hash
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Blanks what the history knows of erased cards.
///
/// # Errors
/// [`StoreError`].
pub async fn blank(connection: &mut PgConnection, records: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault account_updates::blank */
         UPDATE account_updates SET old_fingerprint_hash = NULL, new_fingerprint_hash = NULL WHERE record_id = ANY($1)",
        records
    )
    .execute(connection)
    .await
    .map(drop)
}
