//! Table `refunds`.

use kura_wire::ids::{ChargeId, PaymentIntentId, RefundId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};

/// A refund.
#[derive(Debug, Clone)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// The payment.
    pub intent: PaymentIntentId,
    /// The charge.
    pub charge: ChargeId,
    /// `pending`, `succeeded`, `failed`.
    pub status: String,
    /// How much.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// The merchant's reason.
    pub reason: Option<String>,
    /// Ours, when it failed.
    pub failure_reason: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// Where it goes back to: `card`, `konbini`, …
    pub method: String,
    /// What the network knows it by.
    pub network_reference: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    payment_intent_id: Uuid,
    charge_id: Uuid,
    status: String,
    amount_minor: i64,
    currency: String,
    reason: Option<String>,
    failure_reason: Option<String>,
    metadata: Value,
    method: String,
    network_reference: String,
    created_at: OffsetDateTime,
}

impl From<Row> for Refund {
    fn from(row: Row) -> Self {
        Self {
            id: RefundId::from_bytes(row.id.into_bytes()),
            intent: PaymentIntentId::from_bytes(row.payment_intent_id.into_bytes()),
            charge: ChargeId::from_bytes(row.charge_id.into_bytes()),
            status: row.status,
            amount_minor: row.amount_minor,
            currency: row.currency,
            reason: row.reason,
            failure_reason: row.failure_reason,
            metadata: object(row.metadata),
            method: row.method,
            network_reference: row.network_reference,
            created_at: row.created_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, payment_intent_id, charge_id, status, amount_minor, currency, reason, failure_reason,
                metadata, method, network_reference, created_at FROM refunds " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, refund: &Refund) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway refunds::insert */
         INSERT INTO refunds (merchant_id, id, livemode, payment_intent_id, charge_id, status, amount_minor, currency,
             reason, metadata, network_reference, created_at, method)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tenant.id(),
        uuid(refund.id.as_bytes()),
        tenant.livemode,
        uuid(refund.intent.as_bytes()),
        uuid(refund.charge.as_bytes()),
        refund.status,
        refund.amount_minor,
        refund.currency,
        refund.reason,
        Value::Object(refund.metadata.clone()),
        refund.network_reference,
        refund.created_at,
        refund.method,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It ended.
pub(crate) async fn mark_settled(
    conn: Conn<'_>,
    tenant: Tenant,
    id: RefundId,
    status: &str,
    failure_reason: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway refunds::mark_settled */
         UPDATE refunds SET status = $3, failure_reason = $4 WHERE merchant_id = $1 AND id = $2 AND status = 'pending'",
        tenant.id(),
        uuid(id.as_bytes()),
        status,
        failure_reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's refund of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: RefundId) -> sqlx::Result<Option<Refund>> {
    let row = select!(
        "/* gateway refunds::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Refund::from))
}

/// The merchant's refunds of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[RefundId]) -> sqlx::Result<Vec<Refund>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway refunds::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Refund::from).collect())
}

/// The merchant's refunds, perhaps of one payment or one charge.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: Option<PaymentIntentId>,
    charge: Option<ChargeId>,
    page: &Page,
) -> sqlx::Result<Listed<Refund>> {
    let (intent, charge) = (intent.map(|id| uuid(id.as_bytes())), charge.map(|id| uuid(id.as_bytes())));
    let rows = match (charge, intent) {
        (None, None) => page_of!(select, "/* gateway refunds::list */ ", "id", "", conn, tenant, page),
        (Some(charge), intent) => page_of!(
            select,
            "/* gateway refunds::list of charge */ ",
            "id",
            "AND charge_id = $7 AND ($8::uuid IS NULL OR payment_intent_id = $8)",
            conn,
            tenant,
            page,
            charge,
            intent,
        ),
        (None, Some(intent)) => page_of!(
            select,
            "/* gateway refunds::list of payment */ ",
            "id",
            "AND payment_intent_id = $7",
            conn,
            tenant,
            page,
            intent,
        ),
    };
    Ok(page.close(rows.into_iter().map(Refund::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(refund: &Refund) -> Cursor {
    (refund.created_at, uuid(refund.id.as_bytes()))
}
