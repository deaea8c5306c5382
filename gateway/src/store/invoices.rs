//! Table `invoices`.

use kura_platform::database::PgPool;
use kura_wire::ids::{CustomerId, InvoiceId, PaymentIntentId, SubscriptionId, TestClockId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Claimed, Conn, Cursor, Listed, Look, Page, Tenant, claim_due, object, page_of, uuid};
use crate::domain::invoice::{Collection, Reason, Status};

/// What a customer owes for a while.
#[derive(Debug, Clone)]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// Whose.
    pub customer: CustomerId,
    /// For which subscription.
    pub subscription: Option<SubscriptionId>,
    /// The clock that it lives by.
    pub test_clock: Option<TestClockId>,
    /// Given when it is final.
    pub number: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Why it was made.
    pub reason: Reason,
    /// Three lower-case letters.
    pub currency: String,
    /// The sum of its lines; less than nothing is owed to the customer.
    pub total: i64,
    /// The customer's balance before it: nothing, or less.
    pub starting_balance: i64,
    /// And after it.
    pub ending_balance: Option<i64>,
    /// What is asked for.
    pub amount_due: i64,
    /// What was paid.
    pub amount_paid: i64,
    /// It goes on by itself.
    pub auto_advance: bool,
    /// Tries that were begun.
    pub tries: i32,
    /// The newest is under way.
    pub trying: bool,
    /// The newest was without the shopper.
    pub try_off_session: bool,
    /// How it is paid.
    pub intent: Option<PaymentIntentId>,
    /// Since when its lines came together.
    pub period_start_at: OffsetDateTime,
    /// Until when.
    pub period_end_at: OffsetDateTime,
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// The subscription's data when it was made.
    pub subscription_metadata: Map<String, Value>,
    /// When it was made, by its own time.
    pub created_at: OffsetDateTime,
    /// When it became final.
    pub finalized_at: Option<OffsetDateTime>,
    /// When it was paid.
    pub paid_at: Option<OffsetDateTime>,
    /// When it was called off.
    pub voided_at: Option<OffsetDateTime>,
    /// When it was given up.
    pub uncollectible_at: Option<OffsetDateTime>,
    /// When it goes on: it becomes final, is tried, or is overdue.
    pub due_at: Option<OffsetDateTime>,
    /// Until when it is to be paid, where it is sent; it is charged where there is none.
    pub payable_until_at: Option<OffsetDateTime>,
}

impl Invoice {
    /// How it is collected.
    pub fn collection(&self) -> Collection {
        Collection::of(self.payable_until_at.is_some())
    }
}

struct Row {
    id: Uuid,
    customer_id: Uuid,
    subscription_id: Option<Uuid>,
    test_clock_id: Option<Uuid>,
    number: Option<String>,
    status: String,
    billing_reason: String,
    currency: String,
    total_minor: i64,
    starting_balance_minor: i64,
    ending_balance_minor: Option<i64>,
    amount_due_minor: i64,
    amount_paid_minor: i64,
    auto_advance: bool,
    tries: i32,
    trying: bool,
    try_off_session: bool,
    payment_intent_id: Option<Uuid>,
    period_start_at: OffsetDateTime,
    period_end_at: OffsetDateTime,
    description: Option<String>,
    metadata: Value,
    subscription_metadata: Value,
    created_at: OffsetDateTime,
    finalized_at: Option<OffsetDateTime>,
    paid_at: Option<OffsetDateTime>,
    voided_at: Option<OffsetDateTime>,
    uncollectible_at: Option<OffsetDateTime>,
    due_at: Option<OffsetDateTime>,
    payable_until_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Invoice {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        Ok(Self {
            id: InvoiceId::from_bytes(row.id.into_bytes()),
            customer: CustomerId::from_bytes(row.customer_id.into_bytes()),
            subscription: row.subscription_id.map(|id| SubscriptionId::from_bytes(id.into_bytes())),
            test_clock: row.test_clock_id.map(|id| TestClockId::from_bytes(id.into_bytes())),
            number: row.number,
            status: Status::parse(&row.status).ok_or_else(|| bad("status"))?,
            reason: Reason::parse(&row.billing_reason).ok_or_else(|| bad("billing_reason"))?,
            currency: row.currency,
            total: row.total_minor,
            starting_balance: row.starting_balance_minor,
            ending_balance: row.ending_balance_minor,
            amount_due: row.amount_due_minor,
            amount_paid: row.amount_paid_minor,
            auto_advance: row.auto_advance,
            tries: row.tries,
            trying: row.trying,
            try_off_session: row.try_off_session,
            intent: row.payment_intent_id.map(|id| PaymentIntentId::from_bytes(id.into_bytes())),
            period_start_at: row.period_start_at,
            period_end_at: row.period_end_at,
            description: row.description,
            metadata: object(row.metadata),
            subscription_metadata: object(row.subscription_metadata),
            created_at: row.created_at,
            finalized_at: row.finalized_at,
            paid_at: row.paid_at,
            voided_at: row.voided_at,
            uncollectible_at: row.uncollectible_at,
            due_at: row.due_at,
            payable_until_at: row.payable_until_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, customer_id, subscription_id, test_clock_id, number, status, billing_reason, currency, total_minor,
                starting_balance_minor, ending_balance_minor, amount_due_minor, amount_paid_minor, auto_advance, tries, trying,
                try_off_session, payment_intent_id, period_start_at, period_end_at, description, metadata,
                subscription_metadata, created_at, finalized_at, paid_at, voided_at, uncollectible_at, due_at, payable_until_at FROM invoices " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it, a draft; false when a first run of the same work did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, invoice: &Invoice) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway invoices::insert */
         INSERT INTO invoices (merchant_id, id, livemode, customer_id, subscription_id, test_clock_id, status, billing_reason,
             currency, total_minor, amount_due_minor, auto_advance, period_start_at, period_end_at, description, metadata,
             created_at, due_at, look_at, subscription_metadata, payable_until_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'draft', $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(invoice.id.as_bytes()),
        tenant.livemode,
        uuid(invoice.customer.as_bytes()),
        invoice.subscription.map(|id| uuid(id.as_bytes())),
        invoice.test_clock.map(|id| uuid(id.as_bytes())),
        invoice.reason.as_str(),
        invoice.currency,
        invoice.total,
        invoice.amount_due,
        invoice.auto_advance,
        invoice.period_start_at,
        invoice.period_end_at,
        invoice.description,
        Value::Object(invoice.metadata.clone()),
        invoice.created_at,
        invoice.due_at,
        invoice.due_at.filter(|_| invoice.test_clock.is_none()),
        Value::Object(invoice.subscription_metadata.clone()),
        invoice.payable_until_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes all that can change. `look_at`: when somebody is to look at a try that is under way.
pub(crate) async fn update(
    conn: Conn<'_>,
    tenant: Tenant,
    invoice: &Invoice,
    look_at: Option<OffsetDateTime>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoices::update */
         UPDATE invoices SET number = $4, status = $5, total_minor = $6, starting_balance_minor = $7, ending_balance_minor = $8,
             amount_due_minor = $9, amount_paid_minor = $10, auto_advance = $11, tries = $12, trying = $13,
             try_off_session = $14, payment_intent_id = $15, description = $16, metadata = $17, finalized_at = $18,
             paid_at = $19, voided_at = $20, uncollectible_at = $21, due_at = $22, look_at = $23, look_count = 0,
             payable_until_at = $24
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(invoice.id.as_bytes()),
        tenant.livemode,
        invoice.number,
        invoice.status.as_str(),
        invoice.total,
        invoice.starting_balance,
        invoice.ending_balance,
        invoice.amount_due,
        invoice.amount_paid,
        invoice.auto_advance,
        invoice.tries,
        invoice.trying,
        invoice.try_off_session,
        invoice.intent.map(|id| uuid(id.as_bytes())),
        invoice.description,
        Value::Object(invoice.metadata.clone()),
        invoice.finalized_at,
        invoice.paid_at,
        invoice.voided_at,
        invoice.uncollectible_at,
        invoice.due_at,
        look_at.or(invoice.due_at.filter(|_| invoice.test_clock.is_none())),
        invoice.payable_until_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a draft that no line is on any more.
pub(crate) async fn delete(conn: Conn<'_>, tenant: Tenant, id: InvoiceId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoices::delete */
         DELETE FROM invoices WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND status = 'draft'",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its payment has moved by somebody else's doing: it is to be looked at, at once.
pub(crate) async fn call(conn: Conn<'_>, tenant: Tenant, id: InvoiceId, at: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoices::call */
         UPDATE invoices SET look_at = $4, look_count = 0
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND status IN ('open', 'uncollectible') AND NOT trying",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It was looked at, and nothing is to be seen before its own time.
pub(crate) async fn seen(conn: Conn<'_>, tenant: Tenant, invoice: &Invoice) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoices::seen */
         UPDATE invoices SET look_at = $4, look_count = 0 WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND NOT trying",
        tenant.id(),
        uuid(invoice.id.as_bytes()),
        tenant.livemode,
        invoice.due_at.filter(|_| invoice.test_clock.is_none()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of a subscription that are not over.
pub(crate) async fn unpaid_of(conn: Conn<'_>, tenant: Tenant, of: SubscriptionId) -> sqlx::Result<Vec<InvoiceId>> {
    let rows = sqlx::query_scalar!(
        "/* gateway invoices::unpaid_of */
         SELECT id FROM invoices WHERE merchant_id = $1 AND livemode = $2 AND subscription_id = $3 AND status IN ('draft', 'open')
         ORDER BY created_at, id",
        tenant.id(),
        tenant.livemode,
        uuid(of.as_bytes()),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|id| InvoiceId::from_bytes(id.into_bytes())).collect())
}

/// The merchant's row of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: InvoiceId) -> sqlx::Result<Option<Invoice>> {
    let row = select!(
        "/* gateway invoices::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Invoice::try_from).transpose()
}

/// The merchant's invoices of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[InvoiceId]) -> sqlx::Result<Vec<Invoice>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway invoices::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Invoice::try_from).collect()
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: InvoiceId) -> sqlx::Result<Option<Invoice>> {
    let row = select!(
        "/* gateway invoices::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Invoice::try_from).transpose()
}

/// The merchant's invoices: of one customer, of one subscription, in one state.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: Option<CustomerId>,
    subscription: Option<SubscriptionId>,
    status: Option<Status>,
    page: &Page,
) -> sqlx::Result<Listed<Invoice>> {
    let (customer, subscription) = (customer.map(|id| uuid(id.as_bytes())), subscription.map(|id| uuid(id.as_bytes())));
    let status = status.map(Status::as_str);
    let rows = match (subscription, customer, status) {
        (Some(subscription), customer, status) => page_of!(
            select,
            "/* gateway invoices::list of subscription */ ",
            "id",
            "AND subscription_id = $7 AND ($8::uuid IS NULL OR customer_id = $8) AND ($9::text IS NULL OR status = $9)",
            conn,
            tenant,
            page,
            subscription,
            customer,
            status,
        ),
        (None, Some(customer), status) => page_of!(
            select,
            "/* gateway invoices::list of customer */ ",
            "id",
            "AND customer_id = $7 AND ($8::text IS NULL OR status = $8)",
            conn,
            tenant,
            page,
            customer,
            status,
        ),
        (None, None, Some(status)) => page_of!(
            select,
            "/* gateway invoices::list in state */ ",
            "id",
            "AND status = $7",
            conn,
            tenant,
            page,
            status,
        ),
        (None, None, None) => page_of!(select, "/* gateway invoices::list */ ", "id", "", conn, tenant, page,),
    };
    let items = rows.into_iter().map(Invoice::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(page.close(items))
}

/// Where this one stands in lists.
pub fn cursor(row: &Invoice) -> Cursor {
    (row.created_at, uuid(row.id.as_bytes()))
}

/// Claims invoices that are due to be looked at, each for one worker at a time, with pauses that double.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<InvoiceId>>> {
    claim_due!("/* gateway invoices::claim_due */ ", "invoices", "look_at", "look_count", "", InvoiceId, pool, look)
}
