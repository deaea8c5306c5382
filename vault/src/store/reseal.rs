//! Rows of all resealable tables, page by page: what they are sealed under, and putting them under another key.
//!
//! A further table needs its own four statements, in a file beside this one, and its lines in
//! [`crate::rotation::tables`].

use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use crate::crypto::field::Sealed;

/// A row as a reseal sees it.
pub struct SealedRow {
    /// Where it lies: `(page,item)`. It changes with every update of the row.
    pub at: String,
    /// The record.
    pub id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// The key of all its sealed columns.
    pub key_id: i64,
    /// The columns, in the table's order.
    pub sealed: Vec<Option<Sealed>>,
}

/// Pages from the first to before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// The first.
    pub from: i64,
    /// One after the last.
    pub to: i64,
}

/// How many pages `cards` has.
///
/// # Errors
/// [`StoreError`].
pub async fn count_card_pages(executor: impl PgExecutor<'_>) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault reseal::count_card_pages */
         SELECT pg_relation_size('cards') / current_setting('block_size')::bigint AS \"pages!\""
    )
    .fetch_one(executor)
    .await
}

/// The cards under these keys on these pages.
///
/// # Errors
/// [`StoreError`].
pub async fn list_cards(pool: &PgPool, pages: Pages, keys: &[i64]) -> Result<Vec<SealedRow>, StoreError> {
    let rows = sqlx::query!(
        "/* vault reseal::list_cards */
         SELECT ctid::text AS \"at!\", id, merchant_id, key_id, pan_sealed, holder_sealed FROM cards
         WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
           AND key_id = ANY($3)",
        pages.from,
        pages.to,
        keys
    )
    .fetch_all(pool)
    .await?;
    let row = |at, id, merchant_id, key_id, pan: Vec<u8>, holder: Option<Vec<u8>>| SealedRow {
        at,
        id,
        merchant_id,
        key_id,
        sealed: vec![Some(Sealed::from_column(pan)), holder.map(Sealed::from_column)],
    };
    let rows = rows.into_iter();
    Ok(rows
        .map(|found| row(found.at, found.id, found.merchant_id, found.key_id, found.pan_sealed, found.holder_sealed))
        .collect())
}

/// How many cards there are under each of these keys on these pages. Where many statements must agree, they share a
/// snapshot: see [`begin_snapshot`].
///
/// # Errors
/// [`StoreError`].
pub async fn count_cards(
    executor: impl PgExecutor<'_>,
    pages: Pages,
    keys: &[i64],
) -> Result<Vec<(i64, i64)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault reseal::count_cards */
         SELECT key_id, count(*) AS \"rows!\" FROM cards
         WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
           AND key_id = ANY($3) GROUP BY key_id",
        pages.from,
        pages.to,
        keys
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(|row| (row.key_id, row.rows)).collect())
}

/// A card under its new key.
pub struct Resealed {
    /// Where it lay when it was read.
    pub at: String,
    /// The record.
    pub id: Uuid,
    /// The key that it was under.
    pub old_key: i64,
    /// The key that it is under now: nothing happens unless that one is active.
    pub new_key: i64,
    /// The columns, in the table's order.
    pub sealed: Vec<Option<Sealed>>,
}

impl Resealed {
    /// What stands in a column.
    pub(super) fn column(&self, place: usize) -> Option<Vec<u8>> {
        self.sealed.get(place).and_then(Option::as_ref).map(|sealed| sealed.as_bytes().to_vec())
    }
}

/// Puts cards under their new keys, in one statement; gives how many. A row that anybody has written since it was read
/// stays as it is: it is somewhere else then, or under another key. The old key must be settled
/// ([`super::deks::list_settled`]): nobody can be writing a row under it any more.
///
/// # Errors
/// [`StoreError`]; none was changed then.
pub async fn update_cards(connection: &mut PgConnection, rows: &[Resealed]) -> Result<u64, StoreError> {
    let places: Vec<String> = rows.iter().map(|row| row.at.clone()).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let old_keys: Vec<i64> = rows.iter().map(|row| row.old_key).collect();
    let new_keys: Vec<i64> = rows.iter().map(|row| row.new_key).collect();
    let pans: Vec<Option<Vec<u8>>> = rows.iter().map(|row| row.column(0)).collect();
    let holders: Vec<Option<Vec<u8>>> = rows.iter().map(|row| row.column(1)).collect();
    sqlx::query!(
        "/* vault reseal::update_cards */
         UPDATE cards SET key_id = new.key_id, pan_sealed = new.pan_sealed, holder_sealed = new.holder_sealed
         FROM UNNEST($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[])
             AS new (at, id, old_key, key_id, pan_sealed, holder_sealed)
         WHERE cards.ctid = new.at::tid AND cards.id = new.id AND cards.key_id = new.old_key
           AND new.key_id IN (SELECT id FROM deks WHERE id = ANY($4) AND state = 'active')",
        &places,
        &ids,
        &old_keys,
        &new_keys,
        &pans as &[Option<Vec<u8>>],
        &holders as &[Option<Vec<u8>>]
    )
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
}

/// From here to the transaction's end, all statements of this connection see one and the same moment.
///
/// # Errors
/// [`StoreError`].
pub async fn begin_snapshot(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("/* vault reseal::begin_snapshot */ SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(connection)
        .await
        .map(drop)
}

/// All tables with a sealed column, whether or not anybody here knows them.
///
/// # Errors
/// [`StoreError`].
pub async fn list_sealed_tables(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "/* vault reseal::list_sealed_tables */
         SELECT DISTINCT relname::text AS \"name!\" FROM pg_attribute
         JOIN pg_class ON pg_class.oid = attrelid AND relkind IN ('r', 'p')
         JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = 'public'
         WHERE attname LIKE '%\\_sealed' AND NOT attisdropped ORDER BY 1"
    )
    .fetch_all(pool)
    .await
}
