//! Table `customers`. Of a payer's name, e-mail and telephone number only the masked form has a column.

use kura_wire::ids::CustomerId;
use serde_json::{Map, Value};
use sqlx::postgres::PgPool;
use time::OffsetDateTime;

use super::{Tenant, object, uuid};

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

/// Makes it, unless a first run of the same request did.
pub async fn insert(pool: &PgPool, tenant: Tenant, customer: &Customer) -> sqlx::Result<()> {
    sqlx::query!(
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
    .execute(pool)
    .await?;
    Ok(())
}

/// The merchant's customer of this id.
pub async fn find(pool: &PgPool, tenant: Tenant, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    let row = sqlx::query!(
        "/* gateway customers::find */
         SELECT name_masked, email_masked, phone_masked, description, metadata, created_at
         FROM customers WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(pool)
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
