//! Table `timeline`: what happened to each payment. Insert and read only.

use kura_wire::ids::{AttemptId, PaymentIntentId, RequestId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Tenant, uuid};

/// One thing that happened.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// `created`, `processing`, `succeeded`, …
    pub kind: &'static str,
    /// The attempt, if one was made.
    pub attempt: Option<AttemptId>,
    /// What the network knows it by.
    pub network_reference: Option<String>,
    /// Minor units.
    pub amount_minor: Option<i64>,
    /// A word of a closed set.
    pub code: Option<String>,
}

impl Entry {
    /// Of this kind, with nothing more to say.
    pub fn of(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }
}

/// Adds entries, in their order, in one statement.
pub(crate) async fn append(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: PaymentIntentId,
    request: Option<RequestId>,
    at: OffsetDateTime,
    entries: &[Entry],
) -> sqlx::Result<()> {
    let places: Vec<i16> = (0..).take(entries.len()).collect();
    let ids: Vec<Uuid> = entries.iter().map(|_| uuid(&kura_platform::random::time_ordered())).collect();
    let kinds: Vec<String> = entries.iter().map(|entry| entry.kind.to_owned()).collect();
    let attempts: Vec<Option<Uuid>> = entries.iter().map(|entry| entry.attempt.map(|id| uuid(id.as_bytes()))).collect();
    let references: Vec<Option<String>> = entries.iter().map(|entry| entry.network_reference.clone()).collect();
    let amounts: Vec<Option<i64>> = entries.iter().map(|entry| entry.amount_minor).collect();
    let codes: Vec<Option<String>> = entries.iter().map(|entry| entry.code.clone()).collect();
    sqlx::query!(
        "/* gateway timeline::append */
         INSERT INTO timeline (merchant_id, payment_intent_id, at, request_id, place, id, kind, attempt_id,
             network_reference, amount_minor, code)
         SELECT $1, $2, $3, $4, place, id, kind, attempt_id, network_reference, amount_minor, code
         FROM UNNEST($5::smallint[], $6::uuid[], $7::text[], $8::uuid[], $9::text[], $10::bigint[], $11::text[])
             AS entry (place, id, kind, attempt_id, network_reference, amount_minor, code)",
        tenant.id(),
        uuid(intent.as_bytes()),
        at,
        request.map(|id| uuid(id.as_bytes())),
        &places,
        &ids,
        &kinds,
        &attempts as &[Option<Uuid>],
        &references as &[Option<String>],
        &amounts as &[Option<i64>],
        &codes as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
