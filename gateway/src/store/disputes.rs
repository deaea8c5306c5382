//! Table `disputes`.

use kura_wire::dispute::DisputeState;
use kura_wire::ids::{AttemptId, ChargeId, DisputeId, PaymentIntentId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};
use crate::domain::dispute::{parse, word};

/// A dispute.
#[derive(Debug, Clone)]
pub struct Dispute {
    /// Its id.
    pub id: DisputeId,
    /// The network's case number.
    pub case: String,
    /// The attempt that made the disputed payment.
    pub attempt: AttemptId,
    /// The charge.
    pub charge: ChargeId,
    /// The payment.
    pub intent: PaymentIntentId,
    /// What the cardholder says.
    pub reason: String,
    /// How it stands.
    pub state: DisputeState,
    /// How much of the payment.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// The network's count of its changes.
    pub version: i32,
    /// Until when it may be answered.
    pub respond_by: OffsetDateTime,
    /// Whether evidence reached the network.
    pub has_evidence: bool,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was opened.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    case_number: String,
    attempt_id: Uuid,
    charge_id: Uuid,
    payment_intent_id: Uuid,
    reason: String,
    status: String,
    amount_minor: i64,
    currency: String,
    version: i32,
    respond_by: OffsetDateTime,
    has_evidence: bool,
    metadata: Value,
    created_at: OffsetDateTime,
}

impl From<Row> for Dispute {
    fn from(row: Row) -> Self {
        Self {
            id: DisputeId::from_bytes(row.id.into_bytes()),
            case: row.case_number,
            attempt: AttemptId::from_bytes(row.attempt_id.into_bytes()),
            charge: ChargeId::from_bytes(row.charge_id.into_bytes()),
            intent: PaymentIntentId::from_bytes(row.payment_intent_id.into_bytes()),
            reason: row.reason,
            // The table holds these words alone.
            state: parse(&row.status).unwrap_or(DisputeState::Lost),
            amount_minor: row.amount_minor,
            currency: row.currency,
            version: row.version,
            respond_by: row.respond_by,
            has_evidence: row.has_evidence,
            metadata: object(row.metadata),
            created_at: row.created_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, case_number, attempt_id, charge_id, payment_intent_id, reason, status, amount_minor, currency,
                version, respond_by, has_evidence, metadata, created_at FROM disputes " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, dispute: &Dispute) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway disputes::insert */
         INSERT INTO disputes (merchant_id, id, livemode, case_number, attempt_id, charge_id, payment_intent_id, reason, status,
             amount_minor, currency, version, respond_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        tenant.id(),
        uuid(dispute.id.as_bytes()),
        tenant.livemode,
        dispute.case,
        uuid(dispute.attempt.as_bytes()),
        uuid(dispute.charge.as_bytes()),
        uuid(dispute.intent.as_bytes()),
        dispute.reason,
        word(dispute.state),
        dispute.amount_minor,
        dispute.currency,
        dispute.version,
        dispute.respond_by,
        dispute.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// As it stands now.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, dispute: &Dispute) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway disputes::update */
         UPDATE disputes SET status = $3, version = $4, has_evidence = $5, metadata = $6 WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(dispute.id.as_bytes()),
        word(dispute.state),
        dispute.version,
        dispute.has_evidence,
        Value::Object(dispute.metadata.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's dispute of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: DisputeId) -> sqlx::Result<Option<Dispute>> {
    let row = select!(
        "/* gateway disputes::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    );
    Ok(row.fetch_optional(conn).await?.map(Dispute::from))
}

/// The same, which nobody else changes meanwhile.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: DisputeId) -> sqlx::Result<Option<Dispute>> {
    let row = select!(
        "/* gateway disputes::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    );
    Ok(row.fetch_optional(conn).await?.map(Dispute::from))
}

/// The dispute of this case, which nobody else changes meanwhile.
pub(crate) async fn lock_case(conn: Conn<'_>, tenant: Tenant, case: &str) -> sqlx::Result<Option<Dispute>> {
    let row = select!(
        "/* gateway disputes::lock_case */ ",
        "WHERE merchant_id = $1 AND case_number = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        case,
        tenant.livemode,
    );
    Ok(row.fetch_optional(conn).await?.map(Dispute::from))
}

/// Whether a dispute holds back money of this charge: one that was not won.
pub(crate) async fn holds_back(conn: Conn<'_>, tenant: Tenant, charge: ChargeId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"/* gateway disputes::holds_back */
         SELECT EXISTS (SELECT FROM disputes WHERE merchant_id = $1 AND charge_id = $2 AND status <> 'won') AS "held!""#,
        tenant.id(),
        uuid(charge.as_bytes()),
    )
    .fetch_one(conn)
    .await
}

/// The merchant's disputes, perhaps of one charge or one payment.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    charge: Option<ChargeId>,
    intent: Option<PaymentIntentId>,
    page: &Page,
) -> sqlx::Result<Listed<Dispute>> {
    let (charge, intent) = (charge.map(|id| uuid(id.as_bytes())), intent.map(|id| uuid(id.as_bytes())));
    let rows = match (charge, intent) {
        (None, None) => page_of!(select, "/* gateway disputes::list */ ", "id", "", conn, tenant, page),
        (Some(charge), intent) => page_of!(
            select,
            "/* gateway disputes::list of charge */ ",
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
            "/* gateway disputes::list of payment */ ",
            "id",
            "AND payment_intent_id = $7",
            conn,
            tenant,
            page,
            intent,
        ),
    };
    Ok(page.close(rows.into_iter().map(Dispute::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(dispute: &Dispute) -> Cursor {
    (dispute.created_at, uuid(dispute.id.as_bytes()))
}
