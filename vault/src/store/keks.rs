//! Key encryption keys by version, and the secrets wrapped under them that are no DEKs.

use kura_platform::database::{PgConnection, PgPool};
use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A KEK as the database has it.
pub struct KekRow {
    /// Ascending; the newest is the active one.
    pub version: i32,
    /// Whose: `dev-file`, `shamir` or `pkcs11`.
    pub provider: String,
    /// What the provider opens it by.
    pub material: Vec<u8>,
    /// `active`, `retired` or `destroyed`.
    pub state: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Since when it wraps nothing more.
    pub retired_at: Option<OffsetDateTime>,
    /// Since when it is gone.
    pub destroyed_at: Option<OffsetDateTime>,
}

/// A wrapped secret.
pub struct SecretRow {
    /// The KEK that wrapped it.
    pub kek_version: i32,
    /// As a KEK's `wrap` made it.
    pub secret_wrapped: Vec<u8>,
}

/// All of them, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list(executor: impl PgExecutor<'_>) -> Result<Vec<KekRow>, StoreError> {
    sqlx::query_as!(
        KekRow,
        "/* vault keks::list */
         SELECT version, provider, material, state, created_at, retired_at, destroyed_at FROM keks ORDER BY version"
    )
    .fetch_all(executor)
    .await
}

/// Inserts the active KEK. With another active one, or the same version, nothing happens: false. So too when its root is that
/// of custodians who are not the active ones (any more): nobody could open it after the next start.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_active(
    executor: impl PgExecutor<'_>,
    version: i32,
    provider: &str,
    material: &[u8],
    custodians: Option<Uuid>,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault keks::insert_active */
         WITH root AS (SELECT FROM custodian_sets WHERE id = $4 AND state = 'active' FOR SHARE)
         INSERT INTO keks (version, provider, material, state, created_at)
         SELECT $1, $2, $3, 'active', $5 WHERE $4::uuid IS NULL OR EXISTS (SELECT FROM root)
         ON CONFLICT DO NOTHING",
        version,
        provider,
        material,
        custodians,
        now
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the active KEK's time. False when this version isn't the active one.
///
/// # Errors
/// [`StoreError`].
pub async fn retire(connection: &mut PgConnection, version: i32, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault keks::retire */
         UPDATE keks SET state = 'retired', retired_at = $2 WHERE version = $1 AND state = 'active'",
        version,
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Destroys retired KEKs under which nothing is wrapped any more. Gives their versions.
///
/// # Errors
/// [`StoreError`].
pub async fn destroy_unused(pool: &PgPool, now: OffsetDateTime) -> Result<Vec<i32>, StoreError> {
    sqlx::query_scalar!(
        "/* vault keks::destroy_unused */
         UPDATE keks SET state = 'destroyed', destroyed_at = $1, material = ''::bytea
         WHERE state = 'retired'
           AND NOT EXISTS (SELECT FROM deks WHERE deks.kek_version = keks.version AND deks.state <> 'destroyed')
           AND NOT EXISTS (SELECT FROM root_secrets WHERE root_secrets.kek_version = keks.version)
           AND NOT EXISTS (SELECT FROM imports WHERE imports.kek_version = keks.version AND imports.finished_at IS NULL)
         RETURNING version",
        now
    )
    .fetch_all(pool)
    .await
}

/// Replaces what a provider opens KEKs by, when its root changed and the KEKs did not.
///
/// # Errors
/// [`StoreError`].
pub async fn replace_material(connection: &mut PgConnection, version: i32, material: &[u8]) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault keks::replace_material */ UPDATE keks SET material = $2 WHERE version = $1 AND state <> 'destroyed'",
        version,
        material
    )
    .execute(connection)
    .await
    .map(drop)
}

/// A secret by its name.
///
/// # Errors
/// [`StoreError`].
pub async fn find_secret(pool: &PgPool, name: &str) -> Result<Option<SecretRow>, StoreError> {
    sqlx::query_as!(
        SecretRow,
        "/* vault keks::find_secret */ SELECT kek_version, secret_wrapped FROM root_secrets WHERE name = $1",
        name
    )
    .fetch_optional(pool)
    .await
}

/// Inserts a secret unless another node was first.
///
/// # Errors
/// [`StoreError`].
pub async fn insert_secret(
    pool: &PgPool,
    name: &str,
    kek_version: i32,
    wrapped: &[u8],
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault keks::insert_secret */
         INSERT INTO root_secrets (name, kek_version, secret_wrapped, created_at)
         SELECT $1, version, $3, $4 FROM keks WHERE version = $2 AND state = 'active' FOR SHARE
         ON CONFLICT DO NOTHING",
        name,
        kek_version,
        wrapped,
        now
    )
    .execute(pool)
    .await
    .map(drop)
}

/// The secrets that are not wrapped under this version.
///
/// # Errors
/// [`StoreError`].
pub async fn list_secrets_under_others(pool: &PgPool, version: i32) -> Result<Vec<(String, SecretRow)>, StoreError> {
    let rows = sqlx::query!(
        "/* vault keks::list_secrets_under_others */
         SELECT name, kek_version, secret_wrapped FROM root_secrets WHERE kek_version <> $1",
        version
    )
    .fetch_all(pool)
    .await?;
    let secret = |kek_version, secret_wrapped| SecretRow { kek_version, secret_wrapped };
    Ok(rows.into_iter().map(|row| (row.name, secret(row.kek_version, row.secret_wrapped))).collect())
}

/// Puts a secret under another KEK.
///
/// # Errors
/// [`StoreError`].
pub async fn rewrap_secret(
    pool: &PgPool,
    name: &str,
    old_version: i32,
    version: i32,
    wrapped: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault keks::rewrap_secret */
         UPDATE root_secrets SET kek_version = $3, secret_wrapped = $4 WHERE name = $1 AND kek_version = $2",
        name,
        old_version,
        version,
        wrapped
    )
    .execute(pool)
    .await
    .map(drop)
}
