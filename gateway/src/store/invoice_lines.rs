//! Table `invoice_lines`: of invoices, and those that wait for the customer's next one.

use kura_wire::ids::{
    CustomerId, InvoiceId, InvoiceItemId, InvoiceLineId, PriceId, ProductId, SubscriptionId, SubscriptionItemId,
};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};

/// Lines that one answer holds at the most.
pub const MOST: i64 = 250;

/// A line of an invoice.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its id.
    pub id: InvoiceLineId,
    /// Whose.
    pub customer: CustomerId,
    /// On which invoice; none yet.
    pub invoice: Option<InvoiceId>,
    /// For which subscription.
    pub subscription: Option<SubscriptionId>,
    /// For which of its items.
    pub item: Option<SubscriptionItemId>,
    /// By which price.
    pub price: Option<PriceId>,
    /// For what.
    pub product: Option<ProductId>,
    /// Its place on the invoice.
    pub place: i32,
    /// Less than nothing is owed to the customer.
    pub amount: i64,
    /// Of one.
    pub unit_amount: Option<i64>,
    /// How many.
    pub quantity: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// What the customer reads.
    pub description: Option<String>,
    /// For a part of a period.
    pub proration: bool,
    /// It waited for its invoice.
    pub waited: bool,
    /// For which time.
    pub period_start_at: OffsetDateTime,
    /// Its end.
    pub period_end_at: OffsetDateTime,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made, by its own time.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    customer_id: Uuid,
    invoice_id: Option<Uuid>,
    subscription_id: Option<Uuid>,
    subscription_item_id: Option<Uuid>,
    price_id: Option<Uuid>,
    product_id: Option<Uuid>,
    place: i32,
    amount_minor: i64,
    unit_amount_minor: Option<i64>,
    quantity: i64,
    currency: String,
    description: Option<String>,
    proration: bool,
    waited: bool,
    period_start_at: OffsetDateTime,
    period_end_at: OffsetDateTime,
    metadata: Value,
    created_at: OffsetDateTime,
}

impl From<Row> for Line {
    fn from(row: Row) -> Self {
        Self {
            id: InvoiceLineId::from_bytes(row.id.into_bytes()),
            customer: CustomerId::from_bytes(row.customer_id.into_bytes()),
            invoice: row.invoice_id.map(|id| InvoiceId::from_bytes(id.into_bytes())),
            subscription: row.subscription_id.map(|id| SubscriptionId::from_bytes(id.into_bytes())),
            item: row.subscription_item_id.map(|id| SubscriptionItemId::from_bytes(id.into_bytes())),
            price: row.price_id.map(|id| PriceId::from_bytes(id.into_bytes())),
            product: row.product_id.map(|id| ProductId::from_bytes(id.into_bytes())),
            place: row.place,
            amount: row.amount_minor,
            unit_amount: row.unit_amount_minor,
            quantity: row.quantity,
            currency: row.currency,
            description: row.description,
            proration: row.proration,
            waited: row.waited,
            period_start_at: row.period_start_at,
            period_end_at: row.period_end_at,
            metadata: object(row.metadata),
            created_at: row.created_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, customer_id, invoice_id, subscription_id, subscription_item_id, price_id, product_id, place,
                amount_minor, unit_amount_minor, quantity, currency, description, proration, waited, period_start_at,
                period_end_at, metadata, created_at FROM invoice_lines " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Writes it down.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, line: &Line) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoice_lines::insert */
         INSERT INTO invoice_lines (merchant_id, id, livemode, customer_id, invoice_id, subscription_id, subscription_item_id,
             price_id, product_id, place, amount_minor, unit_amount_minor, quantity, currency, description, proration, waited,
             period_start_at, period_end_at, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
         ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(line.id.as_bytes()),
        tenant.livemode,
        uuid(line.customer.as_bytes()),
        line.invoice.map(|id| uuid(id.as_bytes())),
        line.subscription.map(|id| uuid(id.as_bytes())),
        line.item.map(|id| uuid(id.as_bytes())),
        line.price.map(|id| uuid(id.as_bytes())),
        line.product.map(|id| uuid(id.as_bytes())),
        line.place,
        line.amount,
        line.unit_amount,
        line.quantity,
        line.currency,
        line.description,
        line.proration,
        line.waited,
        line.period_start_at,
        line.period_end_at,
        Value::Object(line.metadata.clone()),
        line.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts one that waited on an invoice.
pub(crate) async fn take(
    conn: Conn<'_>,
    tenant: Tenant,
    id: InvoiceLineId,
    invoice: InvoiceId,
    place: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoice_lines::take */
         UPDATE invoice_lines SET invoice_id = $4, place = $5
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND invoice_id IS NULL",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
        uuid(invoice.as_bytes()),
        place,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those that wait for an invoice in this currency: of the subscription, and of none. Locked.
pub(crate) async fn lock_waiting(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: CustomerId,
    subscription: Option<SubscriptionId>,
    currency: &str,
) -> sqlx::Result<Vec<Line>> {
    let rows = select!(
        "/* gateway invoice_lines::lock_waiting */ ",
        "WHERE merchant_id = $1 AND livemode = $2 AND customer_id = $3 AND invoice_id IS NULL AND currency = $4
           AND (subscription_id IS NULL OR subscription_id = $5)
         ORDER BY created_at, place, id LIMIT $6 FOR UPDATE",
        tenant.id(),
        tenant.livemode,
        uuid(customer.as_bytes()),
        currency,
        subscription.map(|id| uuid(id.as_bytes())),
        MOST,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// Those of these invoices, in their order.
pub(crate) async fn of(conn: Conn<'_>, tenant: Tenant, invoices: &[InvoiceId]) -> sqlx::Result<Vec<Line>> {
    let ids: Vec<Uuid> = invoices.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway invoice_lines::of */ ",
        "WHERE merchant_id = $1 AND invoice_id = ANY($2) AND livemode = $3 ORDER BY place, id",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// Forgets what waits for a subscription that is over.
pub(crate) async fn forget_waiting(conn: Conn<'_>, tenant: Tenant, of: SubscriptionId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoice_lines::forget_waiting */
         DELETE FROM invoice_lines WHERE merchant_id = $1 AND livemode = $2 AND subscription_id = $3 AND invoice_id IS NULL",
        tenant.id(),
        tenant.livemode,
        uuid(of.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's line of this id, where it waits or waited for its invoice: an item.
pub(crate) async fn find_item(conn: Conn<'_>, tenant: Tenant, id: InvoiceItemId) -> sqlx::Result<Option<Line>> {
    let row = select!(
        "/* gateway invoice_lines::find_item */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND waited",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Line::from))
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock_item(conn: Conn<'_>, tenant: Tenant, id: InvoiceItemId) -> sqlx::Result<Option<Line>> {
    let row = select!(
        "/* gateway invoice_lines::lock_item */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND waited FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Line::from))
}

/// Writes all that can change of an item.
pub(crate) async fn update_item(conn: Conn<'_>, tenant: Tenant, line: &Line) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoice_lines::update_item */
         UPDATE invoice_lines SET price_id = $4, product_id = $5, amount_minor = $6, unit_amount_minor = $7, quantity = $8,
             description = $9, period_start_at = $10, period_end_at = $11, metadata = $12
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND waited",
        tenant.id(),
        uuid(line.id.as_bytes()),
        tenant.livemode,
        line.price.map(|id| uuid(id.as_bytes())),
        line.product.map(|id| uuid(id.as_bytes())),
        line.amount,
        line.unit_amount,
        line.quantity,
        line.description,
        line.period_start_at,
        line.period_end_at,
        Value::Object(line.metadata.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes an item away.
pub(crate) async fn delete_item(conn: Conn<'_>, tenant: Tenant, id: InvoiceItemId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoice_lines::delete_item */
         DELETE FROM invoice_lines WHERE merchant_id = $1 AND id = $2 AND livemode = $3 AND waited",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The items of an invoice that goes away wait again.
pub(crate) async fn let_go(conn: Conn<'_>, tenant: Tenant, invoice: InvoiceId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway invoice_lines::let_go */
         UPDATE invoice_lines SET invoice_id = NULL, place = 0
         WHERE merchant_id = $1 AND livemode = $2 AND invoice_id = $3 AND waited",
        tenant.id(),
        tenant.livemode,
        uuid(invoice.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The currency of what has waited longest for a customer's invoice.
pub(crate) async fn currency_waiting(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: CustomerId,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "/* gateway invoice_lines::currency_waiting */
         SELECT currency FROM invoice_lines
         WHERE merchant_id = $1 AND livemode = $2 AND customer_id = $3 AND invoice_id IS NULL AND subscription_id IS NULL
         ORDER BY created_at, place, id LIMIT 1",
        tenant.id(),
        tenant.livemode,
        uuid(customer.as_bytes()),
    )
    .fetch_optional(conn)
    .await
}

/// The merchant's items: of one customer, on one invoice, those that wait or do not.
pub(crate) async fn list_items(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: Option<CustomerId>,
    invoice: Option<InvoiceId>,
    pending: Option<bool>,
    page: &Page,
) -> sqlx::Result<Listed<Line>> {
    let (customer, invoice) = (customer.map(|id| uuid(id.as_bytes())), invoice.map(|id| uuid(id.as_bytes())));
    let rows = match (invoice, customer, pending) {
        (Some(invoice), customer, pending) => page_of!(
            select,
            "/* gateway invoice_lines::list_items of invoice */ ",
            "id",
            "AND waited AND invoice_id = $7 AND ($8::uuid IS NULL OR customer_id = $8) AND ($9::bool IS NULL OR (invoice_id IS NULL) = $9)",
            conn,
            tenant,
            page,
            invoice,
            customer,
            pending,
        ),
        (None, Some(customer), pending) => page_of!(
            select,
            "/* gateway invoice_lines::list_items of customer */ ",
            "id",
            "AND waited AND customer_id = $7 AND ($8::bool IS NULL OR (invoice_id IS NULL) = $8)",
            conn,
            tenant,
            page,
            customer,
            pending,
        ),
        (None, None, Some(true)) => page_of!(
            select,
            "/* gateway invoice_lines::list_items pending */ ",
            "id",
            "AND waited AND invoice_id IS NULL",
            conn,
            tenant,
            page,
        ),
        (None, None, pending) => page_of!(
            select,
            "/* gateway invoice_lines::list_items */ ",
            "id",
            "AND waited AND ($7::bool IS NULL OR (invoice_id IS NULL) = $7)",
            conn,
            tenant,
            page,
            pending,
        ),
    };
    Ok(page.close(rows.into_iter().map(Line::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(line: &Line) -> Cursor {
    (line.created_at, uuid(line.id.as_bytes()))
}
