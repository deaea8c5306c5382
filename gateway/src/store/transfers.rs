//! Table `transfers`: the books. Insert and read only; the role can do nothing else.

use kura_wire::ids::AttemptId;
use time::OffsetDateTime;

use super::attempts::Attempt;
use super::{Conn, Tenant, column, uuid};
use crate::domain::books::{Movement, Network};

/// What moved, how much of it, and because of what.
#[derive(Debug, Clone, Copy)]
pub struct Moving<'a> {
    /// Of the balance transaction.
    pub id: [u8; 16],
    /// The charge, the refund or the dispute.
    pub source: [u8; 16],
    /// The attempt that it is about.
    pub attempt: AttemptId,
    /// How much.
    pub amount_minor: i64,
    /// Three lower-case letters.
    pub currency: &'a str,
}

/// Books what an attempt moved over a network. A second booking of the same movement is refused by the table's key.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    attempt: &Attempt,
    what: (Movement, Network),
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    insert_all(conn, tenant, &[(of_attempt(attempt), what)], at).await
}

/// What an attempt moves.
pub(crate) fn of_attempt(attempt: &Attempt) -> Moving<'_> {
    let source = attempt.refund.map_or(*attempt.charge.as_bytes(), |refund| *refund.as_bytes());
    Moving {
        id: source,
        source,
        attempt: attempt.id,
        amount_minor: attempt.amount_minor,
        currency: attempt.currency.as_str(),
    }
}

/// Books movements.
pub(crate) async fn insert_all(
    conn: Conn<'_>,
    tenant: Tenant,
    moved: &[(Moving<'_>, (Movement, Network))],
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway transfers::insert_all */
         INSERT INTO transfers (merchant_id, livemode, created_at, attempt_id, kind, debit_account, credit_account,
             amount_minor, currency, id, source_id, available_at)
         SELECT $1, $2, $3, moved.*
         FROM UNNEST($4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::uuid[], $11::uuid[],
             $12::timestamptz[]) AS moved",
        tenant.id(),
        tenant.livemode,
        at,
        &column(moved, |(moving, _)| uuid(moving.attempt.as_bytes())),
        &column(moved, |(_, (movement, _))| movement.as_str().to_owned()),
        &column(moved, |(_, (movement, network))| movement.accounts(*network).0.as_str().to_owned()),
        &column(moved, |(_, (movement, network))| movement.accounts(*network).1.as_str().to_owned()),
        &column(moved, |(moving, _)| moving.amount_minor),
        &column(moved, |(moving, _)| moving.currency.to_owned()),
        &column(moved, |(moving, _)| uuid(&moving.id)),
        &column(moved, |(moving, _)| uuid(&moving.source)),
        &column(moved, |(_, (movement, _))| movement.available_at(at)),
    )
    .execute(conn)
    .await?;
    Ok(())
}
