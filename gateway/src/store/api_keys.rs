//! Table `api_keys`. Keys are sought and kept by their HMAC.

use kura_wire::ids::MerchantId;
use sqlx::postgres::PgPool;
use time::OffsetDateTime;

use super::{Conn, uuid};
use crate::api_key::{KeyHash, KeyKind};

/// What a key stands for.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Whose.
    pub merchant: MerchantId,
    /// Publishable or secret.
    pub kind: KeyKind,
    /// Live or test.
    pub livemode: bool,
    /// For publishable keys.
    pub allowed_origins: Vec<String>,
    /// Whether the merchant insists on the security code at a card's first charge.
    pub requires_cvc: bool,
}

/// The key, unless it was revoked.
pub async fn find(pool: &PgPool, hash: KeyHash) -> sqlx::Result<Option<KeyRow>> {
    let row = sqlx::query!(
        "/* gateway api_keys::find */ SELECT merchant_id, kind, livemode, allowed_origins, requires_cvc
         FROM api_keys JOIN merchants ON merchants.id = api_keys.merchant_id WHERE key_hash = $1 AND revoked_at IS NULL",
        hash.0.as_slice(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| {
        Some(KeyRow {
            merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
            kind: KeyKind::parse(&row.kind)?,
            livemode: row.livemode,
            allowed_origins: row.allowed_origins,
            requires_cvc: row.requires_cvc,
        })
    }))
}

/// A key that follows from what it is for: it may be there already.
pub async fn insert_once(
    pool: &PgPool,
    hash: KeyHash,
    key: &KeyRow,
    hint: &str,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway api_keys::insert_once */
         INSERT INTO api_keys (key_hash, merchant_id, kind, livemode, hint, allowed_origins, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        hash.0.as_slice(),
        uuid(key.merchant.as_bytes()),
        key.kind.as_str(),
        key.livemode,
        hint,
        &key.allowed_origins,
        at,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A new key.
pub(crate) async fn insert(
    conn: Conn<'_>,
    hash: KeyHash,
    key: &KeyRow,
    hint: &str,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway api_keys::insert */
         INSERT INTO api_keys (key_hash, merchant_id, kind, livemode, hint, allowed_origins, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        hash.0.as_slice(),
        uuid(key.merchant.as_bytes()),
        key.kind.as_str(),
        key.livemode,
        hint,
        &key.allowed_origins,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
