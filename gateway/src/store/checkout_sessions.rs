//! Table `checkout_sessions`.

use kura_platform::database::PgPool;
use kura_wire::ids::{CheckoutSessionId, CustomerId, PaymentIntentId, PriceId, SetupIntentId, SubscriptionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Claimed, Conn, Cursor, Listed, Look, Page, Tenant, claim_due, object, page_of, uuid};
use crate::domain::checkout::{Mode, Status};

/// A line of a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionItem {
    /// What one costs.
    pub price: PriceId,
    /// How many.
    pub quantity: i64,
}

/// What goes into the payment, the set-up or the subscription.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionData {
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's data.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The card of a payment is kept, for payments without the shopper or with them.
    pub future_usage: Option<String>,
    /// Of a subscription.
    pub trial_days: Option<i64>,
}

/// A page of ours that a shopper pays on.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: CheckoutSessionId,
    /// What it is for.
    pub mode: Mode,
    /// Where it stands.
    pub status: Status,
    /// Whose.
    pub customer: Option<CustomerId>,
    /// Three lower-case letters.
    pub currency: Option<String>,
    /// What is to be paid.
    pub amount: Option<i64>,
    /// For what.
    pub items: Vec<SessionItem>,
    /// Where the shopper goes when done.
    pub success_url: String,
    /// Where the shopper goes who won't.
    pub cancel_url: Option<String>,
    /// `auto`, `ja`, `en`.
    pub locale: String,
    /// The merchant's own id for it.
    pub client_reference: Option<String>,
    /// Masked.
    pub email: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// What goes further.
    pub data: SessionData,
    /// The payment.
    pub intent: Option<PaymentIntentId>,
    /// The set-up.
    pub setup: Option<SetupIntentId>,
    /// The subscription.
    pub subscription: Option<SubscriptionId>,
    /// Times that the shopper sent the form.
    pub tries: i32,
    /// The newest is under way.
    pub trying: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// When its shopper was done.
    pub completed_at: Option<OffsetDateTime>,
}

struct Row {
    id: Uuid,
    mode: String,
    status: String,
    customer_id: Option<Uuid>,
    currency: Option<String>,
    amount_minor: Option<i64>,
    items: Value,
    success_url: String,
    cancel_url: Option<String>,
    locale: String,
    client_reference_id: Option<String>,
    email_masked: Option<String>,
    metadata: Value,
    data: Value,
    payment_intent_id: Option<Uuid>,
    setup_intent_id: Option<Uuid>,
    subscription_id: Option<Uuid>,
    tries: i32,
    trying: bool,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    completed_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Session {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        Ok(Self {
            id: CheckoutSessionId::from_bytes(row.id.into_bytes()),
            mode: Mode::parse(&row.mode).ok_or_else(|| bad("mode"))?,
            status: Status::parse(&row.status).ok_or_else(|| bad("status"))?,
            customer: row.customer_id.map(|id| CustomerId::from_bytes(id.into_bytes())),
            currency: row.currency,
            amount: row.amount_minor,
            items: serde_json::from_value(row.items).map_err(|_| bad("items"))?,
            success_url: row.success_url,
            cancel_url: row.cancel_url,
            locale: row.locale,
            client_reference: row.client_reference_id,
            email: row.email_masked,
            metadata: object(row.metadata),
            data: serde_json::from_value(row.data).map_err(|_| bad("data"))?,
            intent: row.payment_intent_id.map(|id| PaymentIntentId::from_bytes(id.into_bytes())),
            setup: row.setup_intent_id.map(|id| SetupIntentId::from_bytes(id.into_bytes())),
            subscription: row.subscription_id.map(|id| SubscriptionId::from_bytes(id.into_bytes())),
            tries: row.tries,
            trying: row.trying,
            created_at: row.created_at,
            expires_at: row.expires_at,
            completed_at: row.completed_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, mode, status, customer_id, currency, amount_minor, items, success_url, cancel_url, locale,
                client_reference_id, email_masked, metadata, data, payment_intent_id, setup_intent_id, subscription_id, tries,
                trying, created_at, expires_at, completed_at FROM checkout_sessions " $(+ $tail)+,
            $($argument),*
        )
    };
}

fn json(value: &impl Serialize) -> sqlx::Result<Value> {
    serde_json::to_value(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, session: &Session) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway checkout_sessions::insert */
         INSERT INTO checkout_sessions (merchant_id, id, livemode, mode, status, customer_id, currency, amount_minor, items,
             success_url, cancel_url, locale, client_reference_id, email_masked, metadata, data, created_at, expires_at, look_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(session.id.as_bytes()),
        tenant.livemode,
        session.mode.as_str(),
        session.status.as_str(),
        session.customer.map(|id| uuid(id.as_bytes())),
        session.currency,
        session.amount,
        json(&session.items)?,
        session.success_url,
        session.cancel_url,
        session.locale,
        session.client_reference,
        session.email,
        Value::Object(session.metadata.clone()),
        json(&session.data)?,
        session.created_at,
        session.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes all that can change; somebody looks at it then.
pub(crate) async fn update(
    conn: Conn<'_>,
    tenant: Tenant,
    session: &Session,
    look_at: Option<OffsetDateTime>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway checkout_sessions::update */
         UPDATE checkout_sessions SET status = $4, customer_id = $5, email_masked = $6, payment_intent_id = $7,
             setup_intent_id = $8, subscription_id = $9, tries = $10, trying = $11, completed_at = $12, look_at = $13,
             look_count = 0
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(session.id.as_bytes()),
        tenant.livemode,
        session.status.as_str(),
        session.customer.map(|id| uuid(id.as_bytes())),
        session.email,
        session.intent.map(|id| uuid(id.as_bytes())),
        session.setup.map(|id| uuid(id.as_bytes())),
        session.subscription.map(|id| uuid(id.as_bytes())),
        session.tries,
        session.trying,
        session.completed_at,
        look_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose it is: a shopper brings nothing but the id.
pub async fn find_tenant(pool: &PgPool, id: CheckoutSessionId) -> sqlx::Result<Option<Tenant>> {
    let row = sqlx::query!(
        "/* gateway checkout_sessions::find_tenant */ SELECT merchant_id, livemode FROM checkout_sessions WHERE id = $1",
        uuid(id.as_bytes()),
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Tenant::of(row.merchant_id, row.livemode)))
}

/// The merchant's row of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: CheckoutSessionId) -> sqlx::Result<Option<Session>> {
    let row = select!(
        "/* gateway checkout_sessions::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Session::try_from).transpose()
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: CheckoutSessionId) -> sqlx::Result<Option<Session>> {
    let row = select!(
        "/* gateway checkout_sessions::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Session::try_from).transpose()
}

/// The merchant's sessions: of one customer, payment or subscription, in one state.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: Option<CustomerId>,
    intent: Option<PaymentIntentId>,
    subscription: Option<SubscriptionId>,
    status: Option<Status>,
    page: &Page,
) -> sqlx::Result<Listed<Session>> {
    let (customer, intent, subscription) = (
        customer.map(|id| uuid(id.as_bytes())),
        intent.map(|id| uuid(id.as_bytes())),
        subscription.map(|id| uuid(id.as_bytes())),
    );
    let status = status.map(Status::as_str);
    let rows = match (intent, subscription, customer, status) {
        (Some(intent), subscription, customer, status) => page_of!(
            select,
            "/* gateway checkout_sessions::list of payment */ ",
            "id",
            "AND payment_intent_id = $7 AND ($8::uuid IS NULL OR customer_id = $8) AND ($9::uuid IS NULL OR subscription_id = $9) AND ($10::text IS NULL OR status = $10)",
            conn,
            tenant,
            page,
            intent,
            customer,
            subscription,
            status,
        ),
        (None, Some(subscription), customer, status) => page_of!(
            select,
            "/* gateway checkout_sessions::list of subscription */ ",
            "id",
            "AND subscription_id = $7 AND ($8::uuid IS NULL OR customer_id = $8) AND ($9::text IS NULL OR status = $9)",
            conn,
            tenant,
            page,
            subscription,
            customer,
            status,
        ),
        (None, None, Some(customer), status) => page_of!(
            select,
            "/* gateway checkout_sessions::list of customer */ ",
            "id",
            "AND customer_id = $7 AND ($8::text IS NULL OR status = $8)",
            conn,
            tenant,
            page,
            customer,
            status,
        ),
        (None, None, None, Some(status)) => page_of!(
            select,
            "/* gateway checkout_sessions::list in state */ ",
            "id",
            "AND status = $7",
            conn,
            tenant,
            page,
            status,
        ),
        (None, None, None, None) => {
            page_of!(select, "/* gateway checkout_sessions::list */ ", "id", "", conn, tenant, page,)
        }
    };
    let items = rows.into_iter().map(Session::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(page.close(items))
}

/// Where this one stands in lists.
pub fn cursor(row: &Session) -> Cursor {
    (row.created_at, uuid(row.id.as_bytes()))
}

/// Claims sessions that are due to be looked at, each for one worker at a time, with pauses that double.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<CheckoutSessionId>>> {
    claim_due!(
        "/* gateway checkout_sessions::claim_due */ ",
        "checkout_sessions",
        "look_at",
        "look_count",
        "",
        CheckoutSessionId,
        pool,
        look
    )
}
