//! The watchlist of exposed cards, and the uses of its cards that were flagged.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::alerts::AlertKind;

/// One source and what it lists.
pub struct SourceRow {
    /// Its name.
    pub source: String,
    /// Cards.
    pub cards: i64,
    /// When the last one came in.
    pub last_added_at: OffsetDateTime,
    /// Flagged uses of them.
    pub uses: i64,
}

/// A use of an exposed card.
pub struct ExposedUse<'a> {
    /// The card.
    pub fingerprint_hash: &'a [u8],
    /// Whose record.
    pub merchant_id: Uuid,
    /// The record; none for a card that was refused before it had one.
    pub record_id: Option<Uuid>,
    /// The request.
    pub request_id: Uuid,
    /// When.
    pub at: OffsetDateTime,
}

/// Adds cards. Gives how many were not there before.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_all(
    pool: &PgPool,
    source: &str,
    fingerprints: &[Vec<u8>],
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "/* vault exposed_cards::insert_all */
         INSERT INTO exposed_cards (fingerprint_hash, source, added_at)
         SELECT fingerprint_hash, $2, $3 FROM UNNEST($1::bytea[]) AS new (fingerprint_hash)
         ON CONFLICT DO NOTHING",
        fingerprints,
        source,
        now
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Whether anybody lists this card.
///
/// # Errors
/// [`StoreError`].
pub async fn is_listed(pool: &PgPool, fingerprint: &[u8]) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault exposed_cards::is_listed */
         SELECT EXISTS (SELECT FROM exposed_cards WHERE fingerprint_hash = $1) AS \"listed!\"",
        fingerprint
    )
    .fetch_one(pool)
    .await
}

/// Whether the list has a card at all.
///
/// # Errors
/// [`StoreError`].
pub async fn is_any_listed(pool: &PgPool) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        "/* vault exposed_cards::is_any_listed */ SELECT EXISTS (SELECT FROM exposed_cards) AS \"listed!\""
    )
    .fetch_one(pool)
    .await
}

/// Records a use and its alert, once for each card, merchant and day. True when it was the first.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_use(pool: &PgPool, exposed: &ExposedUse<'_>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault exposed_cards::insert_use */
         WITH first AS (
             INSERT INTO exposed_uses (fingerprint_hash, merchant_id, day, record_id)
             VALUES ($1, $2, ($3::timestamptz AT TIME ZONE 'UTC')::date, $4) ON CONFLICT DO NOTHING
             RETURNING merchant_id, record_id)
         INSERT INTO alerts (at, kind, merchant_id, record_id, request_id)
         SELECT $3, $5, merchant_id, record_id, $6 FROM first",
        exposed.fingerprint_hash,
        exposed.merchant_id,
        exposed.at,
        exposed.record_id,
        AlertKind::ExposedCardUsed.as_str(),
        exposed.request_id
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The card of a record, as the watchlist knows it.
///
/// # Errors
/// [`StoreError`].
pub async fn find_fingerprint(pool: &PgPool, record: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
    sqlx::query_scalar!(
        "/* vault exposed_cards::find_fingerprint */
         SELECT fingerprint_hash FROM cards WHERE id = $1 AND erased_at IS NULL",
        record
    )
    .fetch_optional(pool)
    .await
}

/// All sources.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool) -> Result<Vec<SourceRow>, StoreError> {
    sqlx::query_as!(
        SourceRow,
        "/* vault exposed_cards::list */
         SELECT source, count(DISTINCT listed.fingerprint_hash) AS \"cards!\", max(added_at) AS \"last_added_at!\",
             count(uses.day) AS \"uses!\"
         FROM exposed_cards AS listed LEFT JOIN exposed_uses AS uses USING (fingerprint_hash)
         GROUP BY source ORDER BY source"
    )
    .fetch_all(pool)
    .await
}

/// How many cards a source lists.
///
/// # Errors
/// [`StoreError`].
pub async fn count(pool: &PgPool, source: &str) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault exposed_cards::count */ SELECT count(*) AS \"count!\" FROM exposed_cards WHERE source = $1",
        source
    )
    .fetch_one(pool)
    .await
}

/// Takes a source off the list. Gives how many cards it listed.
///
/// # Errors
/// [`StoreError`].
pub async fn delete(pool: &PgPool, source: &str) -> Result<i64, StoreError> {
    let done = sqlx::query!("/* vault exposed_cards::delete */ DELETE FROM exposed_cards WHERE source = $1", source)
        .execute(pool)
        .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// Forgets the uses of erased records; their alerts stay.
///
/// # Errors
/// [`StoreError`].
pub async fn delete_uses(connection: &mut PgConnection, records: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!("/* vault exposed_cards::delete_uses */ DELETE FROM exposed_uses WHERE record_id = ANY($1)", records)
        .execute(connection)
        .await
        .map(drop)
}
