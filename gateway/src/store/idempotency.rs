//! Table `idempotency_keys`.

use kura_platform::database::PgPool;
use kura_wire::ids::RequestId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Tenant, uuid};
use crate::api_key::KeyKind;

/// What names a row.
#[derive(Debug, Clone, Copy)]
pub struct RowKey<'a> {
    /// Whose.
    pub tenant: Tenant,
    /// With which kind of key.
    pub scope: KeyKind,
    /// The header's value.
    pub key: &'a str,
}

/// A claim on a row.
#[derive(Debug, Clone)]
pub struct Claim {
    /// HMAC of method, path and body.
    pub fingerprint: [u8; 32],
    /// For the ids, should the row be new.
    pub seed: [u8; 16],
    /// This process.
    pub instance: Uuid,
    /// This request.
    pub request: RequestId,
    /// Now.
    pub at: OffsetDateTime,
}

/// What is in a row.
#[derive(Debug, Clone)]
pub struct Row {
    /// HMAC of method, path and body.
    pub fingerprint: Vec<u8>,
    /// What all ids follow from.
    pub seed: Vec<u8>,
    /// `in_flight`, `retryable` or `finished`.
    pub state: String,
    /// Who runs it.
    pub instance: Uuid,
    /// Since when.
    pub claimed_at: OffsetDateTime,
    /// The request that claimed it.
    pub request_id: Uuid,
    /// The answer's status.
    pub status: Option<i16>,
    /// The answer.
    pub body: Option<String>,
}

/// Makes the row; false when there is one.
pub(crate) async fn insert(conn: Conn<'_>, key: RowKey<'_>, claim: &Claim) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway idempotency::insert */
         INSERT INTO idempotency_keys
             (merchant_id, livemode, scope, key, fingerprint, seed, state, instance, claimed_at, request_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'in_flight', $7, $8, $9, $8)
         ON CONFLICT DO NOTHING",
        key.tenant.id(),
        key.tenant.livemode,
        key.scope.as_str(),
        key.key,
        claim.fingerprint.as_slice(),
        claim.seed.as_slice(),
        claim.instance,
        claim.at,
        uuid(claim.request.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The row as it stands.
pub(crate) async fn find(conn: Conn<'_>, key: RowKey<'_>) -> sqlx::Result<Option<Row>> {
    sqlx::query_as!(
        Row,
        "/* gateway idempotency::find */
         SELECT fingerprint, seed, state, instance, claimed_at, request_id, status, body
         FROM idempotency_keys WHERE merchant_id = $1 AND livemode = $2 AND scope = $3 AND key = $4",
        key.tenant.id(),
        key.tenant.livemode,
        key.scope.as_str(),
        key.key,
    )
    .fetch_optional(conn)
    .await
}

/// Takes over a row exactly as it was seen; false when somebody else was quicker.
pub(crate) async fn take_over(conn: Conn<'_>, key: RowKey<'_>, seen: &Row, claim: &Claim) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway idempotency::take_over */
         UPDATE idempotency_keys SET state = 'in_flight', instance = $5, claimed_at = $6, request_id = $7
         WHERE merchant_id = $1 AND livemode = $2 AND scope = $3 AND key = $4
           AND state <> 'finished' AND request_id = $8",
        key.tenant.id(),
        key.tenant.livemode,
        key.scope.as_str(),
        key.key,
        claim.instance,
        claim.at,
        uuid(claim.request.as_bytes()),
        seen.request_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the answer for replays.
pub(crate) async fn finish(
    conn: Conn<'_>,
    key: RowKey<'_>,
    request: RequestId,
    status: i16,
    body: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway idempotency::finish */
         UPDATE idempotency_keys SET state = 'finished', status = $6, body = $7
         WHERE merchant_id = $1 AND livemode = $2 AND scope = $3 AND key = $4 AND request_id = $5",
        key.tenant.id(),
        key.tenant.livemode,
        key.scope.as_str(),
        key.key,
        uuid(request.as_bytes()),
        status,
        body,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets the request run again under the same seed.
pub(crate) async fn release(conn: Conn<'_>, key: RowKey<'_>, request: RequestId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway idempotency::release */
         UPDATE idempotency_keys SET state = 'retryable'
         WHERE merchant_id = $1 AND livemode = $2 AND scope = $3 AND key = $4 AND request_id = $5",
        key.tenant.id(),
        key.tenant.livemode,
        key.scope.as_str(),
        key.key,
        uuid(request.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a request that did nothing.
pub(crate) async fn forget(conn: Conn<'_>, key: RowKey<'_>, request: RequestId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway idempotency::forget */
         DELETE FROM idempotency_keys
         WHERE merchant_id = $1 AND livemode = $2 AND scope = $3 AND key = $4 AND request_id = $5",
        key.tenant.id(),
        key.tenant.livemode,
        key.scope.as_str(),
        key.key,
        uuid(request.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what is older, a bounded number at a time; says how many.
pub async fn forget_older(pool: &PgPool, than: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "/* gateway idempotency::forget_older */
         DELETE FROM idempotency_keys WHERE (merchant_id, livemode, scope, key) IN (
             SELECT merchant_id, livemode, scope, key FROM idempotency_keys WHERE created_at < $1 LIMIT 5000)",
        than,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
