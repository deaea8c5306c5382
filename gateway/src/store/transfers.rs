//! Table `transfers`: the books. Insert and read only; the role can do nothing else.

use kura_wire::ids::AttemptId;
use time::OffsetDateTime;

use super::attempts::Attempt;
use super::{Conn, Tenant, uuid};
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
    let source = attempt.refund.map_or(*attempt.charge.as_bytes(), |refund| *refund.as_bytes());
    let (amount_minor, currency) = (attempt.amount_minor, attempt.currency.as_str());
    let moving = Moving { id: source, source, attempt: attempt.id, amount_minor, currency };
    insert_moving(conn, tenant, &moving, what, at).await
}

/// Books a movement.
pub(crate) async fn insert_moving(
    conn: Conn<'_>,
    tenant: Tenant,
    moving: &Moving<'_>,
    (movement, network): (Movement, Network),
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let (debit, credit) = movement.accounts(network);
    sqlx::query!(
        "/* gateway transfers::insert_moving */
         INSERT INTO transfers (merchant_id, attempt_id, kind, livemode, debit_account, credit_account, amount_minor, currency,
             created_at, id, source_id, available_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant.id(),
        uuid(moving.attempt.as_bytes()),
        movement.as_str(),
        tenant.livemode,
        debit.as_str(),
        credit.as_str(),
        moving.amount_minor,
        moving.currency,
        at,
        uuid(&moving.id),
        uuid(&moving.source),
        movement.available_at(at),
    )
    .execute(conn)
    .await?;
    Ok(())
}
