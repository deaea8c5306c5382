//! Table `customers`. Of a person's name, e-mail, telephone number and address only the masked form has a column.

use kura_wire::ids::{CustomerId, TestClockId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};

/// A customer.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Masked.
    pub name: Option<String>,
    /// Masked.
    pub email: Option<String>,
    /// Masked.
    pub phone: Option<String>,
    /// Masked.
    pub address: Option<String>,
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// The card that its invoices are paid with.
    pub default_card: Option<[u8; 16]>,
    /// The clock that it lives by.
    pub test_clock: Option<TestClockId>,
    /// Its newest invoice is overdue.
    pub delinquent: bool,
    /// Invoices that have a number.
    pub invoice_count: i32,
    /// Less than nothing is a credit that the next invoice takes.
    pub balance: i64,
    /// The currency of that credit.
    pub balance_currency: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

struct Row {
    id: Uuid,
    name_masked: Option<String>,
    email_masked: Option<String>,
    phone_masked: Option<String>,
    address_masked: Option<String>,
    description: Option<String>,
    metadata: Value,
    default_card_record: Option<Uuid>,
    test_clock_id: Option<Uuid>,
    delinquent: bool,
    invoice_count: i32,
    balance_minor: i64,
    balance_currency: Option<String>,
    created_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
}

impl From<Row> for Customer {
    fn from(row: Row) -> Self {
        Self {
            id: CustomerId::from_bytes(row.id.into_bytes()),
            name: row.name_masked,
            email: row.email_masked,
            phone: row.phone_masked,
            address: row.address_masked,
            description: row.description,
            metadata: object(row.metadata),
            default_card: row.default_card_record.map(Uuid::into_bytes),
            test_clock: row.test_clock_id.map(|id| TestClockId::from_bytes(id.into_bytes())),
            delinquent: row.delinquent,
            invoice_count: row.invoice_count,
            balance: row.balance_minor,
            balance_currency: row.balance_currency,
            created_at: row.created_at,
            deleted_at: row.deleted_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, name_masked, email_masked, phone_masked, address_masked, description, metadata,
                default_card_record, test_clock_id, delinquent, invoice_count, balance_minor, balance_currency, created_at,
                deleted_at FROM customers " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, customer: &Customer) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway customers::insert */
         INSERT INTO customers (merchant_id, id, livemode, name_masked, email_masked, phone_masked, address_masked, description,
             metadata, default_card_record, created_at, test_clock_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(customer.id.as_bytes()),
        tenant.livemode,
        customer.name,
        customer.email,
        customer.phone,
        customer.address,
        customer.description,
        Value::Object(customer.metadata.clone()),
        customer.default_card.map(|record| uuid(&record)),
        customer.created_at,
        customer.test_clock.map(|id| uuid(id.as_bytes())),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's customer of this id, deleted or not.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    let row = select!(
        "/* gateway customers::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Customer::from))
}

/// The merchant's customers of these ids, deleted or not.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[CustomerId]) -> sqlx::Result<Vec<Customer>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway customers::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Customer::from).collect())
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    let row = select!(
        "/* gateway customers::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Customer::from))
}

/// Writes all that can change.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, customer: &Customer) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway customers::update */
         UPDATE customers SET name_masked = $4, email_masked = $5, phone_masked = $6, address_masked = $7, description = $8,
             metadata = $9, default_card_record = $10, deleted_at = $11, delinquent = $12, invoice_count = $13, balance_minor = $14,
             balance_currency = $15
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(customer.id.as_bytes()),
        tenant.livemode,
        customer.name,
        customer.email,
        customer.phone,
        customer.address,
        customer.description,
        Value::Object(customer.metadata.clone()),
        customer.default_card.map(|record| uuid(&record)),
        customer.deleted_at,
        customer.delinquent,
        customer.invoice_count,
        customer.balance,
        customer.balance_currency,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its invoices are not paid with this card any more, if they were.
pub(crate) async fn forget_default(
    conn: Conn<'_>,
    tenant: Tenant,
    id: CustomerId,
    record: [u8; 16],
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway customers::forget_default */
         UPDATE customers SET default_card_record = NULL
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND default_card_record = $4",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        uuid(&record),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's customers, those of these ids only where some are given.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    among: Option<&[Uuid]>,
    page: &Page,
) -> sqlx::Result<Listed<Customer>> {
    let rows = match among {
        None => page_of!(select, "/* gateway customers::list */ ", "id", "AND deleted_at IS NULL", conn, tenant, page,),
        Some(ids) => page_of!(
            select,
            "/* gateway customers::list of ids */ ",
            "id",
            "AND deleted_at IS NULL AND id = ANY($7)",
            conn,
            tenant,
            page,
            ids,
        ),
    };
    Ok(page.close(rows.into_iter().map(Customer::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(customer: &Customer) -> Cursor {
    (customer.created_at, uuid(customer.id.as_bytes()))
}
