//! Table `charges`: authorizations that the network answered.

use kura_wire::ids::{AttemptId, ChargeId, CustomerId, PaymentIntentId};
use kura_wire::three_d_secure::AuthenticationEnd;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::methods::MethodRef;
use super::{Conn, Cursor, Listed, Page, Tenant, column, object, page_of, uuid};

/// A charge.
#[derive(Debug, Clone)]
pub struct Charge {
    /// Its id.
    pub id: ChargeId,
    /// The payment that it is of.
    pub intent: PaymentIntentId,
    /// The attempt that made it.
    pub attempt: AttemptId,
    /// Whether the network said yes.
    pub succeeded: bool,
    /// What was asked for.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// What was taken.
    pub captured_minor: i64,
    /// What was authorized and never taken.
    pub released_minor: i64,
    /// What was given back.
    pub refunded_minor: i64,
    /// Whether it was taken.
    pub captured: bool,
    /// Whether the cardholder disputes it, or did.
    pub disputed: bool,
    /// The card, or who paid without one.
    pub method: MethodRef,
    /// Where a deposit was made.
    pub place: Option<String>,
    /// The customer.
    pub customer: Option<CustomerId>,
    /// Field 38.
    pub approval_code: Option<String>,
    /// Field 39, when it was no.
    pub response_code: Option<String>,
    /// The reason behind it.
    pub decline_code: Option<String>,
    /// `pass`, `fail`, `unchecked`.
    pub cvc_check: Option<String>,
    /// What the issuer said of the cardholder beforehand, where it was asked.
    pub authentication: Option<AuthenticationEnd>,
    /// Of the payment.
    pub description: Option<String>,
    /// Of the payment.
    pub metadata: Map<String, Value>,
    /// When it was answered.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    payment_intent_id: Uuid,
    attempt_id: Uuid,
    status: String,
    amount_minor: i64,
    currency: String,
    amount_captured_minor: i64,
    amount_released_minor: i64,
    amount_refunded_minor: i64,
    captured: bool,
    disputed: bool,
    card_record: Option<Uuid>,
    payer_id: Option<Uuid>,
    deposit_place: Option<String>,
    customer_id: Option<Uuid>,
    approval_code: Option<String>,
    response_code: Option<String>,
    decline_code: Option<String>,
    cvc_check: Option<String>,
    authentication: Option<Value>,
    description: Option<String>,
    metadata: Value,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Charge {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: ChargeId::from_bytes(row.id.into_bytes()),
            intent: PaymentIntentId::from_bytes(row.payment_intent_id.into_bytes()),
            attempt: AttemptId::from_bytes(row.attempt_id.into_bytes()),
            succeeded: row.status == "succeeded",
            amount_minor: row.amount_minor,
            currency: row.currency,
            captured_minor: row.amount_captured_minor,
            released_minor: row.amount_released_minor,
            refunded_minor: row.amount_refunded_minor,
            captured: row.captured,
            disputed: row.disputed,
            method: MethodRef::of_columns(row.card_record, row.payer_id)
                .ok_or_else(|| sqlx::Error::Decode("method".into()))?,
            place: row.deposit_place,
            customer: row.customer_id.map(|id| CustomerId::from_bytes(id.into_bytes())),
            approval_code: row.approval_code,
            response_code: row.response_code,
            decline_code: row.decline_code,
            cvc_check: row.cvc_check,
            authentication: row
                .authentication
                .map(serde_json::from_value)
                .transpose()
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
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
            $head + "SELECT id, payment_intent_id, attempt_id, status, amount_minor, currency, amount_captured_minor,
                amount_released_minor, amount_refunded_minor, captured, disputed, card_record, payer_id, deposit_place,
                customer_id, approval_code, response_code, decline_code, cvc_check, description, metadata, created_at,
                (SELECT jsonb_build_object('result', proof.result, 'flow', proof.flow, 'eci', proof.eci,
                    'transaction_id', proof.transaction_id)
                 FROM attempts JOIN authentications AS proof
                     ON proof.merchant_id = attempts.merchant_id AND proof.id = attempts.authentication_id
                 WHERE attempts.merchant_id = charges.merchant_id AND attempts.id = charges.attempt_id
                     AND proof.result IS NOT NULL) AS authentication
                FROM charges " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes them.
pub(crate) async fn insert_all(conn: Conn<'_>, tenant: Tenant, charges: &[&Charge]) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway charges::insert_all */
         INSERT INTO charges (merchant_id, livemode, id, payment_intent_id, attempt_id, status, amount_minor, currency,
             amount_captured_minor, captured, card_record, customer_id, approval_code, response_code, decline_code,
             cvc_check, description, metadata, created_at, payer_id, deposit_place)
         SELECT $1, $2, made.*
         FROM UNNEST($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::boolean[],
             $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::jsonb[],
             $19::timestamptz[], $20::uuid[], $21::text[]) AS made",
        tenant.id(),
        tenant.livemode,
        &column(charges, |charge| uuid(charge.id.as_bytes())),
        &column(charges, |charge| uuid(charge.intent.as_bytes())),
        &column(charges, |charge| uuid(charge.attempt.as_bytes())),
        &column(charges, |charge| if charge.succeeded { "succeeded" } else { "failed" }.to_owned()),
        &column(charges, |charge| charge.amount_minor),
        &column(charges, |charge| charge.currency.clone()),
        &column(charges, |charge| charge.captured_minor),
        &column(charges, |charge| charge.captured),
        &column(charges, |charge| charge.method.card().map(|record| uuid(&record))) as &[Option<Uuid>],
        &column(charges, |charge| charge.customer.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(charges, |charge| charge.approval_code.clone()) as &[Option<String>],
        &column(charges, |charge| charge.response_code.clone()) as &[Option<String>],
        &column(charges, |charge| charge.decline_code.clone()) as &[Option<String>],
        &column(charges, |charge| charge.cvc_check.clone()) as &[Option<String>],
        &column(charges, |charge| charge.description.clone()) as &[Option<String>],
        &column(charges, |charge| Value::Object(charge.metadata.clone())),
        &column(charges, |charge| charge.created_at),
        &column(charges, |charge| charge.method.payer().map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(charges, |charge| charge.place.clone()) as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// So much was taken, and the rest is free again.
pub(crate) async fn mark_captured(
    conn: Conn<'_>,
    tenant: Tenant,
    id: ChargeId,
    captured_minor: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway charges::mark_captured */
         UPDATE charges SET captured = TRUE, amount_captured_minor = $3, amount_released_minor = amount_minor - $3
         WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(id.as_bytes()),
        captured_minor,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The cardholder disputes it.
pub(crate) async fn mark_disputed(conn: Conn<'_>, tenant: Tenant, id: ChargeId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway charges::mark_disputed */ UPDATE charges SET disputed = TRUE WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(id.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All of it is free again.
pub(crate) async fn mark_voided(conn: Conn<'_>, tenant: Tenant, id: ChargeId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway charges::mark_voided */
         UPDATE charges SET amount_released_minor = amount_minor WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(id.as_bytes()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// So much more was given back.
pub(crate) async fn mark_refunded(conn: Conn<'_>, tenant: Tenant, id: ChargeId, more_minor: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway charges::mark_refunded */
         UPDATE charges SET amount_refunded_minor = amount_refunded_minor + $3 WHERE merchant_id = $1 AND id = $2",
        tenant.id(),
        uuid(id.as_bytes()),
        more_minor,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's charge of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: ChargeId) -> sqlx::Result<Option<Charge>> {
    let row = select!(
        "/* gateway charges::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Charge::try_from).transpose()
}

/// The merchant's charges of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[ChargeId]) -> sqlx::Result<Vec<Charge>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway charges::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Charge::try_from).collect()
}

/// The merchant's charges, perhaps of one payment.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: Option<PaymentIntentId>,
    page: &Page,
) -> sqlx::Result<Listed<Charge>> {
    let rows = match intent {
        None => page_of!(select, "/* gateway charges::list */ ", "id", "", conn, tenant, page),
        Some(id) => {
            let id = uuid(id.as_bytes());
            page_of!(
                select,
                "/* gateway charges::list of intent */ ",
                "id",
                "AND payment_intent_id = $7",
                conn,
                tenant,
                page,
                id
            )
        }
    };
    Ok(page.close(rows.into_iter().map(Charge::try_from).collect::<sqlx::Result<Vec<_>>>()?))
}

/// Where this one stands in lists.
pub fn cursor(charge: &Charge) -> Cursor {
    (charge.created_at, uuid(charge.id.as_bytes()))
}
