//! Table `api_keys`. Keys are sought and kept by their HMAC, and named by an id.

use ipnet::IpNet;
use kura_platform::database::PgPool;
use kura_wire::ids::{ApiKeyId, MerchantId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, uuid};
use crate::api_key::{KeyHash, KeyKind};
use crate::endpoint::rights::Rights;

/// What a key stands for.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Its name.
    pub id: ApiKeyId,
    /// Whose.
    pub merchant: MerchantId,
    /// Publishable, secret or restricted.
    pub kind: KeyKind,
    /// Live or test.
    pub livemode: bool,
    /// Its prefix and last letters.
    pub hint: String,
    /// What its maker calls it.
    pub name: Option<String>,
    /// For restricted keys.
    pub rights: Rights,
    /// For publishable keys.
    pub allowed_origins: Vec<String>,
    /// From where it may be used; from everywhere where there are none.
    pub allowed_addresses: Vec<IpNet>,
    /// Until when.
    pub expires_at: Option<OffsetDateTime>,
    /// Since when no more.
    pub revoked_at: Option<OffsetDateTime>,
    /// Whether the merchant insists on the security code at a card's first charge.
    pub requires_cvc: bool,
}

/// A key as its list shows it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The key.
    pub key: KeyRow,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last used, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
    /// What took its place.
    pub rolled_to: Option<ApiKeyId>,
}

struct Row {
    id: Uuid,
    merchant_id: Uuid,
    kind: String,
    livemode: bool,
    hint: String,
    name: Option<String>,
    rights: Vec<String>,
    allowed_origins: Vec<String>,
    allowed_addresses: Vec<IpNet>,
    expires_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
    requires_cvc: bool,
    created_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
    rolled_to: Option<Uuid>,
}

impl Row {
    fn kept(self) -> Option<Kept> {
        Some(Kept {
            key: KeyRow {
                id: ApiKeyId::from_bytes(self.id.into_bytes()),
                merchant: MerchantId::from_bytes(self.merchant_id.into_bytes()),
                kind: KeyKind::parse(&self.kind)?,
                livemode: self.livemode,
                hint: self.hint,
                name: self.name,
                rights: Rights::stored(&self.rights),
                allowed_origins: self.allowed_origins,
                allowed_addresses: self.allowed_addresses,
                expires_at: self.expires_at,
                revoked_at: self.revoked_at,
                requires_cvc: self.requires_cvc,
            },
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            rolled_to: self.rolled_to.map(|id| ApiKeyId::from_bytes(id.into_bytes())),
        })
    }
}

macro_rules! select {
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT api_keys.id, merchant_id, kind, livemode, hint, api_keys.name, rights, allowed_origins,
                allowed_addresses, expires_at, revoked_at, requires_cvc, api_keys.created_at, last_used_at, rolled_to
             FROM api_keys JOIN merchants ON merchants.id = api_keys.merchant_id " + $tail,
            $($argument),*
        )
    };
}

/// The key, also one that was revoked.
pub async fn find(pool: &PgPool, hash: KeyHash) -> sqlx::Result<Option<KeyRow>> {
    let row = select!("/* gateway api_keys::find */ ", "WHERE key_hash = $1", hash.0.as_slice());
    Ok(row.fetch_optional(pool).await?.and_then(Row::kept).map(|kept| kept.key))
}

/// The key of this name, which nobody else changes meanwhile.
pub(crate) async fn lock(conn: Conn<'_>, id: ApiKeyId) -> sqlx::Result<Option<Kept>> {
    let row =
        select!("/* gateway api_keys::lock */ ", "WHERE api_keys.id = $1 FOR UPDATE OF api_keys", uuid(id.as_bytes()),);
    Ok(row.fetch_optional(conn).await?.and_then(Row::kept))
}

/// A merchant's keys, newest first.
pub(crate) async fn list(pool: &PgPool, merchant: MerchantId) -> sqlx::Result<Vec<Kept>> {
    let rows = select!(
        "/* gateway api_keys::list */ ",
        "WHERE merchant_id = $1 ORDER BY api_keys.created_at DESC, api_keys.id DESC LIMIT 1000",
        uuid(merchant.as_bytes()),
    );
    Ok(rows.fetch_all(pool).await?.into_iter().filter_map(Row::kept).collect())
}

/// A new key. One that is there stays as it is.
pub(crate) async fn insert(conn: Conn<'_>, hash: KeyHash, key: &KeyRow, at: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway api_keys::insert */
         INSERT INTO api_keys (key_hash, id, merchant_id, kind, livemode, hint, name, rights, allowed_origins,
             allowed_addresses, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (key_hash) DO NOTHING",
        hash.0.as_slice(),
        uuid(key.id.as_bytes()),
        uuid(key.merchant.as_bytes()),
        key.kind.as_str(),
        key.livemode,
        key.hint,
        key.name,
        &key.rights.words(),
        &key.allowed_origins,
        &key.allowed_addresses,
        key.expires_at,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Other bounds.
pub(crate) async fn change(conn: Conn<'_>, key: &KeyRow) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway api_keys::change */
         UPDATE api_keys SET name = $2, rights = $3, allowed_origins = $4, allowed_addresses = $5, expires_at = $6
         WHERE id = $1",
        uuid(key.id.as_bytes()),
        key.name,
        &key.rights.words(),
        &key.allowed_origins,
        &key.allowed_addresses,
        key.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another key takes its place.
pub(crate) async fn mark_rolled(
    conn: Conn<'_>,
    old: ApiKeyId,
    new: ApiKeyId,
    until: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway api_keys::mark_rolled */ UPDATE api_keys SET rolled_to = $2, expires_at = $3 WHERE id = $1",
        uuid(old.as_bytes()),
        uuid(new.as_bytes()),
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It is no more. False where there is none that is.
pub(crate) async fn revoke(pool: &PgPool, id: ApiKeyId, at: OffsetDateTime) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway api_keys::revoke */ UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        uuid(id.as_bytes()),
        at,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// When each was last used.
pub(crate) async fn mark_used(pool: &PgPool, used: &[(ApiKeyId, OffsetDateTime)]) -> sqlx::Result<()> {
    let (ids, at): (Vec<Uuid>, Vec<OffsetDateTime>) = used.iter().map(|(id, at)| (uuid(id.as_bytes()), *at)).unzip();
    sqlx::query!(
        "/* gateway api_keys::mark_used */
         UPDATE api_keys SET last_used_at = used.at FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
         WHERE api_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)",
        &ids,
        &at,
    )
    .execute(pool)
    .await?;
    Ok(())
}
