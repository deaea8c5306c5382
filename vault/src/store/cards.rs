//! Sealed cards.

use kura_platform::database::{PgConnection, PgPool};
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
    /// Whether it is on the watchlist of exposed cards.
    pub exposed: bool,
}

/// A card whose number is about to be replaced.
pub struct ReplaceableCard {
    /// Whose.
    pub merchant_id: Uuid,
    /// The DEK of all sealed columns.
    pub key_id: i64,
    /// The number, sealed.
    pub pan_sealed: Vec<u8>,
    /// The cardholder's name, sealed.
    pub holder_sealed: Option<Vec<u8>>,
    /// Vault-wide fingerprint.
    pub fingerprint_hash: Vec<u8>,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
}

/// What takes its place.
pub struct Replacement {
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
}

/// What the console may know of a card.
pub struct ShownCard {
    /// Whose.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// Brand, in the API's word.
    pub brand: String,
    /// First six.
    pub bin: String,
    /// Last four.
    pub last_four: String,
    /// When it came in.
    pub created_at: OffsetDateTime,
    /// Since when `pm_X` is in force.
    pub saved_at: Option<OffsetDateTime>,
    /// Whether it is on the watchlist.
    pub exposed: bool,
    /// How often it was replaced.
    pub account_updates: i64,
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
         SELECT id, pan_sealed, merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, spent_by, saved_at,
             EXISTS (SELECT FROM exposed_cards WHERE exposed_cards.fingerprint_hash = cards.fingerprint_hash) AS \"exposed!\"
         FROM cards WHERE id = $1 AND merchant_id = $2 AND livemode = $3 AND erased_at IS NULL",
        id,
        merchant,
        livemode
    )
    .fetch_optional(pool)
    .await
}

/// Uses up single-use tokens, each for one attempt or attachment. Gives the pairs that succeeded: a token that something
/// else has used is not among them; one that the same attempt has used is, unless it was given back since.
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
         WHERE cards.id = wanted.id AND cards.saved_at IS NULL AND cards.erased_at IS NULL
           AND (cards.spent_by = wanted.spender
               OR (cards.spent_by IS NULL
                   AND (cards.given_back_at IS NULL OR NOT EXISTS (SELECT FROM attempts WHERE id = wanted.spender))))
         RETURNING cards.id, cards.spent_by AS \"spent_by!\"",
        cards,
        spenders
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.spent_by)).collect())
}

/// Gives single-use tokens back whose attempts, just decided, were declined for want of a proof that they did not name. Once.
///
/// # Errors
/// [`StoreError`].
pub async fn give_back(
    connection: &mut PgConnection,
    attempts: &[Uuid],
    response_code: &str,
    at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault cards::give_back */
         UPDATE cards SET spent_by = NULL, given_back_at = $3
         FROM attempts
         WHERE attempts.id = ANY($1) AND attempts.outcome = 'declined' AND attempts.response_code = $2
           AND attempts.authentication_id IS NULL AND NOT attempts.merchant_initiated
           AND cards.id = attempts.card_id AND cards.spent_by = attempts.id AND cards.given_back_at IS NULL",
        attempts,
        response_code,
        at
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Turns `tok_X` into `pm_X`. False when the token was used before.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_saved(pool: &PgPool, id: Uuid, merchant: Uuid, at: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault cards::mark_saved */
         UPDATE cards SET saved_at = $3
         WHERE id = $1 AND merchant_id = $2 AND saved_at IS NULL AND spent_by IS NULL AND erased_at IS NULL",
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

/// A card's sealed number as it is now.
///
/// # Errors
/// [`StoreError`].
pub async fn find_pan(pool: &PgPool, id: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
    sqlx::query_scalar!("/* vault cards::find_pan */ SELECT pan_sealed FROM cards WHERE id = $1", id)
        .fetch_optional(pool)
        .await
}

/// A merchant's card that this node imported and that is a saved method: what its gateway has not heard of.
///
/// # Errors
/// [`StoreError`].
pub async fn find_imported(
    pool: &PgPool,
    id: Uuid,
    merchant: Uuid,
    livemode: bool,
    node: i16,
) -> Result<Option<FoundCard>, StoreError> {
    sqlx::query_as!(
        FoundCard,
        "/* vault cards::find_imported */
         SELECT id, pan_sealed, merchant_fingerprint, brand, bin, last_four, exp_month, exp_year, spent_by, saved_at,
             EXISTS (SELECT FROM exposed_cards WHERE exposed_cards.fingerprint_hash = cards.fingerprint_hash) AS \"exposed!\"
         FROM cards
         WHERE id = $1 AND merchant_id = $2 AND livemode = $3 AND imported_on = $4 AND saved_at IS NOT NULL
           AND erased_at IS NULL",
        id,
        merchant,
        livemode,
        node
    )
    .fetch_optional(pool)
    .await
}

/// What a replacement of the card needs to know of it. Saved cards alone are replaced: a single-use token, spent or not,
/// never gets another card.
///
/// # Errors
/// [`StoreError`].
pub async fn find_replaceable(pool: &PgPool, id: Uuid) -> Result<Option<ReplaceableCard>, StoreError> {
    sqlx::query_as!(
        ReplaceableCard,
        "/* vault cards::find_replaceable */
         SELECT merchant_id, key_id, pan_sealed, holder_sealed, fingerprint_hash, exp_month, exp_year
         FROM cards WHERE id = $1 AND saved_at IS NOT NULL AND erased_at IS NULL",
        id
    )
    .fetch_optional(pool)
    .await
}

/// Puts another number under the token. False when the card changed meanwhile, or the key was retired.
///
/// # Errors
/// [`StoreError`].
pub async fn replace(
    connection: &mut PgConnection,
    id: Uuid,
    old: &ReplaceableCard,
    new: &Replacement,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault cards::replace */
         UPDATE cards SET key_id = $3, pan_sealed = $4, holder_sealed = $5, fingerprint_hash = $6,
             merchant_fingerprint = $7, brand = $8, bin = $9, last_four = $10
         WHERE id = $1 AND pan_sealed = $2 AND erased_at IS NULL
           AND EXISTS (SELECT FROM deks WHERE deks.id = $3 AND deks.state = 'active')",
        id,
        old.pan_sealed,
        new.key_id,
        new.pan_sealed.as_bytes(),
        new.holder_sealed.as_ref().map(Sealed::as_bytes),
        new.fingerprint_hash,
        new.merchant_fingerprint,
        new.brand,
        new.bin,
        new.last_four
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets another expiry. False when the card was erased meanwhile.
///
/// # Errors
/// [`StoreError`].
pub async fn set_expiry(connection: &mut PgConnection, id: Uuid, month: i16, year: i16) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault cards::set_expiry */
         UPDATE cards SET exp_month = $2, exp_year = $3 WHERE id = $1 AND erased_at IS NULL",
        id,
        month,
        year
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A card for the console.
///
/// # Errors
/// [`StoreError`].
pub async fn find_shown(pool: &PgPool, id: Uuid) -> Result<Option<ShownCard>, StoreError> {
    sqlx::query_as!(
        ShownCard,
        "/* vault cards::find_shown */
         SELECT merchant_id, livemode, brand, bin, last_four, created_at, saved_at,
             EXISTS (SELECT FROM exposed_cards WHERE exposed_cards.fingerprint_hash = cards.fingerprint_hash) AS \"exposed!\",
             (SELECT count(*) FROM account_updates WHERE record_id = cards.id) AS \"account_updates!\"
         FROM cards WHERE id = $1 AND erased_at IS NULL",
        id
    )
    .fetch_optional(pool)
    .await
}

/// Blanks all that could identify these cards. Gives those that it did: with `unused_only`, those that were used meanwhile
/// are spared.
///
/// # Errors
/// [`StoreError`]; the database refuses to call a row erased that is not blank.
pub async fn erase_all(
    connection: &mut PgConnection,
    ids: &[Uuid],
    unused_only: bool,
    now: OffsetDateTime,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault cards::erase_all */
         UPDATE cards SET key_id = 0, pan_sealed = ''::bytea, holder_sealed = NULL, fingerprint_hash = ''::bytea,
             merchant_fingerprint = '', brand = '', bin = '', last_four = '', exp_month = 0, exp_year = 0, erased_at = $3
         WHERE id = ANY($1) AND erased_at IS NULL AND (NOT $2 OR (saved_at IS NULL AND spent_by IS NULL))
         RETURNING id, merchant_id",
        ids,
        unused_only,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.merchant_id)).collect())
}
