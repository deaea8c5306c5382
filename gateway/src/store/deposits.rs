//! Table `deposits`: payments that a shopper is to bring, each asked of a network by one attempt.

use kura_platform::database::PgPool;
use kura_wire::deposit::Instructions;
use kura_wire::ids::{AttemptId, PayerId, PaymentIntentId};
use kura_wire::payer::PayerMethod;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::payers::{of_word, word};
use super::{Conn, Tenant, uuid};

/// Where one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The network is being asked.
    Asked,
    /// The shopper is to act.
    Waiting,
    /// The money is there, and booked for its payment.
    Paid,
    /// It will not come.
    Ended,
    /// It came when its payment could not take it any more.
    Unapplied,
}

impl State {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Waiting => "waiting",
            Self::Paid => "paid",
            Self::Ended => "ended",
            Self::Unapplied => "unapplied",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Asked, Self::Waiting, Self::Paid, Self::Ended, Self::Unapplied]
            .into_iter()
            .find(|state| state.as_str() == word)
    }

    /// Whether the money may still come in time.
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Asked | Self::Waiting)
    }
}

/// A deposit.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// The attempt that asked for it.
    pub id: AttemptId,
    /// The payment.
    pub intent: PaymentIntentId,
    /// Who pays.
    pub payer: PayerId,
    /// How.
    pub method: PayerMethod,
    /// Where it stands.
    pub state: State,
    /// What stands on the receipt.
    pub description: Option<String>,
    /// Konbini: the number of the merchant's choice.
    pub confirmation_number: Option<String>,
    /// What the shopper is to do.
    pub instructions: Option<Instructions>,
    /// Until when it can be paid.
    pub expires_at: OffsetDateTime,
    /// When it was paid.
    pub paid_at: Option<OffsetDateTime>,
    /// Where.
    pub place: Option<String>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    payment_intent_id: Uuid,
    payer_id: Uuid,
    method: String,
    state: String,
    description: Option<String>,
    confirmation_number: Option<String>,
    instructions: Option<Value>,
    expires_at: OffsetDateTime,
    paid_at: Option<OffsetDateTime>,
    place: Option<String>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Deposit {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        Ok(Self {
            id: AttemptId::from_bytes(row.id.into_bytes()),
            intent: PaymentIntentId::from_bytes(row.payment_intent_id.into_bytes()),
            payer: PayerId::from_bytes(row.payer_id.into_bytes()),
            method: of_word(&row.method).ok_or_else(|| bad("method"))?,
            state: State::parse(&row.state).ok_or_else(|| bad("state"))?,
            description: row.description,
            confirmation_number: row.confirmation_number,
            instructions: row
                .instructions
                .map(serde_json::from_value)
                .transpose()
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            expires_at: row.expires_at,
            paid_at: row.paid_at,
            place: row.place,
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, payment_intent_id, payer_id, method, state, description, confirmation_number, instructions,
                expires_at, paid_at, place, created_at FROM deposits " + $tail,
            $($argument),*
        )
    };
}

/// Writes it down, before the network is asked.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, new: &Deposit) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway deposits::insert */
         INSERT INTO deposits (merchant_id, id, livemode, payment_intent_id, payer_id, method, state, description,
             confirmation_number, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant.id(),
        uuid(new.id.as_bytes()),
        tenant.livemode,
        uuid(new.intent.as_bytes()),
        uuid(new.payer.as_bytes()),
        word(new.method),
        new.state.as_str(),
        new.description,
        new.confirmation_number,
        new.expires_at,
        new.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's deposit of this attempt.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: AttemptId) -> sqlx::Result<Option<Deposit>> {
    let row = select!(
        "/* gateway deposits::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Deposit::try_from).transpose()
}

/// The deposit that a payment waits for.
pub(crate) async fn find_under_way(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: PaymentIntentId,
) -> sqlx::Result<Option<Deposit>> {
    let row = select!(
        "/* gateway deposits::find_under_way */ ",
        "WHERE merchant_id = $1 AND payment_intent_id = $2 AND livemode = $3 AND state IN ('asked', 'waiting')",
        tenant.id(),
        uuid(intent.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Deposit::try_from).transpose()
}

/// Writes where it stands now.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, deposit: &Deposit) -> sqlx::Result<()> {
    let instructions = deposit.instructions.as_ref().map(serde_json::to_value).transpose();
    sqlx::query!(
        "/* gateway deposits::update */
         UPDATE deposits SET state = $3, instructions = $4, paid_at = $5, place = $6 WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(deposit.id.as_bytes()),
        deposit.state.as_str(),
        instructions.map_err(|error| sqlx::Error::Encode(error.into()))?,
        deposit.paid_at,
        deposit.place,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose it is, for a shopper who brings the id alone.
pub(crate) async fn find_tenant(pool: &PgPool, id: AttemptId) -> sqlx::Result<Option<Tenant>> {
    let row = sqlx::query!(
        "/* gateway deposits::find_tenant */
         SELECT merchant_id, livemode FROM deposits WHERE id = $1",
        uuid(id.as_bytes()),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Tenant::of(row.merchant_id, row.livemode)))
}
