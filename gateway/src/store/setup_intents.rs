//! Table `setup_intents`.

use kura_platform::database::PgPool;
use kura_wire::ids::{AttemptId, AuthenticationId, CustomerId, SetupIntentId, TokenUse};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::payment_intents::{FutureUsage, NamedCard, ThreeDSecure, use_word};
use super::{Claimed, Conn, Cursor, Listed, Look, Page, Tenant, claim_due, object, page_of, uuid};
use crate::domain::setup_intent::Status;

/// A question to the network that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub attempt: AttemptId,
    /// ISO 8583 field 37.
    pub network_reference: String,
}

/// Why the last card was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupError {
    /// Of the catalogue.
    pub code: String,
    /// The network's reason.
    pub decline_code: Option<String>,
    /// The card.
    pub record: [u8; 16],
}

/// A SetupIntent.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its id.
    pub id: SetupIntentId,
    /// Where it stands.
    pub status: Status,
    /// What the card is kept for.
    pub usage: FutureUsage,
    /// For whom.
    pub customer: Option<CustomerId>,
    /// The card.
    pub card: Option<NamedCard>,
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// Whether the merchant left the methods to us.
    pub automatic_payment_methods: bool,
    /// Where the shopper goes after the issuer's page.
    pub return_url: Option<String>,
    /// When 3-D Secure is asked for.
    pub three_d_secure: ThreeDSecure,
    /// The last refusal.
    pub last_error: Option<SetupError>,
    /// Why it was called off.
    pub cancellation_reason: Option<String>,
    /// What is under way at the network.
    pub question: Option<Question>,
    /// The proof of who the cardholder is.
    pub authentication: Option<AuthenticationId>,
    /// When somebody else than its asker may look at the question.
    pub resolve_at: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    status: String,
    usage: String,
    customer_id: Option<Uuid>,
    card_record: Option<Uuid>,
    card_use: Option<String>,
    description: Option<String>,
    metadata: Value,
    automatic_payment_methods: bool,
    return_url: Option<String>,
    request_three_d_secure: String,
    error_code: Option<String>,
    error_decline_code: Option<String>,
    error_card_record: Option<Uuid>,
    cancellation_reason: Option<String>,
    attempt_id: Option<Uuid>,
    network_reference: Option<String>,
    authentication_id: Option<Uuid>,
    resolve_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Setup {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        let card = row.card_record.zip(row.card_use).map(|(record, word)| NamedCard {
            record: record.into_bytes(),
            allows: if word == "single" { TokenUse::Single } else { TokenUse::Multi },
        });
        let last_error = row.error_code.zip(row.error_card_record).map(|(code, record)| SetupError {
            code,
            decline_code: row.error_decline_code,
            record: record.into_bytes(),
        });
        let question = row.attempt_id.zip(row.network_reference).map(|(id, network_reference)| Question {
            attempt: AttemptId::from_bytes(id.into_bytes()),
            network_reference,
        });
        Ok(Self {
            id: SetupIntentId::from_bytes(row.id.into_bytes()),
            status: Status::parse(&row.status).ok_or_else(|| bad("status"))?,
            usage: FutureUsage::parse(&row.usage).ok_or_else(|| bad("usage"))?,
            customer: row.customer_id.map(|id| CustomerId::from_bytes(id.into_bytes())),
            card,
            description: row.description,
            metadata: object(row.metadata),
            automatic_payment_methods: row.automatic_payment_methods,
            return_url: row.return_url,
            three_d_secure: ThreeDSecure::parse(&row.request_three_d_secure)
                .ok_or_else(|| bad("request_three_d_secure"))?,
            last_error,
            cancellation_reason: row.cancellation_reason,
            question,
            authentication: row.authentication_id.map(|id| AuthenticationId::from_bytes(id.into_bytes())),
            resolve_at: row.resolve_at,
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, status, usage, customer_id, card_record, card_use, description, metadata,
                automatic_payment_methods, return_url, request_three_d_secure, error_code, error_decline_code,
                error_card_record, cancellation_reason, attempt_id, network_reference, authentication_id, resolve_at, created_at
                FROM setup_intents " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, setup: &Setup) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway setup_intents::insert */
         INSERT INTO setup_intents (merchant_id, id, livemode, status, usage, customer_id, card_record, card_use, description,
             metadata, automatic_payment_methods, return_url, request_three_d_secure, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(setup.id.as_bytes()),
        tenant.livemode,
        setup.status.as_str(),
        setup.usage.as_str(),
        setup.customer.map(|id| uuid(id.as_bytes())),
        setup.card.map(|card| uuid(&card.record)),
        setup.card.map(|card| use_word(card.allows)),
        setup.description,
        Value::Object(setup.metadata.clone()),
        setup.automatic_payment_methods,
        setup.return_url,
        setup.three_d_secure.as_str(),
        setup.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's SetupIntent of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: SetupIntentId) -> sqlx::Result<Option<Setup>> {
    let row = select!(
        "/* gateway setup_intents::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Setup::try_from).transpose()
}

/// The merchant's SetupIntents of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[SetupIntentId]) -> sqlx::Result<Vec<Setup>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway setup_intents::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Setup::try_from).collect()
}

/// The same, locked until the transaction ends: whatever changes it begins here.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: SetupIntentId) -> sqlx::Result<Option<Setup>> {
    let row = select!(
        "/* gateway setup_intents::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Setup::try_from).transpose()
}

/// Writes all that can change.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, setup: &Setup) -> sqlx::Result<()> {
    let error = setup.last_error.as_ref();
    sqlx::query!(
        "/* gateway setup_intents::update */
         UPDATE setup_intents SET status = $4, usage = $5, customer_id = $6, card_record = $7, card_use = $8, description = $9,
             metadata = $10, return_url = $11, request_three_d_secure = $12, error_code = $13, error_decline_code = $14,
             error_card_record = $15, cancellation_reason = $16, attempt_id = $17, network_reference = $18,
             authentication_id = $19, resolve_at = $20
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(setup.id.as_bytes()),
        tenant.livemode,
        setup.status.as_str(),
        setup.usage.as_str(),
        setup.customer.map(|id| uuid(id.as_bytes())),
        setup.card.map(|card| uuid(&card.record)),
        setup.card.map(|card| use_word(card.allows)),
        setup.description,
        Value::Object(setup.metadata.clone()),
        setup.return_url,
        setup.three_d_secure.as_str(),
        error.map(|error| error.code.as_str()),
        error.and_then(|error| error.decline_code.as_deref()),
        error.map(|error| uuid(&error.record)),
        setup.cancellation_reason,
        setup.question.as_ref().map(|question| uuid(question.attempt.as_bytes())),
        setup.question.as_ref().map(|question| question.network_reference.as_str()),
        setup.authentication.map(|id| uuid(id.as_bytes())),
        setup.resolve_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's SetupIntents, perhaps of one customer.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: Option<CustomerId>,
    page: &Page,
) -> sqlx::Result<Listed<Setup>> {
    let rows = match customer {
        None => page_of!(select, "/* gateway setup_intents::list */ ", "id", "", conn, tenant, page),
        Some(id) => {
            let id = uuid(id.as_bytes());
            page_of!(
                select,
                "/* gateway setup_intents::list of customer */ ",
                "id",
                "AND customer_id = $7",
                conn,
                tenant,
                page,
                id
            )
        }
    };
    Ok(page.close(rows.into_iter().map(Setup::try_from).collect::<sqlx::Result<Vec<_>>>()?))
}

/// Where this one stands in lists.
pub fn cursor(setup: &Setup) -> Cursor {
    (setup.created_at, uuid(setup.id.as_bytes()))
}

/// Claims those whose question is due to be looked at, each for one worker at a time, with pauses that double.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<SetupIntentId>>> {
    claim_due!(
        "/* gateway setup_intents::claim_due */ ",
        "setup_intents",
        "resolve_at",
        "resolve_count",
        "",
        SetupIntentId,
        pool,
        look
    )
}
