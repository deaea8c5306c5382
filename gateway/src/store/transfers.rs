//! Table `transfers`: the books. Insert and read only; the role can do nothing else.

use time::OffsetDateTime;

use super::attempts::Attempt;
use super::{Conn, Tenant, uuid};
use crate::domain::books::{Movement, Network};

/// Books what an attempt moved over a network. A second booking of the same movement is refused by the table's key.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    attempt: &Attempt,
    (movement, network): (Movement, Network),
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let (debit, credit) = movement.accounts(network);
    let charge = uuid(attempt.charge.as_bytes());
    let source = attempt.refund.map_or(charge, |refund| uuid(refund.as_bytes()));
    sqlx::query!(
        "/* gateway transfers::insert */
         INSERT INTO transfers (merchant_id, attempt_id, kind, livemode, debit_account, credit_account, amount_minor, currency,
             created_at, id, source_id, available_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)",
        tenant.id(),
        uuid(attempt.id.as_bytes()),
        movement.as_str(),
        tenant.livemode,
        debit.as_str(),
        credit.as_str(),
        attempt.amount_minor,
        attempt.currency,
        at,
        source,
        movement.available_at(at),
    )
    .execute(conn)
    .await?;
    Ok(())
}
