//! Questions of 3-D Secure, recorded before they are asked and ended once.

use kura_platform::database::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A question.
#[derive(Debug, Clone)]
pub struct AuthenticationRow {
    /// The gateway's id for it.
    pub id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// The node that asks.
    pub node: i16,
    /// Of which card.
    pub card_id: Uuid,
    /// Minor units; none where the card is only saved.
    pub amount_minor: Option<i64>,
    /// Three lower-case letters.
    pub currency: Option<String>,
    /// When.
    pub created_at: OffsetDateTime,
    /// The access control server's id of it.
    pub transaction_id: Option<String>,
    /// How it ended, in the word of [`kura_wire::three_d_secure::AuthenticationResult`]; none while it is open.
    pub result: Option<String>,
    /// Whether the shopper was asked.
    pub flow: Option<String>,
    /// Electronic commerce indicator.
    pub eci: Option<String>,
}

/// How one ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// Its word.
    pub result: &'a str,
    /// Its word.
    pub flow: &'a str,
    /// Two digits.
    pub eci: Option<&'a str>,
    /// The access control server's id of it.
    pub transaction_id: Option<&'a str>,
    /// When.
    pub at: OffsetDateTime,
}

/// Inserts it; false when the id was used before.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(pool: &PgPool, row: &AuthenticationRow) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault authentications::insert */
         INSERT INTO authentications (id, merchant_id, livemode, node, card_id, amount_minor, currency, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
        row.id,
        row.merchant_id,
        row.livemode,
        row.node,
        row.card_id,
        row.amount_minor,
        row.currency,
        row.created_at
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One, whoever's: the caller compares.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: Uuid) -> Result<Option<AuthenticationRow>, StoreError> {
    sqlx::query_as!(
        AuthenticationRow,
        "/* vault authentications::find */
         SELECT id, merchant_id, livemode, node, card_id, amount_minor, currency, created_at, transaction_id, result, flow, eci
         FROM authentications WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await
}

/// The shopper is asked, on this page.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_challenge(pool: &PgPool, id: Uuid, url: &str, transaction_id: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault authentications::mark_challenge */
         UPDATE authentications SET challenge_url = $2, transaction_id = $3 WHERE id = $1 AND result IS NULL",
        id,
        url,
        transaction_id
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Ends it; what has ended stays as it is.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_ended(pool: &PgPool, id: Uuid, end: End<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault authentications::mark_ended */
         UPDATE authentications SET result = $2, flow = $3, eci = $4, transaction_id = $5, ended_at = $6
         WHERE id = $1 AND result IS NULL",
        id,
        end.result,
        end.flow,
        end.eci,
        end.transaction_id,
        end.at
    )
    .execute(pool)
    .await
    .map(drop)
}
