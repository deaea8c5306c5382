//! Attempts at moving money, recorded before anything is sent and decided once.

use kura_platform::database::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// An attempt.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// The gateway's id for it.
    pub id: Uuid,
    /// Whose.
    pub merchant_id: Uuid,
    /// Test or live.
    pub livemode: bool,
    /// The node that works on it.
    pub node: i16,
    /// `authorize`, `purchase`, `verify`, `capture`, `void`, `refund`, `tombstone`; `konbini`, `payeasy`, `emoney`, `give_back`.
    pub kind: String,
    /// The card; none for a tombstone.
    pub card_id: Option<Uuid>,
    /// Who pays without a card.
    pub payer_id: Option<Uuid>,
    /// The attempt that this one follows.
    pub original_id: Option<Uuid>,
    /// Field 37.
    pub network_reference: String,
    /// Field 11.
    pub stan: i32,
    /// Minor units.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// When; field 7 is made of it.
    pub created_at: OffsetDateTime,
    /// `approved`, `declined`, `reversed`; none while it is open.
    pub outcome: Option<String>,
    /// Field 38.
    pub approval_code: Option<String>,
    /// Field 39.
    pub response_code: Option<String>,
    /// What the network said of the CVC.
    pub cvc_check: Option<String>,
    /// It is being taken back at the network.
    pub reversing: bool,
    /// The proof of who the cardholder is that goes along.
    pub authentication_id: Option<Uuid>,
    /// The merchant set it going, of a card that it keeps.
    pub merchant_initiated: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The attempt.
    pub id: Uuid,
    /// `approved`, `declined`, `reversed`.
    pub outcome: &'static str,
    /// Field 38.
    pub approval_code: Option<String>,
    /// Field 39.
    pub response_code: Option<String>,
    /// What the network said of the CVC.
    pub cvc_check: Option<&'static str>,
    /// When.
    pub at: OffsetDateTime,
}

/// Inserts those that are new, in one statement, and gives their ids: an attempt that is not among them existed.
///
/// # Errors
/// [`StoreError`]; none is inserted then.
pub async fn insert_new(connection: &mut PgConnection, rows: &[&AttemptRow]) -> Result<Vec<Uuid>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let merchants: Vec<Uuid> = rows.iter().map(|row| row.merchant_id).collect();
    let livemodes: Vec<bool> = rows.iter().map(|row| row.livemode).collect();
    let kinds: Vec<String> = rows.iter().map(|row| row.kind.clone()).collect();
    let cards: Vec<Option<Uuid>> = rows.iter().map(|row| row.card_id).collect();
    let originals: Vec<Option<Uuid>> = rows.iter().map(|row| row.original_id).collect();
    let references: Vec<String> = rows.iter().map(|row| row.network_reference.clone()).collect();
    let stans: Vec<i32> = rows.iter().map(|row| row.stan).collect();
    let amounts: Vec<i64> = rows.iter().map(|row| row.amount_minor).collect();
    let currencies: Vec<String> = rows.iter().map(|row| row.currency.clone()).collect();
    let created: Vec<OffsetDateTime> = rows.iter().map(|row| row.created_at).collect();
    let outcomes: Vec<Option<String>> = rows.iter().map(|row| row.outcome.clone()).collect();
    let nodes: Vec<i16> = rows.iter().map(|row| row.node).collect();
    let payers: Vec<Option<Uuid>> = rows.iter().map(|row| row.payer_id).collect();
    let authentications: Vec<Option<Uuid>> = rows.iter().map(|row| row.authentication_id).collect();
    let initiated: Vec<bool> = rows.iter().map(|row| row.merchant_initiated).collect();
    sqlx::query_scalar!(
        "/* vault attempts::insert_new */
         INSERT INTO attempts (id, merchant_id, livemode, kind, card_id, original_id, network_reference, stan, amount_minor,
             currency, created_at, outcome, node, authentication_id, merchant_initiated,
             payer_id)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::boolean[], $4::text[], $5::uuid[], $6::uuid[], $7::text[],
             $8::integer[], $9::bigint[], $10::text[], $11::timestamptz[], $12::text[], $13::smallint[], $14::uuid[],
             $15::boolean[], $16::uuid[])
         ON CONFLICT (id) DO NOTHING RETURNING id",
        &ids,
        &merchants,
        &livemodes,
        &kinds,
        &cards as &[Option<Uuid>],
        &originals as &[Option<Uuid>],
        &references,
        &stans,
        &amounts,
        &currencies,
        &created,
        &outcomes as &[Option<String>],
        &nodes,
        &authentications as &[Option<Uuid>],
        &initiated,
        &payers as &[Option<Uuid>]
    )
    .fetch_all(connection)
    .await
}

/// Decides those that are open, in one statement, and gives their ids. What is decided stays as it is; what is being taken back
/// can only turn out reversed, whatever its own answer said.
///
/// # Errors
/// [`StoreError`]; none is decided then.
pub async fn decide_all(connection: &mut PgConnection, decisions: &[Decision]) -> Result<Vec<Uuid>, StoreError> {
    let ids: Vec<Uuid> = decisions.iter().map(|decision| decision.id).collect();
    let outcomes: Vec<String> = decisions.iter().map(|decision| decision.outcome.to_owned()).collect();
    let approvals: Vec<Option<String>> = decisions.iter().map(|decision| decision.approval_code.clone()).collect();
    let responses: Vec<Option<String>> = decisions.iter().map(|decision| decision.response_code.clone()).collect();
    let checks: Vec<Option<String>> = decisions.iter().map(|decision| decision.cvc_check.map(str::to_owned)).collect();
    let ats: Vec<OffsetDateTime> = decisions.iter().map(|decision| decision.at).collect();
    sqlx::query_scalar!(
        "/* vault attempts::decide_all */
         UPDATE attempts SET outcome = new.outcome, approval_code = new.approval_code, response_code = new.response_code,
             cvc_check = new.cvc_check, decided_at = new.at
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
             AS new (id, outcome, approval_code, response_code, cvc_check, at)
         WHERE attempts.id = new.id AND attempts.outcome IS NULL AND (NOT attempts.reversing OR new.outcome = 'reversed')
         RETURNING attempts.id",
        &ids,
        &outcomes,
        &approvals as &[Option<String>],
        &responses as &[Option<String>],
        &checks as &[Option<String>],
        &ats
    )
    .fetch_all(connection)
    .await
}

/// From now on it can only turn out reversed. False when it is decided.
///
/// # Errors
/// [`StoreError`]; nothing may be taken back then.
pub async fn mark_reversing(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "/* vault attempts::mark_reversing */ UPDATE attempts SET reversing = true WHERE id = $1 AND outcome IS NULL",
        id
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The network won't take it back: its own answer counts again.
///
/// # Errors
/// [`StoreError`].
pub async fn mark_standing(pool: &PgPool, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "/* vault attempts::mark_standing */ UPDATE attempts SET reversing = false WHERE id = $1 AND outcome IS NULL",
        id
    )
    .execute(pool)
    .await
    .map(drop)
}

/// An attempt, whoever's: the caller compares.
///
/// # Errors
/// [`StoreError`].
pub async fn find(pool: &PgPool, id: Uuid) -> Result<Option<AttemptRow>, StoreError> {
    sqlx::query_as!(
        AttemptRow,
        "/* vault attempts::find */
         SELECT id, merchant_id, livemode, kind, card_id, original_id, network_reference, stan, amount_minor, currency,
             created_at, outcome, approval_code, response_code, cvc_check, node, reversing,
             authentication_id, merchant_initiated, payer_id
         FROM attempts WHERE id = $1",
        id
    )
    .fetch_optional(pool)
    .await
}
