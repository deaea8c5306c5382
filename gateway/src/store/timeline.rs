//! Table `timeline`: what happened to each payment. Insert and read only.

use kura_wire::ids::{AttemptId, PaymentIntentId, RequestId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Tenant, column, uuid};

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

/// An entry in its place.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Whose.
    pub intent: PaymentIntentId,
    /// Because of which request.
    pub request: Option<RequestId>,
    /// Among what happened to this payment at this moment.
    pub place: i16,
    /// What happened.
    pub entry: &'a Entry,
}

/// The lines of one payment's entries, in their order.
pub fn lines(intent: PaymentIntentId, request: Option<RequestId>, entries: &[Entry]) -> impl Iterator<Item = Line<'_>> {
    (0..).zip(entries).map(move |(place, entry)| Line { intent, request, place, entry })
}

/// Adds a payment's entries, in their order.
pub(crate) async fn append(
    conn: Conn<'_>,
    tenant: Tenant,
    intent: PaymentIntentId,
    request: Option<RequestId>,
    at: OffsetDateTime,
    entries: &[Entry],
) -> sqlx::Result<()> {
    append_all(conn, tenant, at, &lines(intent, request, entries).collect::<Vec<_>>()).await
}

/// Adds entries in one statement.
pub(crate) async fn append_all(
    conn: Conn<'_>,
    tenant: Tenant,
    at: OffsetDateTime,
    lines: &[Line<'_>],
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway timeline::append_all */
         INSERT INTO timeline (merchant_id, at, payment_intent_id, request_id, place, id, kind, attempt_id,
             network_reference, amount_minor, code)
         SELECT $1, $2, line.*
         FROM UNNEST($3::uuid[], $4::uuid[], $5::smallint[], $6::uuid[], $7::text[], $8::uuid[], $9::text[], $10::bigint[],
             $11::text[]) AS line",
        tenant.id(),
        at,
        &column(lines, |line| uuid(line.intent.as_bytes())),
        &column(lines, |line| line.request.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(lines, |line| line.place),
        &column(lines, |_| uuid(&kura_platform::random::time_ordered())),
        &column(lines, |line| line.entry.kind.to_owned()),
        &column(lines, |line| line.entry.attempt.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(lines, |line| line.entry.network_reference.clone()) as &[Option<String>],
        &column(lines, |line| line.entry.amount_minor) as &[Option<i64>],
        &column(lines, |line| line.entry.code.clone()) as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
