//! What the console reads: payments of all merchants, and one payment's timeline. Read only; nothing here names a tenant,
//! so nothing here may be called for a merchant.

use kura_platform::database::PgPool;
use kura_wire::control::{CardGlimpse, PaymentSummary, TimelineEntry};
use kura_wire::ids::{AttemptId, MerchantId, PaymentIntentId, RequestId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::uuid;

struct Row {
    id: Uuid,
    merchant_id: Uuid,
    merchant_name: String,
    livemode: bool,
    created_at: OffsetDateTime,
    status: String,
    amount_minor: i64,
    amount_received_minor: i64,
    amount_refunded_minor: i64,
    currency: String,
    description: Option<String>,
    failure_code: Option<String>,
    brand: Option<String>,
    bin: Option<String>,
    last_four: Option<String>,
}

impl Row {
    fn into_parts(self) -> (PaymentSummary, Option<String>) {
        let card = match (self.brand, self.bin, self.last_four) {
            (Some(brand), Some(bin), Some(last_four)) => Some(CardGlimpse { brand, bin, last_four }),
            _ => None,
        };
        let summary = PaymentSummary {
            id: PaymentIntentId::from_bytes(self.id.into_bytes()),
            merchant: MerchantId::from_bytes(self.merchant_id.into_bytes()),
            merchant_name: self.merchant_name,
            livemode: self.livemode,
            created_at: self.created_at,
            status: self.status,
            amount_minor: self.amount_minor,
            amount_received_minor: self.amount_received_minor,
            amount_refunded_minor: self.amount_refunded_minor,
            currency: self.currency,
            card,
            failure_code: self.failure_code,
        };
        (summary, self.description)
    }
}

macro_rules! select {
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + r#"SELECT p.id, p.merchant_id, m.name AS merchant_name, p.livemode, p.created_at, p.status, p.amount_minor,
                p.amount_received_minor, p.amount_refunded_minor, p.currency, p.description,
                COALESCE(p.error_decline_code, p.error_code) AS failure_code,
                c.brand AS "brand?", c.bin AS "bin?", c.last_four AS "last_four?"
                FROM payment_intents p JOIN merchants m ON m.id = p.merchant_id
                LEFT JOIN cards c ON c.merchant_id = p.merchant_id
                    AND c.record = COALESCE(p.card_record, p.error_card_record) "# + $tail,
            $($argument),*
        )
    };
}

/// A page of payments, newest first.
pub async fn list_payments(
    pool: &PgPool,
    before: Option<PaymentIntentId>,
    status: Option<&str>,
    merchant: Option<MerchantId>,
    fetch: i64,
) -> sqlx::Result<Vec<PaymentSummary>> {
    let rows = select!(
        "/* gateway control::list_payments */ ",
        "WHERE ($1::uuid IS NULL OR (p.created_at, p.id) < (SELECT b.created_at, b.id FROM payment_intents b WHERE b.id = $1 LIMIT 1))
           AND ($2::text IS NULL OR p.status = $2) AND ($3::uuid IS NULL OR p.merchant_id = $3)
         ORDER BY p.created_at DESC, p.id DESC LIMIT $4",
        before.map(|id| uuid(id.as_bytes())),
        status,
        merchant.map(|id| uuid(id.as_bytes())),
        fetch,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| row.into_parts().0).collect())
}

/// One payment, and the merchant's words for it.
pub async fn find_payment(
    pool: &PgPool,
    id: PaymentIntentId,
) -> sqlx::Result<Option<(PaymentSummary, Option<String>)>> {
    let row = select!("/* gateway control::find_payment */ ", "WHERE p.id = $1", uuid(id.as_bytes()))
        .fetch_optional(pool)
        .await?;
    Ok(row.map(Row::into_parts))
}

/// What happened to it, oldest first, 500 entries at the most.
pub async fn list_timeline(
    pool: &PgPool,
    merchant: MerchantId,
    id: PaymentIntentId,
) -> sqlx::Result<Vec<TimelineEntry>> {
    let rows = sqlx::query!(
        "/* gateway control::list_timeline */
         SELECT at, kind, request_id, attempt_id, network_reference, amount_minor, code
         FROM timeline WHERE merchant_id = $1 AND payment_intent_id = $2 ORDER BY at, place, id LIMIT 500",
        uuid(merchant.as_bytes()),
        uuid(id.as_bytes()),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| TimelineEntry {
            at: row.at,
            kind: row.kind,
            request_id: row.request_id.map(|id| RequestId::from_bytes(id.into_bytes())),
            attempt: row.attempt_id.map(|id| AttemptId::from_bytes(id.into_bytes())),
            network_reference: row.network_reference,
            amount_minor: row.amount_minor,
            code: row.code,
        })
        .collect())
}
