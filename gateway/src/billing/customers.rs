//! What billing changes of a customer: whether an invoice is overdue, the credit, the count of invoices.

use kura_platform::database::PgConnection;
use kura_wire::ids::CustomerId;

use crate::error::{ApiError, ApiResult};
use crate::events::{Happened, Kind};
use crate::render::customer::found;
use crate::store::customers::{self, Customer};
use crate::store::{Tenant, cards};

/// Changes a customer, who is locked last of all. Gives the customer before it, and what is to be told where something that
/// shows was changed.
///
/// # Errors
/// The database's.
pub async fn change(
    conn: &mut PgConnection,
    tenant: Tenant,
    id: CustomerId,
    to: impl FnOnce(&mut Customer),
) -> ApiResult<(Customer, Option<Happened>)> {
    let locked = customers::lock(conn, tenant, id).await?;
    let before = locked.ok_or_else(|| ApiError::internal("an invoice without its customer"))?;
    let mut after = before.clone();
    to(&mut after);
    customers::update(conn, tenant, &after).await?;
    let card = match before.default_card {
        Some(record) => cards::find(conn, tenant, record).await?,
        None => None,
    };
    let (shown_before, shown) = (found(tenant, before.clone(), card.as_ref()), found(tenant, after, card.as_ref()));
    let told = Happened::update(&shown_before, &shown, Kind::CustomerUpdated)?;
    Ok((before, told))
}
