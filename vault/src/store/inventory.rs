//! What the inventory of keys says of those in the database. No wrapping is read.

use kura_platform::database::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A DEK's metadata.
pub struct DekFacts {
    /// Its id.
    pub id: i64,
    /// Whose.
    pub merchant_id: Uuid,
    /// Of which class.
    pub data_class: String,
    /// Which of them.
    pub epoch: i32,
    /// The KEK that wraps it.
    pub kek_version: i32,
    /// `active`, `retired`, `destroyed`.
    pub state: String,
    /// Seals that were reserved.
    pub seals_reserved: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A root secret's metadata.
pub struct SecretFacts {
    /// Its name.
    pub name: String,
    /// The KEK that wraps it.
    pub kek_version: i32,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// DEKs: active ones first, then retired, then destroyed; each oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list_deks(pool: &PgPool, limit: i64) -> Result<Vec<DekFacts>, StoreError> {
    sqlx::query_as!(
        DekFacts,
        "/* vault inventory::list_deks */
         SELECT id, merchant_id, data_class, epoch, kek_version, state, seals_reserved, created_at FROM deks
         ORDER BY state = 'destroyed', state = 'retired', id LIMIT $1",
        limit
    )
    .fetch_all(pool)
    .await
}

/// How many DEKs there are.
///
/// # Errors
/// [`StoreError`].
pub async fn count_deks(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!("/* vault inventory::count_deks */ SELECT count(*) AS \"count!\" FROM deks")
        .fetch_one(pool)
        .await
}

/// All root secrets.
///
/// # Errors
/// [`StoreError`].
pub async fn list_secrets(pool: &PgPool) -> Result<Vec<SecretFacts>, StoreError> {
    sqlx::query_as!(
        SecretFacts,
        "/* vault inventory::list_secrets */ SELECT name, kek_version, created_at FROM root_secrets ORDER BY name"
    )
    .fetch_all(pool)
    .await
}
