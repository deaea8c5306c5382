//! Table `test_clocks`: clocks that merchants turn.

use kura_platform::database::PgPool;
use kura_wire::ids::{CustomerId, InvoiceId, SubscriptionId, TestClockId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Claimed, Conn, Cursor, Listed, Look, Page, Tenant, claim_due, page_of, uuid};

/// What a clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStatus {
    /// It stands still.
    Ready,
    /// It is being turned.
    Advancing,
    /// What was due could not be done.
    Failed,
}

impl ClockStatus {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Advancing => "advancing",
            Self::Failed => "internal_failure",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Ready, Self::Advancing, Self::Failed].into_iter().find(|status| status.as_str() == word)
    }
}

/// A clock.
#[derive(Debug, Clone)]
pub struct TestClock {
    /// Its id.
    pub id: TestClockId,
    /// The merchant's name for it.
    pub name: Option<String>,
    /// What it shows.
    pub frozen_at: OffsetDateTime,
    /// Where it is being turned to.
    pub target_at: Option<OffsetDateTime>,
    /// What it does.
    pub status: ClockStatus,
    /// When it was made, by our time.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    name: Option<String>,
    frozen_at: OffsetDateTime,
    target_at: Option<OffsetDateTime>,
    status: String,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for TestClock {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: TestClockId::from_bytes(row.id.into_bytes()),
            name: row.name,
            frozen_at: row.frozen_at,
            target_at: row.target_at,
            status: ClockStatus::parse(&row.status).ok_or_else(|| sqlx::Error::Decode("status".into()))?,
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, name, frozen_at, target_at, status, created_at FROM test_clocks " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// What is due by a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A subscription.
    Subscription(SubscriptionId),
    /// An invoice.
    Invoice(InvoiceId),
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, clock: &TestClock) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway test_clocks::insert */
         INSERT INTO test_clocks (merchant_id, id, livemode, name, frozen_at, status, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(clock.id.as_bytes()),
        tenant.livemode,
        clock.name,
        clock.frozen_at,
        clock.status.as_str(),
        clock.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Turns it; where it is being turned, somebody looks at once, else nobody needs to.
pub(crate) async fn update(
    conn: Conn<'_>,
    tenant: Tenant,
    clock: &TestClock,
    look_at: Option<OffsetDateTime>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway test_clocks::update */
         UPDATE test_clocks SET frozen_at = $4, target_at = $5, status = $6, look_at = $7, look_count = 0
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(clock.id.as_bytes()),
        tenant.livemode,
        clock.frozen_at,
        clock.target_at,
        clock.status.as_str(),
        look_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It is shown no more.
pub(crate) async fn delete(conn: Conn<'_>, tenant: Tenant, id: TestClockId, at: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway test_clocks::delete */
         UPDATE test_clocks SET deleted_at = $4, look_at = NULL WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Customers that live by it.
pub(crate) async fn customers(conn: Conn<'_>, tenant: Tenant, id: TestClockId) -> sqlx::Result<Vec<CustomerId>> {
    let rows = sqlx::query_scalar!(
        "/* gateway test_clocks::customers */
         SELECT id FROM customers WHERE merchant_id = $1 AND livemode = $2 AND test_clock_id = $3 AND deleted_at IS NULL",
        tenant.id(),
        tenant.livemode,
        uuid(id.as_bytes()),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|id| CustomerId::from_bytes(id.into_bytes())).collect())
}

/// What is due first, until this moment of the clock.
pub(crate) async fn next_due(
    conn: Conn<'_>,
    tenant: Tenant,
    id: TestClockId,
    until: OffsetDateTime,
) -> sqlx::Result<Option<(OffsetDateTime, Due)>> {
    let row = sqlx::query!(
        r#"/* gateway test_clocks::next_due */
         SELECT due_at AS "due_at!", id AS "id!", invoice AS "invoice!" FROM (
             (SELECT due_at, id, false AS invoice FROM subscriptions
              WHERE merchant_id = $1 AND test_clock_id = $2 AND due_at <= $3 ORDER BY due_at, created_at, id LIMIT 1)
             UNION ALL
             (SELECT due_at, id, true AS invoice FROM invoices
              WHERE merchant_id = $1 AND test_clock_id = $2 AND due_at <= $3 ORDER BY due_at, created_at, id LIMIT 1)
         ) AS due ORDER BY due_at, invoice DESC LIMIT 1"#,
        tenant.id(),
        uuid(id.as_bytes()),
        until,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let id = row.id.into_bytes();
        let due = if row.invoice {
            Due::Invoice(InvoiceId::from_bytes(id))
        } else {
            Due::Subscription(SubscriptionId::from_bytes(id))
        };
        (row.due_at, due)
    }))
}

/// The merchant's row of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: TestClockId) -> sqlx::Result<Option<TestClock>> {
    let row = select!(
        "/* gateway test_clocks::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND deleted_at IS NULL",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(TestClock::try_from).transpose()
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: TestClockId) -> sqlx::Result<Option<TestClock>> {
    let row = select!(
        "/* gateway test_clocks::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND deleted_at IS NULL FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(TestClock::try_from).transpose()
}

/// The merchant's clocks.
pub(crate) async fn list(conn: Conn<'_>, tenant: Tenant, page: &Page) -> sqlx::Result<Listed<TestClock>> {
    let rows =
        page_of!(select, "/* gateway test_clocks::list */ ", "id", "AND deleted_at IS NULL", conn, tenant, page,);
    let items = rows.into_iter().map(TestClock::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(page.close(items))
}

/// Where this one stands in lists.
pub fn cursor(row: &TestClock) -> Cursor {
    (row.created_at, uuid(row.id.as_bytes()))
}

/// Claims clocks that are due to be looked at, each for one worker at a time, with pauses that double.
pub async fn claim_due(pool: &PgPool, look: Look) -> sqlx::Result<Vec<Claimed<TestClockId>>> {
    claim_due!(
        "/* gateway test_clocks::claim_due */ ",
        "test_clocks",
        "look_at",
        "look_count",
        "",
        TestClockId,
        pool,
        look
    )
}
