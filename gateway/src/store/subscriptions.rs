//! Table `subscriptions`.

use kura_platform::database::PgPool;
use kura_wire::ids::{CustomerId, InvoiceId, SubscriptionId, TestClockId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Claimed, Conn, Cursor, Listed, Look, Page, Tenant, claim_due, object, page_of, uuid};
use crate::domain::invoice::Collection;
use crate::domain::subscription::{Course, Pause, PauseBehavior, Status};

/// A customer's subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub customer: CustomerId,
    /// The clock that it lives by.
    pub test_clock: Option<TestClockId>,
    /// Where it stands.
    pub status: Status,
    /// Three lower-case letters.
    pub currency: String,
    /// Periods are counted from here.
    pub anchor_at: OffsetDateTime,
    /// The period that it is in.
    pub period_start_at: OffsetDateTime,
    /// Its end.
    pub period_end_at: OffsetDateTime,
    /// When its trial began.
    pub trial_start_at: Option<OffsetDateTime>,
    /// When its trial ends, or ended.
    pub trial_end_at: Option<OffsetDateTime>,
    /// Whether it ends with its trial where there is no card.
    pub cancels_without_card: bool,
    /// The merchant was told that the trial will end.
    pub trial_end_told: bool,
    /// When it is to end.
    pub cancel_at: Option<OffsetDateTime>,
    /// It is to end with its period.
    pub cancel_at_period_end: bool,
    /// When it was called off.
    pub canceled_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// Why.
    pub cancellation_reason: Option<String>,
    /// In the customer's words.
    pub cancellation_comment: Option<String>,
    /// In a word.
    pub cancellation_feedback: Option<String>,
    /// The card that it is paid with; the customer's where there is none.
    pub default_card: Option<[u8; 16]>,
    /// The card of its first payment becomes that card.
    pub saves_card: bool,
    /// Its invoices are sent, and the customer has so many days; charged where there is none.
    pub days_until_due: Option<i16>,
    /// Collection rests.
    pub pause: Option<Pause>,
    /// Its newest invoice.
    pub latest_invoice: Option<InvoiceId>,
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made, by its own time.
    pub created_at: OffsetDateTime,
}

impl Subscription {
    /// What decides when something happens to it.
    pub fn course(&self) -> Course {
        Course {
            status: self.status,
            created_at: self.created_at,
            period_end_at: self.period_end_at,
            trial_end_at: self.trial_end_at,
            trial_end_told: self.trial_end_told,
            cancel_at: if self.cancel_at_period_end { Some(self.period_end_at) } else { self.cancel_at },
            resumes_at: self.pause.and_then(|pause| pause.resumes_at),
        }
    }

    /// How its invoices are collected.
    pub fn collection(&self) -> Collection {
        Collection::of(self.days_until_due.is_some())
    }

    /// Until when an invoice of this moment is to be paid, where it is sent.
    pub fn payable_until(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        self.days_until_due.map(|days| at + time::Duration::days(days.into()))
    }

    fn due_at(&self) -> Option<OffsetDateTime> {
        self.course().next().map(|(at, _)| at)
    }
}

struct Row {
    id: Uuid,
    customer_id: Uuid,
    test_clock_id: Option<Uuid>,
    status: String,
    currency: String,
    anchor_at: OffsetDateTime,
    period_start_at: OffsetDateTime,
    period_end_at: OffsetDateTime,
    trial_start_at: Option<OffsetDateTime>,
    trial_end_at: Option<OffsetDateTime>,
    trial_without_card: String,
    trial_end_told: bool,
    cancel_at: Option<OffsetDateTime>,
    cancel_at_period_end: bool,
    canceled_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
    cancellation_reason: Option<String>,
    cancellation_comment: Option<String>,
    cancellation_feedback: Option<String>,
    default_card_record: Option<Uuid>,
    saves_card: bool,
    days_until_due: Option<i16>,
    pause_behavior: Option<String>,
    resumes_at: Option<OffsetDateTime>,
    latest_invoice_id: Option<Uuid>,
    description: Option<String>,
    metadata: Value,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Subscription {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: SubscriptionId::from_bytes(row.id.into_bytes()),
            customer: CustomerId::from_bytes(row.customer_id.into_bytes()),
            test_clock: row.test_clock_id.map(|id| TestClockId::from_bytes(id.into_bytes())),
            status: Status::parse(&row.status).ok_or_else(|| sqlx::Error::Decode("status".into()))?,
            currency: row.currency,
            anchor_at: row.anchor_at,
            period_start_at: row.period_start_at,
            period_end_at: row.period_end_at,
            trial_start_at: row.trial_start_at,
            trial_end_at: row.trial_end_at,
            cancels_without_card: row.trial_without_card == "cancel",
            trial_end_told: row.trial_end_told,
            cancel_at: row.cancel_at,
            cancel_at_period_end: row.cancel_at_period_end,
            canceled_at: row.canceled_at,
            ended_at: row.ended_at,
            cancellation_reason: row.cancellation_reason,
            cancellation_comment: row.cancellation_comment,
            cancellation_feedback: row.cancellation_feedback,
            default_card: row.default_card_record.map(Uuid::into_bytes),
            saves_card: row.saves_card,
            days_until_due: row.days_until_due,
            pause: row
                .pause_behavior
                .as_deref()
                .and_then(PauseBehavior::parse)
                .map(|behavior| Pause { behavior, resumes_at: row.resumes_at }),
            latest_invoice: row.latest_invoice_id.map(|id| InvoiceId::from_bytes(id.into_bytes())),
            description: row.description,
            metadata: object(row.metadata),
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, customer_id, test_clock_id, status, currency, anchor_at, period_start_at, period_end_at,
                trial_start_at, trial_end_at, trial_without_card, trial_end_told, cancel_at, cancel_at_period_end, canceled_at,
                ended_at, cancellation_reason, cancellation_comment, cancellation_feedback, default_card_record, saves_card,
                days_until_due, pause_behavior, resumes_at, latest_invoice_id, description, metadata, created_at FROM subscriptions " $(+ $tail)+,
            $($argument),*
        )
    };
}

const fn without_card(cancels: bool) -> &'static str {
    if cancels { "cancel" } else { "create_invoice" }
}

/// Makes it, without what [`update`] writes afterwards; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, row: &Subscription) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway subscriptions::insert */
         INSERT INTO subscriptions (merchant_id, id, livemode, customer_id, test_clock_id, status, currency, anchor_at,
             period_start_at, period_end_at, trial_without_card, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(row.id.as_bytes()),
        tenant.livemode,
        uuid(row.customer.as_bytes()),
        row.test_clock.map(|id| uuid(id.as_bytes())),
        row.status.as_str(),
        row.currency,
        row.anchor_at,
        row.period_start_at,
        row.period_end_at,
        without_card(row.cancels_without_card),
        Value::Object(row.metadata.clone()),
        row.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes all that can change, and when the next thing happens to it.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, row: &Subscription) -> sqlx::Result<()> {
    let due_at = row.due_at();
    sqlx::query!(
        "/* gateway subscriptions::update */
         UPDATE subscriptions SET status = $4, anchor_at = $5, period_start_at = $6, period_end_at = $7, trial_start_at = $8,
             trial_end_at = $9, trial_without_card = $10, trial_end_told = $11, cancel_at = $12, cancel_at_period_end = $13,
             canceled_at = $14, ended_at = $15, cancellation_reason = $16, cancellation_comment = $17,
             cancellation_feedback = $18, default_card_record = $19, saves_card = $20, latest_invoice_id = $21,
             description = $22, metadata = $23, due_at = $24, look_at = $25, look_count = 0, days_until_due = $26,
             pause_behavior = $27, resumes_at = $28
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(row.id.as_bytes()),
        tenant.livemode,
        row.status.as_str(),
        row.anchor_at,
        row.period_start_at,
        row.period_end_at,
        row.trial_start_at,
        row.trial_end_at,
        without_card(row.cancels_without_card),
        row.trial_end_told,
        row.cancel_at,
        row.cancel_at_period_end,
        row.canceled_at,
        row.ended_at,
        row.cancellation_reason,
        row.cancellation_comment,
        row.cancellation_feedback,
        row.default_card.map(|record| uuid(&record)),
        row.saves_card,
        row.latest_invoice.map(|id| uuid(id.as_bytes())),
        row.description,
        Value::Object(row.metadata.clone()),
        due_at,
        due_at.filter(|_| row.test_clock.is_none()),
        row.days_until_due,
        row.pause.map(|pause| pause.behavior.as_str()),
        row.pause.and_then(|pause| pause.resumes_at),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of a customer that are not over.
pub(crate) async fn living(conn: Conn<'_>, tenant: Tenant, customer: CustomerId) -> sqlx::Result<Vec<SubscriptionId>> {
    let rows = sqlx::query_scalar!(
        "/* gateway subscriptions::living */
         SELECT id FROM subscriptions WHERE merchant_id = $1 AND livemode = $2 AND customer_id = $3
           AND status NOT IN ('canceled', 'incomplete_expired')",
        tenant.id(),
        tenant.livemode,
        uuid(customer.as_bytes()),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|id| SubscriptionId::from_bytes(id.into_bytes())).collect())
}

/// The merchant's row of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: SubscriptionId) -> sqlx::Result<Option<Subscription>> {
    let row = select!(
        "/* gateway subscriptions::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Subscription::try_from).transpose()
}

/// The merchant's subscriptions of these ids.
pub(crate) async fn find_many(
    conn: Conn<'_>,
    tenant: Tenant,
    ids: &[SubscriptionId],
) -> sqlx::Result<Vec<Subscription>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway subscriptions::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Subscription::try_from).collect()
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: SubscriptionId) -> sqlx::Result<Option<Subscription>> {
    let row = select!(
        "/* gateway subscriptions::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Subscription::try_from).transpose()
}

/// In which states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// Any.
    All,
    /// Not canceled.
    Alive,
    /// Over.
    Ended,
    /// This one.
    One(Status),
}

impl States {
    fn words(self) -> Option<Vec<String>> {
        let has = |status: Status| match self {
            Self::All => true,
            Self::Alive => status != Status::Canceled,
            Self::Ended => status.is_over(),
            Self::One(one) => status == one,
        };
        let some = Status::ALL.into_iter().filter(|status| has(*status)).map(|status| status.as_str().to_owned());
        (self != Self::All).then(|| some.collect())
    }
}

/// Which subscriptions are listed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With this price.
    pub price: Option<Uuid>,
    /// Those that live by this clock.
    pub clock: Option<TestClockId>,
    /// In these states.
    pub states: States,
}

/// The merchant's subscriptions. Each statement walks along what the rarest of its conditions leaves.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    wanted: Wanted,
    page: &Page,
) -> sqlx::Result<Listed<Subscription>> {
    let (price, words) = (wanted.price, wanted.states.words());
    let (customer, clock) = (wanted.customer.map(|id| uuid(id.as_bytes())), wanted.clock.map(|id| uuid(id.as_bytes())));
    let rows = match (customer, clock) {
        (Some(customer), clock) => page_of!(
            select,
            "/* gateway subscriptions::list of customer */ ",
            "id",
            "AND customer_id = $7 AND ($8::uuid IS NULL OR EXISTS (SELECT FROM subscription_items AS item WHERE item.merchant_id = $1 AND item.subscription_id = subscriptions.id AND item.price_id = $8)) AND ($9::uuid IS NULL OR test_clock_id = $9) AND ($10::text[] IS NULL OR status = ANY($10))",
            conn,
            tenant,
            page,
            customer,
            price,
            clock,
            words.as_deref(),
        ),
        (None, Some(clock)) => page_of!(
            select,
            "/* gateway subscriptions::list of clock */ ",
            "id",
            "AND test_clock_id = $7 AND ($8::uuid IS NULL OR EXISTS (SELECT FROM subscription_items AS item WHERE item.merchant_id = $1 AND item.subscription_id = subscriptions.id AND item.price_id = $8)) AND ($9::text[] IS NULL OR status = ANY($9))",
            conn,
            tenant,
            page,
            clock,
            price,
            words.as_deref(),
        ),
        (None, None) => list_in_states(conn, tenant, wanted.states, price, page).await?,
    };
    let items = rows.into_iter().map(Subscription::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(page.close(items))
}

async fn list_in_states(
    conn: Conn<'_>,
    tenant: Tenant,
    states: States,
    price: Option<Uuid>,
    page: &Page,
) -> sqlx::Result<Vec<Row>> {
    Ok(match states {
        States::One(status) => page_of!(
            select,
            "/* gateway subscriptions::list_in_states one */ ",
            "id",
            "AND status = $7 AND ($8::uuid IS NULL OR EXISTS (SELECT FROM subscription_items AS item WHERE item.merchant_id = $1 AND item.subscription_id = subscriptions.id AND item.price_id = $8))",
            conn,
            tenant,
            page,
            status.as_str(),
            price,
        ),
        States::Alive => page_of!(
            select,
            "/* gateway subscriptions::list_in_states alive */ ",
            "id",
            "AND status <> 'canceled' AND ($7::uuid IS NULL OR EXISTS (SELECT FROM subscription_items AS item WHERE item.merchant_id = $1 AND item.subscription_id = subscriptions.id AND item.price_id = $7))",
            conn,
            tenant,
            page,
            price,
        ),
        States::Ended => page_of!(
            select,
            "/* gateway subscriptions::list_in_states ended */ ",
            "id",
            "AND status IN ('canceled', 'incomplete_expired') AND ($7::uuid IS NULL OR EXISTS (SELECT FROM subscription_items AS item WHERE item.merchant_id = $1 AND item.subscription_id = subscriptions.id AND item.price_id = $7))",
            conn,
            tenant,
            page,
            price,
        ),
        States::All => page_of!(
            select,
            "/* gateway subscriptions::list_in_states */ ",
            "id",
            "AND ($7::uuid IS NULL OR EXISTS (SELECT FROM subscription_items AS item WHERE item.merchant_id = $1 AND item.subscription_id = subscriptions.id AND item.price_id = $7))",
            conn,
            tenant,
            page,
            price,
        ),
    })
}

/// Where this one stands in lists.
pub fn cursor(row: &Subscription) -> Cursor {
    (row.created_at, uuid(row.id.as_bytes()))
}

/// Claims subscriptions that are due to be looked at, each for one worker at a time, with pauses that double.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<SubscriptionId>>> {
    claim_due!(
        "/* gateway subscriptions::claim_due */ ",
        "subscriptions",
        "look_at",
        "look_count",
        "",
        SubscriptionId,
        pool,
        look
    )
}
