//! Sealed customers.

use kura_platform::database::{PgConnection, PgPool};
use kura_wire::payer::PersonFields;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::crypto::field::Sealed;

/// A customer's row, but for its id and owner.
pub struct CustomerRow {
    /// The DEK of all sealed columns.
    pub key_id: i64,
    /// The fields; never a postcode.
    pub sealed: PersonFields<Sealed>,
    /// What may be shown of them.
    pub masked: PersonFields<String>,
    /// The blind index.
    pub email_hash: Option<Vec<u8>>,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

fn column(field: &Option<Sealed>) -> Option<Vec<u8>> {
    field.as_ref().map(|sealed| sealed.as_bytes().to_vec())
}

/// Inserts a customer. False when the id is there already, or its key was retired.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    id: Uuid,
    (merchant, livemode): (Uuid, bool),
    row: &CustomerRow,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault customers::insert */
         INSERT INTO customers (id, merchant_id, livemode, key_id, name_sealed, phone_sealed, email_sealed,
             address_sealed, name_masked, phone_masked, email_masked, address_masked, email_hash, created_at, updated_at)
         SELECT $1, $2, $3, deks.id, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14
         FROM deks WHERE deks.id = $4 AND deks.state = 'active' ON CONFLICT DO NOTHING",
        id,
        merchant,
        livemode,
        row.key_id,
        column(&row.sealed.name),
        column(&row.sealed.phone),
        column(&row.sealed.email),
        column(&row.sealed.address),
        row.masked.name,
        row.masked.phone,
        row.masked.email,
        row.masked.address,
        row.email_hash,
        row.updated_at
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A merchant's customer in a mode, sealed.
///
/// # Errors
/// [`StoreError`].
pub async fn find(
    pool: &PgPool,
    id: Uuid,
    (merchant, livemode): (Uuid, bool),
) -> Result<Option<CustomerRow>, StoreError> {
    let row = sqlx::query!(
        "/* vault customers::find */
         SELECT key_id, name_sealed, phone_sealed, email_sealed, address_sealed, name_masked, phone_masked, email_masked,
             address_masked, email_hash, updated_at
         FROM customers WHERE id = $1 AND merchant_id = $2 AND livemode = $3 AND erased_at IS NULL",
        id,
        merchant,
        livemode
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| CustomerRow {
        key_id: row.key_id,
        sealed: PersonFields {
            name: row.name_sealed.map(Sealed::from_column),
            phone: row.phone_sealed.map(Sealed::from_column),
            email: row.email_sealed.map(Sealed::from_column),
            postcode: None,
            address: row.address_sealed.map(Sealed::from_column),
        },
        masked: PersonFields {
            name: row.name_masked,
            phone: row.phone_masked,
            email: row.email_masked,
            postcode: None,
            address: row.address_masked,
        },
        email_hash: row.email_hash,
        updated_at: row.updated_at,
    }))
}

/// Puts other values in a customer's row. False when the row changed meanwhile, or the key was retired.
///
/// # Errors
/// [`StoreError`].
pub async fn update(
    pool: &PgPool,
    id: Uuid,
    merchant: Uuid,
    old: &CustomerRow,
    new: &CustomerRow,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault customers::update */
         UPDATE customers SET key_id = $5, name_sealed = $6, phone_sealed = $7, email_sealed = $8, address_sealed = $9,
             name_masked = $10, phone_masked = $11, email_masked = $12, address_masked = $13, email_hash = $14,
             updated_at = $15
         WHERE id = $1 AND merchant_id = $2 AND updated_at = $3 AND key_id = $4 AND erased_at IS NULL
           AND EXISTS (SELECT FROM deks WHERE deks.id = $5 AND deks.state = 'active')",
        id,
        merchant,
        old.updated_at,
        old.key_id,
        new.key_id,
        column(&new.sealed.name),
        column(&new.sealed.phone),
        column(&new.sealed.email),
        column(&new.sealed.address),
        new.masked.name,
        new.masked.phone,
        new.masked.email,
        new.masked.address,
        new.email_hash,
        new.updated_at
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A merchant's customers with this blind index, newest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list_by_email(
    pool: &PgPool,
    (merchant, livemode): (Uuid, bool),
    email_hash: &[u8],
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query_scalar!(
        "/* vault customers::list_by_email */
         SELECT id FROM customers
         WHERE email_hash = $3 AND merchant_id = $1 AND livemode = $2 AND erased_at IS NULL
         ORDER BY created_at DESC, id LIMIT $4",
        merchant,
        livemode,
        email_hash,
        limit
    )
    .fetch_all(pool)
    .await
}

/// Blanks these customers. Gives those that it did, with their merchants.
///
/// # Errors
/// [`StoreError`]; the database refuses to call a row erased that is not blank.
pub async fn erase_all(
    connection: &mut PgConnection,
    ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault customers::erase_all */
         UPDATE customers SET key_id = 0, name_sealed = NULL, phone_sealed = NULL, email_sealed = NULL,
             address_sealed = NULL, name_masked = NULL, phone_masked = NULL, email_masked = NULL, address_masked = NULL,
             email_hash = NULL, erased_at = $2
         WHERE id = ANY($1) AND erased_at IS NULL RETURNING id, merchant_id",
        ids,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.merchant_id)).collect())
}

/// Whether this was a merchant's customer and is erased.
///
/// # Errors
/// [`StoreError`].
pub async fn is_erased(pool: &PgPool, id: Uuid, (merchant, livemode): (Uuid, bool)) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault customers::is_erased */
         SELECT EXISTS (SELECT FROM customers
             WHERE id = $1 AND merchant_id = $2 AND livemode = $3 AND erased_at IS NOT NULL) AS \"erased!\"",
        id,
        merchant,
        livemode
    )
    .fetch_one(pool)
    .await
}

/// Whether an id is in use, by whomever.
///
/// # Errors
/// [`StoreError`].
pub async fn is_taken(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault customers::is_taken */ SELECT EXISTS (SELECT FROM customers WHERE id = $1) AS \"taken!\"",
        id
    )
    .fetch_one(pool)
    .await
}
