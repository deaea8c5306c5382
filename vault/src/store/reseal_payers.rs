//! Reseal of `payers`, page by page, as [`super::reseal`] does it for cards.

use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use super::reseal::{Pages, Resealed, SealedRow};
use crate::crypto::field::Sealed;

/// How many pages `payers` has.
///
/// # Errors
/// [`StoreError`].
pub async fn count_pages(executor: impl PgExecutor<'_>) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault reseal_payers::count_pages */
         SELECT pg_relation_size('payers') / current_setting('block_size')::bigint AS \"pages!\""
    )
    .fetch_one(executor)
    .await
}

/// The payers of this class under these keys on these pages.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool, pages: Pages, keys: &[i64], class: &str) -> Result<Vec<SealedRow>, StoreError> {
    let rows = sqlx::query!(
        "/* vault reseal_payers::list */
         SELECT ctid::text AS \"at!\", id, merchant_id, key_id, name_sealed, phone_sealed, email_sealed, postcode_sealed, address_sealed
         FROM payers
         WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
           AND key_id = ANY($3) AND class = $4",
        pages.from,
        pages.to,
        keys,
        class
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|found| SealedRow {
        at: found.at,
        id: found.id,
        merchant_id: found.merchant_id,
        key_id: found.key_id,
        sealed: [
            found.name_sealed,
            found.phone_sealed,
            found.email_sealed,
            found.postcode_sealed,
            found.address_sealed,
        ]
        .map(|value| value.map(Sealed::from_column))
        .into(),
    });
    Ok(rows.collect())
}

/// How many payers of this class there are under each of these keys on these pages.
///
/// # Errors
/// [`StoreError`].
pub async fn count(
    executor: impl PgExecutor<'_>,
    pages: Pages,
    keys: &[i64],
    class: &str,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault reseal_payers::count */
         SELECT key_id, count(*) AS \"rows!\" FROM payers
         WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
           AND key_id = ANY($3) AND class = $4 GROUP BY key_id",
        pages.from,
        pages.to,
        keys,
        class
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| (row.key_id, row.rows)).collect())
}

/// Puts payers under their new keys, in one statement; gives how many. A row that anybody has written since it was read
/// stays as it is.
///
/// # Errors
/// [`StoreError`]; none was changed then.
pub async fn update(connection: &mut PgConnection, rows: &[Resealed]) -> Result<u64, StoreError> {
    let places: Vec<String> = rows.iter().map(|row| row.at.clone()).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let old_keys: Vec<i64> = rows.iter().map(|row| row.old_key).collect();
    let new_keys: Vec<i64> = rows.iter().map(|row| row.new_key).collect();
    let column = |place: usize| -> Vec<Option<Vec<u8>>> { rows.iter().map(|row| row.column(place)).collect() };
    sqlx::query!(
        "/* vault reseal_payers::update */
         UPDATE payers SET key_id = new.key_id, name_sealed = new.name_sealed, phone_sealed = new.phone_sealed, email_sealed = new.email_sealed, postcode_sealed = new.postcode_sealed, address_sealed = new.address_sealed
         FROM UNNEST($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[])
             AS new (at, id, old_key, key_id, name_sealed, phone_sealed, email_sealed, postcode_sealed, address_sealed)
         WHERE payers.ctid = new.at::tid AND payers.id = new.id AND payers.key_id = new.old_key
           AND new.key_id IN (SELECT id FROM deks WHERE id = ANY($4) AND state = 'active')",
        &places,
        &ids,
        &old_keys,
        &new_keys,
        &column(0) as &[Option<Vec<u8>>],
        &column(1) as &[Option<Vec<u8>>],
        &column(2) as &[Option<Vec<u8>>],
        &column(3) as &[Option<Vec<u8>>],
        &column(4) as &[Option<Vec<u8>>]
    )
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
}
