//! Table `authentications`: proofs of who the cardholder is.

use kura_platform::database::PgPool;
use kura_wire::ids::{AuthenticationId, PaymentIntentId, SetupIntentId, TokenUse};
use kura_wire::three_d_secure::{AuthenticationEnd, AuthenticationFlow, AuthenticationResult, ChallengePreference};
use time::OffsetDateTime;
use uuid::Uuid;

use super::payment_intents::{NamedCard, use_word};
use super::{Claimed, Conn, Look, Tenant, claim_due, uuid};

/// What an authentication is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A payment.
    Payment(PaymentIntentId),
    /// A card that is kept.
    Setup(SetupIntentId),
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The issuer is being asked.
    Asked,
    /// The issuer asks the shopper, on this page.
    Challenge(String),
    /// It is over.
    Ended(AuthenticationEnd),
}

/// An authentication.
#[derive(Debug, Clone)]
pub struct Authentication {
    /// Its id: what the shopper's browser brings back.
    pub id: AuthenticationId,
    /// What it is for.
    pub owner: Owner,
    /// The card.
    pub card: NamedCard,
    /// Whether the merchant insists on a challenge.
    pub preference: ChallengePreference,
    /// Where it stands.
    pub state: State,
    /// When it was begun.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    payment_intent_id: Option<Uuid>,
    setup_intent_id: Option<Uuid>,
    card_record: Uuid,
    card_use: String,
    preference: String,
    state: String,
    url: Option<String>,
    transaction_id: Option<String>,
    result: Option<String>,
    flow: Option<String>,
    eci: Option<String>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Authentication {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        let owner = match (row.payment_intent_id, row.setup_intent_id) {
            (Some(id), None) => Owner::Payment(PaymentIntentId::from_bytes(id.into_bytes())),
            (None, Some(id)) => Owner::Setup(SetupIntentId::from_bytes(id.into_bytes())),
            _ => return Err(bad("owner")),
        };
        let state = match (row.state.as_str(), row.url, row.result) {
            ("asked", ..) => State::Asked,
            ("challenge", Some(url), _) => State::Challenge(url),
            ("ended", _, Some(result)) => State::Ended(AuthenticationEnd {
                result: AuthenticationResult::parse(&result).ok_or_else(|| bad("result"))?,
                flow: row.flow.as_deref().and_then(AuthenticationFlow::parse).ok_or_else(|| bad("flow"))?,
                eci: row.eci,
                transaction_id: row.transaction_id,
            }),
            _ => return Err(bad("state")),
        };
        Ok(Self {
            id: AuthenticationId::from_bytes(row.id.into_bytes()),
            owner,
            card: NamedCard {
                record: row.card_record.into_bytes(),
                allows: if row.card_use == "single" { TokenUse::Single } else { TokenUse::Multi },
            },
            preference: if row.preference == "challenge" {
                ChallengePreference::Challenge
            } else {
                ChallengePreference::None
            },
            state,
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, payment_intent_id, setup_intent_id, card_record, card_use, preference, state, url, transaction_id,
                result, flow, eci, created_at FROM authentications " + $tail,
            $($argument),*
        )
    };
}

/// Writes it down, before the issuer is asked. The worker leaves it alone until `look_at`.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    new: &Authentication,
    look_at: OffsetDateTime,
) -> sqlx::Result<()> {
    let (payment, setup) = match new.owner {
        Owner::Payment(id) => (Some(uuid(id.as_bytes())), None),
        Owner::Setup(id) => (None, Some(uuid(id.as_bytes()))),
    };
    sqlx::query!(
        "/* gateway authentications::insert */
         INSERT INTO authentications (merchant_id, id, livemode, payment_intent_id, setup_intent_id, card_record, card_use,
             preference, state, created_at, look_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'asked', $9, $10)",
        tenant.id(),
        uuid(new.id.as_bytes()),
        tenant.livemode,
        payment,
        setup,
        uuid(&new.card.record),
        use_word(new.card.allows),
        if new.preference == ChallengePreference::Challenge { "challenge" } else { "none" },
        new.created_at,
        look_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's authentication of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: AuthenticationId) -> sqlx::Result<Option<Authentication>> {
    let row = select!(
        "/* gateway authentications::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Authentication::try_from).transpose()
}

/// The one that a payment waits for.
pub(crate) async fn find_under_way(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: PaymentIntentId,
) -> sqlx::Result<Option<Authentication>> {
    let row = select!(
        "/* gateway authentications::find_under_way */ ",
        "WHERE merchant_id = $1 AND payment_intent_id = $2 AND livemode = $3 AND state <> 'ended'",
        tenant.id(),
        uuid(intent.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Authentication::try_from).transpose()
}

/// The issuer asks the shopper; false when that, or more, is known already.
pub(crate) async fn mark_challenge(
    conn: Conn<'_>,
    tenant: Tenant,
    id: AuthenticationId,
    url: &str,
    transaction_id: &str,
    look_at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway authentications::mark_challenge */
         UPDATE authentications SET state = 'challenge', url = $4, transaction_id = $5, look_at = $6, look_count = 0
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND state = 'asked'",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        url,
        transaction_id,
        look_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It is over; false when it was before. One of many comes first, the others change nothing.
pub(crate) async fn mark_ended(
    conn: Conn<'_>,
    tenant: Tenant,
    id: AuthenticationId,
    end: &AuthenticationEnd,
    at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway authentications::mark_ended */
         UPDATE authentications SET state = 'ended', result = $4, flow = $5, eci = $6,
             transaction_id = COALESCE($7, transaction_id), ended_at = $8
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND state <> 'ended'",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        end.result.as_str(),
        end.flow.as_str(),
        end.eci,
        end.transaction_id,
        at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whose an authentication is that a shopper brings back.
pub async fn find_tenant(pool: &PgPool, id: AuthenticationId) -> sqlx::Result<Option<Tenant>> {
    let row = sqlx::query!(
        "/* gateway authentications::find_tenant */ SELECT merchant_id, livemode FROM authentications WHERE id = $1",
        uuid(id.as_bytes()),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Tenant::of(row.merchant_id, row.livemode)))
}

/// Claims what is due to be looked at, each for one worker at a time, with pauses that double from `pause` up to `longest`.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<AuthenticationId>>> {
    claim_due!(
        "/* gateway authentications::claim_due */ ",
        "authentications",
        "look_at",
        "look_count",
        "state <> 'ended' AND ",
        AuthenticationId,
        pool,
        look
    )
}
