//! Sealed payers.

use kura_platform::database::{PgConnection, PgPool};
use kura_wire::payer::PersonFields;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::crypto::field::Sealed;

/// A payer to insert.
pub struct PayerRow<'a> {
    /// The record.
    pub id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// In the word of [`crate::crypto::field::DataClass`].
    pub class: &'static str,
    /// The DEK of all sealed columns.
    pub key_id: i64,
    /// The fields.
    pub sealed: &'a PersonFields<Sealed>,
    /// What may be shown of them.
    pub masked: &'a PersonFields<String>,
    /// The blind index.
    pub email_hash: Option<&'a [u8]>,
    /// When.
    pub created_at: OffsetDateTime,
}

/// Inserts a payer. False when its id is taken, or its key was retired: seal it anew.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(pool: &PgPool, row: &PayerRow<'_>) -> Result<bool, StoreError> {
    let sealed = |field: &Option<Sealed>| field.as_ref().map(|sealed| sealed.as_bytes().to_vec());
    let done = sqlx::query!(
        "/* vault payers::insert */
         INSERT INTO payers (id, merchant_id, livemode, class, key_id, name_sealed, phone_sealed, email_sealed,
             postcode_sealed, address_sealed, name_masked, phone_masked, email_masked, postcode_masked, address_masked,
             email_hash, created_at)
         SELECT $1, $2, $3, $4, deks.id, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
         FROM deks WHERE deks.id = $5 AND deks.state = 'active'
         ON CONFLICT (id) DO NOTHING",
        row.id,
        row.merchant_id,
        row.livemode,
        row.class,
        row.key_id,
        sealed(&row.sealed.name),
        sealed(&row.sealed.phone),
        sealed(&row.sealed.email),
        sealed(&row.sealed.postcode),
        sealed(&row.sealed.address),
        row.masked.name,
        row.masked.phone,
        row.masked.email,
        row.masked.postcode,
        row.masked.address,
        row.email_hash,
        row.created_at
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What may be shown of a merchant's payer in a mode.
///
/// # Errors
/// [`StoreError`].
pub async fn find_masked(
    pool: &PgPool,
    id: Uuid,
    (merchant, livemode): (Uuid, bool),
    class: &str,
) -> Result<Option<PersonFields<String>>, StoreError> {
    sqlx::query_as!(
        PersonFields,
        "/* vault payers::find_masked */
         SELECT name_masked AS name, phone_masked AS phone, email_masked AS email, postcode_masked AS postcode,
             address_masked AS address
         FROM payers WHERE id = $1 AND merchant_id = $2 AND livemode = $3 AND class = $4 AND erased_at IS NULL",
        id,
        merchant,
        livemode,
        class
    )
    .fetch_optional(pool)
    .await
}

/// Whether there is, or was, a payer of this id, whoever's.
///
/// # Errors
/// [`StoreError`].
pub async fn is_taken(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault payers::is_taken */ SELECT EXISTS (SELECT FROM payers WHERE id = $1) AS \"taken!\"",
        id
    )
    .fetch_one(pool)
    .await
}

/// A merchant's payer in a mode, sealed.
///
/// # Errors
/// [`StoreError`].
pub async fn find(
    pool: &PgPool,
    id: Uuid,
    (merchant, livemode): (Uuid, bool),
    class: &str,
) -> Result<Option<PersonFields<Sealed>>, StoreError> {
    let row = sqlx::query!(
        "/* vault payers::find */
         SELECT name_sealed, phone_sealed, email_sealed, postcode_sealed, address_sealed
         FROM payers WHERE id = $1 AND merchant_id = $2 AND livemode = $3 AND class = $4 AND erased_at IS NULL",
        id,
        merchant,
        livemode,
        class
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| PersonFields {
        name: row.name_sealed.map(Sealed::from_column),
        phone: row.phone_sealed.map(Sealed::from_column),
        email: row.email_sealed.map(Sealed::from_column),
        postcode: row.postcode_sealed.map(Sealed::from_column),
        address: row.address_sealed.map(Sealed::from_column),
    }))
}

/// A merchant's payers of a class with this blind index, newest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list_by_email(
    pool: &PgPool,
    (merchant, livemode): (Uuid, bool),
    class: &str,
    email_hash: &[u8],
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query_scalar!(
        "/* vault payers::list_by_email */
         SELECT id FROM payers
         WHERE email_hash = $4 AND merchant_id = $1 AND livemode = $2 AND class = $3 AND erased_at IS NULL
         ORDER BY created_at DESC, id LIMIT $5",
        merchant,
        livemode,
        class,
        email_hash,
        limit
    )
    .fetch_all(pool)
    .await
}

/// Blanks these payers. Gives those that it did, with their merchants.
///
/// # Errors
/// [`StoreError`]; the database refuses to call a row erased that is not blank.
pub async fn erase_all(
    connection: &mut PgConnection,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault payers::erase_all */
         UPDATE payers SET key_id = 0, name_sealed = NULL, phone_sealed = NULL, email_sealed = NULL,
             postcode_sealed = NULL, address_sealed = NULL, name_masked = NULL, phone_masked = NULL, email_masked = NULL,
             postcode_masked = NULL, address_masked = NULL, email_hash = NULL, erased_at = $2
         WHERE id = ANY($1) AND erased_at IS NULL RETURNING id, merchant_id",
        ids,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.merchant_id)).collect())
}
