//! Alerts that the vault raises about itself. Each is logged too, where its row is written.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// Something that a person must look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertKind {
    /// A sealed field failed to open where it stands.
    SealedDataUnopenable,
    /// A wrapped key failed to unwrap.
    WrappedKeyUnopenable,
    /// Rows of the access ledger stand in the default partition: their day had none of its own.
    LedgerDayMissing,
    /// The access ledger is not what this vault has signed.
    LedgerInconsistent,
    /// A peer opened more than its budget.
    BudgetExceeded,
    /// Somebody used a record that nobody has a reason to use.
    CanaryUsed,
    /// A card on the watchlist was tokenized or used ([`crate::store::exposed_cards`] inserts it).
    ExposedCardUsed,
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
            Self::LedgerDayMissing => "ledger_day_missing",
            Self::LedgerInconsistent => "ledger_inconsistent",
            Self::BudgetExceeded => "budget_exceeded",
            Self::CanaryUsed => "canary_used",
            Self::ExposedCardUsed => "exposed_card_used",
            Self::SharesWrong => "shares_wrong",
            Self::ShareForeign => "share_foreign",
        }
    }
}

/// What an alert says.
#[derive(Debug, Clone, Copy)]
pub struct Raised<'a> {
    /// What happened.
    pub kind: AlertKind,
    /// Whose record.
    pub merchant: Option<Uuid>,
    /// The record.
    pub record: Option<Uuid>,
    /// The request.
    pub request: Option<Uuid>,
    /// Who asked.
    pub peer: Option<&'a str>,
    /// For what.
    pub purpose: Option<&'a str>,
}

/// An alert that was raised.
#[derive(Debug, Clone)]
pub struct AlertRow {
    /// Grows.
    pub id: i64,
    /// When.
    pub at: OffsetDateTime,
    /// What happened.
    pub kind: String,
    /// Whose record.
    pub merchant_id: Option<Uuid>,
    /// The record.
    pub record_id: Option<Uuid>,
    /// The request.
    pub request_id: Option<Uuid>,
    /// Who asked.
    pub peer: Option<String>,
    /// For what.
    pub purpose: Option<String>,
}

/// Records an alert about a record.
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
    let raised = Raised { kind, merchant, record, request, peer: None, purpose: None };
    raise(&mut *pool.acquire().await?, at, raised).await
}

/// Logs an alert and records it, in the caller's transaction if there is one.
///
/// # Errors
/// [`StoreError`]; it is in the log all the same.
pub async fn raise(connection: &mut PgConnection, at: OffsetDateTime, raised: Raised<'_>) -> Result<(), StoreError> {
    let Raised { kind, merchant, record, request, peer, purpose } = raised;
    let [owner, named, asked] = [merchant, record, request].map(|id| id.map(|id| id.simple().to_string()));
    tracing::error!(
        alert = kind.as_str(),
        merchant = owner,
        record = named,
        request_id = asked,
        peer,
        purpose,
        "alert"
    );
    sqlx::query!(
        "/* vault alerts::raise */
         INSERT INTO alerts (at, kind, merchant_id, record_id, request_id, peer, purpose)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        at,
        kind.as_str(),
        merchant,
        record,
        request,
        peer,
        purpose
    )
    .execute(connection)
    .await
    .map(drop)
}

/// How many there are about data or keys that did not open where they stand.
///
/// # Errors
/// [`StoreError`].
pub async fn count_unopenable(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!(
        "/* vault alerts::count_unopenable */ SELECT count(*) AS \"count!\" FROM alerts WHERE kind LIKE '%_unopenable'"
    )
    .fetch_one(pool)
    .await
}

/// The newest ones after `after`, newest first.
///
/// # Errors
/// [`StoreError`].
pub async fn list(pool: &PgPool, after: i64, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
    sqlx::query_as!(
        AlertRow,
        "/* vault alerts::list */
         SELECT id, at, kind, merchant_id, record_id, request_id, peer, purpose
         FROM alerts WHERE id > $1 ORDER BY id DESC LIMIT $2",
        after,
        limit
    )
    .fetch_all(pool)
    .await
}
