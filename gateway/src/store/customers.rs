//! Table `customers`. Of a payer's name, e-mail and telephone number only the masked form has a column.

use kura_wire::ids::CustomerId;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, uuid};

/// A customer.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Masked.
    pub name: Option<String>,
    /// Masked.
    pub email: Option<String>,
    /// Masked.
    pub phone: Option<String>,
    /// The merchant's words.
    pub description: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, customer: &Customer) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway customers::insert */
         INSERT INTO customers
             (merchant_id, id, livemode, name_masked, email_masked, phone_masked, description, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(customer.id.as_bytes()),
        tenant.livemode,
        customer.name,
        customer.email,
        customer.phone,
        customer.description,
        Value::Object(customer.metadata.clone()),
        customer.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's customer of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    let row = sqlx::query!(
        "/* gateway customers::find */
         SELECT name_masked, email_masked, phone_masked, description, metadata, created_at
         FROM customers WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Customer {
        id,
        name: row.name_masked,
        email: row.email_masked,
        phone: row.phone_masked,
        description: row.description,
        metadata: object(row.metadata),
        created_at: row.created_at,
    }))
}

/// The merchant's customers, those of these ids only where some are given.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    among: Option<&[Uuid]>,
    page: &Page,
) -> sqlx::Result<Listed<Customer>> {
    let ((after, after_id), (before, before_id)) = (page.after_parts(), page.before_parts());
    let rows = sqlx::query!(
        "/* gateway customers::list */
         SELECT id, name_masked, email_masked, phone_masked, description, metadata, created_at
         FROM customers
         WHERE merchant_id = $1 AND livemode = $2 AND ($3::uuid[] IS NULL OR id = ANY($3))
           AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
           AND ($6::timestamptz IS NULL OR (created_at, id) > ($6, $7::uuid))
           AND ($8::timestamptz IS NULL OR created_at >= $8) AND ($9::timestamptz IS NULL OR created_at < $9)
         ORDER BY CASE WHEN $10 THEN created_at END ASC, CASE WHEN $10 THEN id END ASC, created_at DESC, id DESC
         LIMIT $11",
        tenant.id(),
        tenant.livemode,
        among,
        after,
        after_id,
        before,
        before_id,
        page.from,
        page.until,
        page.ascending(),
        page.fetch(),
    )
    .fetch_all(conn)
    .await?;
    let customers = rows.into_iter().map(|row| Customer {
        id: CustomerId::from_bytes(row.id.into_bytes()),
        name: row.name_masked,
        email: row.email_masked,
        phone: row.phone_masked,
        description: row.description,
        metadata: object(row.metadata),
        created_at: row.created_at,
    });
    Ok(page.close(customers.collect()))
}

/// Where this one stands in lists.
pub fn cursor(customer: &Customer) -> Cursor {
    (customer.created_at, uuid(customer.id.as_bytes()))
}
