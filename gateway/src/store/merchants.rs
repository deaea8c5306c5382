//! Table `merchants`.

use kura_wire::ids::MerchantId;
use time::OffsetDateTime;

use super::{Conn, Tenant, uuid};
use crate::domain::subscription::AfterLastTry;

/// The merchant's name.
pub(crate) async fn name(conn: Conn<'_>, tenant: Tenant) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("/* gateway merchants::name */ SELECT name FROM merchants WHERE id = $1", tenant.id())
        .fetch_optional(conn)
        .await
}

/// What becomes of a subscription whose invoice could not be paid in any of its tries.
pub(crate) async fn after_last_try(conn: Conn<'_>, tenant: Tenant) -> sqlx::Result<Option<AfterLastTry>> {
    let word = sqlx::query_scalar!(
        "/* gateway merchants::after_last_try */ SELECT after_last_try FROM merchants WHERE id = $1",
        tenant.id(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(word.as_deref().and_then(AfterLastTry::parse))
}

/// A new merchant.
pub(crate) async fn insert(
    conn: Conn<'_>,
    id: MerchantId,
    name: &str,
    requires_cvc: bool,
    at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway merchants::insert */ INSERT INTO merchants (id, name, requires_cvc, created_at) VALUES ($1, $2, $3, $4)",
        uuid(id.as_bytes()),
        name,
        requires_cvc,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether the merchant insists on a security code at a card's first charge.
pub(crate) async fn requires_cvc(conn: Conn<'_>, tenant: Tenant) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        "/* gateway merchants::requires_cvc */ SELECT requires_cvc FROM merchants WHERE id = $1",
        tenant.id(),
    )
    .fetch_one(conn)
    .await
}

/// The merchant's name, as shoppers know it.
pub(crate) async fn find_name(conn: Conn<'_>, tenant: Tenant) -> sqlx::Result<String> {
    sqlx::query_scalar!("/* gateway merchants::find_name */ SELECT name FROM merchants WHERE id = $1", tenant.id(),)
        .fetch_one(conn)
        .await
}

/// Whether there is this merchant.
pub(crate) async fn exists(conn: Conn<'_>, id: MerchantId) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "/* gateway merchants::exists */ SELECT id FROM merchants WHERE id = $1",
        uuid(id.as_bytes()),
    );
    Ok(found.fetch_optional(conn).await?.is_some())
}
