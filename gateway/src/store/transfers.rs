//! Table `transfers`: the books. Insert and read only; the role can do nothing else.

use kura_wire::ids::AttemptId;
use time::OffsetDateTime;

use super::{Conn, Tenant, uuid};
use crate::domain::books::{Movement, Network};

/// Books what an attempt moved over a network: so much of a currency. A second booking of the same movement is refused by the table's key.
pub(crate) async fn insert(
    conn: Conn<'_>,
    tenant: Tenant,
    attempt: AttemptId,
    (movement, network): (Movement, Network),
    (amount_minor, currency): (i64, &str),
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    let (debit, credit) = movement.accounts(network);
    sqlx::query!(
        "/* gateway transfers::insert */
         INSERT INTO transfers
             (merchant_id, attempt_id, kind, livemode, debit_account, credit_account, amount_minor, currency, booked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant.id(),
        uuid(attempt.as_bytes()),
        movement.as_str(),
        tenant.livemode,
        debit.as_str(),
        credit.as_str(),
        amount_minor,
        currency,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
