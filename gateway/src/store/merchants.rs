//! Table `merchants`.

use kura_wire::ids::MerchantId;
use time::OffsetDateTime;

use super::{Conn, uuid};

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
