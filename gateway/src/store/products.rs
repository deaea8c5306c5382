//! Table `products`.

use kura_wire::ids::{PriceId, ProductId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};

/// A product.
#[derive(Debug, Clone)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// What the shopper reads.
    pub name: String,
    /// More of it.
    pub description: Option<String>,
    /// What one of it is called.
    pub unit_label: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// On sale.
    pub active: bool,
    /// What it usually costs.
    pub default_price: Option<PriceId>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    name: String,
    description: Option<String>,
    unit_label: Option<String>,
    url: Option<String>,
    active: bool,
    default_price_id: Option<Uuid>,
    metadata: Value,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        Self {
            id: ProductId::from_bytes(row.id.into_bytes()),
            name: row.name,
            description: row.description,
            unit_label: row.unit_label,
            url: row.url,
            active: row.active,
            default_price: row.default_price_id.map(|id| PriceId::from_bytes(id.into_bytes())),
            metadata: object(row.metadata),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, name, description, unit_label, url, active, default_price_id, metadata, created_at, updated_at
                FROM products " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, product: &Product) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway products::insert */
         INSERT INTO products (merchant_id, id, livemode, name, description, unit_label, url, active, metadata, created_at,
             updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(product.id.as_bytes()),
        tenant.livemode,
        product.name,
        product.description,
        product.unit_label,
        product.url,
        product.active,
        Value::Object(product.metadata.clone()),
        product.created_at,
        product.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's product of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: ProductId) -> sqlx::Result<Option<Product>> {
    let row = select!(
        "/* gateway products::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Product::from))
}

/// The merchant's products of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[ProductId]) -> sqlx::Result<Vec<Product>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway products::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Product::from).collect())
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: ProductId) -> sqlx::Result<Option<Product>> {
    let row = select!(
        "/* gateway products::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Product::from))
}

/// Writes all that can change.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, product: &Product) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway products::update */
         UPDATE products SET name = $4, description = $5, unit_label = $6, url = $7, active = $8, default_price_id = $9,
             metadata = $10, updated_at = $11
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(product.id.as_bytes()),
        tenant.livemode,
        product.name,
        product.description,
        product.unit_label,
        product.url,
        product.active,
        product.default_price.map(|id| uuid(id.as_bytes())),
        Value::Object(product.metadata.clone()),
        product.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets it, where it has no prices; says whether.
pub(crate) async fn delete(conn: Conn<'_>, tenant: Tenant, id: ProductId) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway products::delete */
         DELETE FROM products WHERE merchant_id = $1 AND id = $2 AND livemode = $3
           AND NOT EXISTS (SELECT FROM prices WHERE prices.merchant_id = $1 AND prices.product_id = $2)",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's products, those of these ids only where some are given.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    among: Option<&[Uuid]>,
    active: Option<bool>,
    page: &Page,
) -> sqlx::Result<Listed<Product>> {
    let rows = page_of!(
        select,
        "/* gateway products::list */ ",
        "id",
        "AND ($7::uuid[] IS NULL OR id = ANY($7)) AND ($8::bool IS NULL OR active = $8)",
        conn,
        tenant,
        page,
        among,
        active,
    );
    Ok(page.close(rows.into_iter().map(Product::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(product: &Product) -> Cursor {
    (product.created_at, uuid(product.id.as_bytes()))
}
