//! Sealed cards.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::crypto::field::Sealed;

/// A card to insert, or one that was read.
pub struct CardRow {
    /// The record.
    pub id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// The DEK of all sealed columns.
    pub key_id: i64,
    /// The number.
    pub pan_sealed: Sealed,
    /// The cardholder's name.
    pub holder_sealed: Option<Sealed>,
    /// Vault-wide fingerprint.
    pub fingerprint_hash: Vec<u8>,
    /// The merchant's own fingerprint.
    pub merchant_fingerprint: String,
    /// Brand, in the API's word.
    pub brand: &'static str,
    /// First six.
    pub bin: String,
    /// Last four.
    pub last_four: String,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
    /// When.
    pub created_at: OffsetDateTime,
    /// Set at once for a saved method that never was a `tok_`.
    pub saved_at: Option<OffsetDateTime>,
}

/// What a use of the card needs.
#[derive(Debug, Clone)]
pub struct FoundCard {
    /// The record.
    pub id: Uuid,
    /// The number, sealed.
    pub pan_sealed: Vec<u8>,
    /// The merchant's own fingerprint.
    pub merchant_fingerprint: String,
    /// Brand, in the API's word.
    pub brand: String,
    /// First six.
    pub bin: String,
    /// Last four.
    pub last_four: String,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
    /// What used up `tok_X`.
    pub spent_by: Option<Uuid>,
    /// Since when `pm_X` is in force.
    pub saved_at: Option<OffsetDateTime>,
}

/// Inserts all in one statement, but for those whose key was retired: only active keys seal. Gives how many it inserted; for
/// less than all, [`list_present`] tells which.
///
/// # Errors
/// [`StoreError`]; none is inserted then.
pub async fn insert_all(connection: &mut PgConnection, rows: &[&CardRow]) -> Result<u64, StoreError> {
    let column = |pick: fn(&CardRow) -> Uuid| rows.iter().map(|row| pick(row)).collect::<Vec<_>>();
    let text = |pick: fn(&CardRow) -> &str| rows.iter().map(|row| pick(row).to_owned()).collect::<Vec<_>>();
    let number = |pick: fn(&CardRow) -> i16| rows.iter().map(|row| pick(row)).collect::<Vec<_>>();
    let keys: Vec<i64> = rows.iter().map(|row| row.key_id).collect();
    let livemodes: Vec<bool> = rows.iter().map(|row| row.livemode).collect();
    let pans: Vec<Vec<u8>> = rows.iter().map(|row| row.pan_sealed.as_bytes().to_vec()).collect();
    let holders: Vec<Option<Vec<u8>>> =
        rows.iter().map(|row| row.holder_sealed.as_ref().map(|sealed| sealed.as_bytes().to_vec())).collect();
    let fingerprints: Vec<Vec<u8>> = rows.iter().map(|row| row.fingerprint_hash.clone()).collect();
    let created: Vec<OffsetDateTime> = rows.iter().map(|row| row.created_at).collect();
    let saved: Vec<Option<OffsetDateTime>> = rows.iter().map(|row| row.saved_at).collect();
    sqlx::query!(
        "/* vault cards::insert_all */
         INSERT INTO cards (id, merchant_id, livemode, key_id, pan_sealed, holder_sealed, fingerprint_hash,
             merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, created_at, saved_at)
         SELECT new.id, new.merchant_id, livemode, key_id, pan_sealed, holder_sealed, fingerprint_hash,
             merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, new.created_at, saved_at
         FROM UNNEST($1::uuid[], $2::uuid[], $3::boolean[], $15::bigint[], $4::bytea[], $5::bytea[], $6::bytea[],
                 $7::text[], $8::text[], $9::text[], $10::text[], $11::smallint[], $12::smallint[], $13::timestamptz[],
                 $14::timestamptz[])
             AS new (id, merchant_id, livemode, key_id, pan_sealed, holder_sealed, fingerprint_hash,
                 merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, created_at, saved_at)
         JOIN deks ON deks.id = new.key_id AND deks.state = 'active'",
        &column(|row| row.id),
        &column(|row| row.merchant_id),
        &livemodes,
        &pans,
        &holders as &[Option<Vec<u8>>],
        &fingerprints,
        &text(|row| &row.merchant_fingerprint),
        &text(|row| row.brand),
        &text(|row| &row.bin),
        &text(|row| &row.last_four),
        &number(|row| row.exp_month),
        &number(|row| row.exp_year),
        &created,
        &saved as &[Option<OffsetDateTime>],
        &keys
    )
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
}

/// Which of these records exist.
///
/// # Errors
/// [`StoreError`].
pub async fn list_present(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query_scalar!("/* vault cards::list_present */ SELECT id FROM cards WHERE id = ANY($1)", ids)
        .fetch_all(connection)
        .await
}

/// A merchant's card in a mode.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: Uuid, merchant: Uuid, livemode: bool) -> Result<Option<FoundCard>, StoreError> {
    sqlx::query_as!(
        FoundCard,
        "/* vault cards::find */
         SELECT id, pan_sealed, merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, spent_by, saved_at
         FROM cards WHERE id = $1 AND merchant_id = $2 AND livemode = $3",
        id,
        merchant,
        livemode
    )
    .fetch_optional(pool)
    .await
}

/// Uses up single-use tokens, each for one attempt or attachment. Gives the pairs that succeeded: a token that something
/// else has used is not among them; one that the same attempt has used is.
///
/// # Errors
/// [`StoreError`].
pub async fn spend_all(
    connection: &mut PgConnection,
    cards: &[Uuid],
    spenders: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault cards::spend_all */
         UPDATE cards SET spent_by = wanted.spender
         FROM UNNEST($1::uuid[], $2::uuid[]) AS wanted (id, spender)
         WHERE cards.id = wanted.id AND cards.saved_at IS NULL
           AND (cards.spent_by IS NULL OR cards.spent_by = wanted.spender)
         RETURNING cards.id, cards.spent_by AS \"spent_by!\"",
        cards,
        spenders
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.spent_by)).collect())
}

/// Turns `tok_X` into `pm_X`. False when the token was used before.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_saved(pool: &PgPool, id: Uuid, merchant: Uuid, at: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault cards::mark_saved */
         UPDATE cards SET saved_at = $3 WHERE id = $1 AND merchant_id = $2 AND saved_at IS NULL AND spent_by IS NULL",
        id,
        merchant,
        at
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What some of a merchant's cards look like: first six digits, and whether there is a cardholder's name.
///
/// # Errors
/// [`StoreError`].
pub async fn list_models(pool: &PgPool, merchant: Uuid, livemode: bool) -> Result<Vec<(String, bool)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault cards::list_models */
         SELECT bin, holder_sealed IS NOT NULL AS \"has_holder!\"
         FROM cards WHERE merchant_id = $1 AND livemode = $2 LIMIT 1000",
        merchant,
        livemode
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.bin, row.has_holder)).collect())
}
