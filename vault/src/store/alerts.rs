//! Alerts that the vault raises about itself.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// Something that a person must look at.
#[derive(Debug, Clone, Copy)]
pub enum AlertKind {
    /// A sealed field failed to open where it stands.
    SealedDataUnopenable,
    /// A wrapped key failed to unwrap.
    WrappedKeyUnopenable,
    /// Shares were entered that don't make the root.
    SharesWrong,
    /// A share of a set that was retired, or that this vault never had, was entered.
    ShareForeign,
}

impl AlertKind {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SealedDataUnopenable => "sealed_data_unopenable",
            Self::WrappedKeyUnopenable => "wrapped_key_unopenable",
            Self::SharesWrong => "shares_wrong",
            Self::ShareForeign => "share_foreign",
        }
    }
}

/// Records an alert.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(
    pool: &PgPool,
    at: OffsetDateTime,
    kind: AlertKind,
    merchant: Option<Uuid>,
    record: Option<Uuid>,
    request: Option<Uuid>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault alerts::insert */
         INSERT INTO alerts (at, kind, merchant_id, record_id, request_id) VALUES ($1, $2, $3, $4, $5)",
        at,
        kind.as_str(),
        merchant,
        record,
        request
    )
    .execute(pool)
    .await
    .map(drop)
}

/// How many there are about data or keys that did not open where they stand.
///
/// # Errors
/// [`StoreError`].
pub async fn count_unopenable(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault alerts::count_unopenable */
         SELECT count(*) AS \"count!\" FROM alerts WHERE kind IN ('sealed_data_unopenable', 'wrapped_key_unopenable')"
    )
    .fetch_one(pool)
    .await
}
