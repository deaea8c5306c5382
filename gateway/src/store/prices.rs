//! Table `prices`.

use kura_wire::ids::{PriceId, ProductId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, page_of, uuid};
use crate::domain::calendar::{Interval, Recurring};

/// A price.
#[derive(Debug, Clone)]
pub struct Price {
    /// Its id.
    pub id: PriceId,
    /// Of what.
    pub product: ProductId,
    /// Three lower-case letters.
    pub currency: String,
    /// Of one, in minor units.
    pub unit_amount: i64,
    /// How often; once where there is none.
    pub recurring: Option<Recurring>,
    /// The merchant's words.
    pub nickname: Option<String>,
    /// A name of the merchant's that can move to another price.
    pub lookup_key: Option<String>,
    /// On sale.
    pub active: bool,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    product_id: Uuid,
    currency: String,
    unit_amount_minor: i64,
    recurring_interval: Option<String>,
    recurring_count: Option<i32>,
    nickname: Option<String>,
    lookup_key: Option<String>,
    active: bool,
    metadata: Value,
    created_at: OffsetDateTime,
}

impl From<Row> for Price {
    fn from(row: Row) -> Self {
        let interval = row.recurring_interval.as_deref().and_then(Interval::parse);
        Self {
            id: PriceId::from_bytes(row.id.into_bytes()),
            product: ProductId::from_bytes(row.product_id.into_bytes()),
            currency: row.currency,
            unit_amount: row.unit_amount_minor,
            recurring: interval.zip(row.recurring_count).map(|(interval, count)| Recurring { interval, count }),
            nickname: row.nickname,
            lookup_key: row.lookup_key,
            active: row.active,
            metadata: object(row.metadata),
            created_at: row.created_at,
        }
    }
}

macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, product_id, currency, unit_amount_minor, recurring_interval, recurring_count, nickname, lookup_key,
                active, metadata, created_at FROM prices " $(+ $tail)+,
            $($argument),*
        )
    };
}

/// Which prices.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// On sale.
    pub active: Option<bool>,
    /// In this currency.
    pub currency: Option<String>,
    /// Of this product.
    pub product: Option<ProductId>,
    /// Recurring, or not.
    pub recurring: Option<bool>,
    /// With one of these names.
    pub lookup_keys: Option<&'a [String]>,
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, price: &Price) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "/* gateway prices::insert */
         INSERT INTO prices (merchant_id, id, livemode, product_id, currency, unit_amount_minor, recurring_interval,
             recurring_count, nickname, lookup_key, active, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (merchant_id, id) DO NOTHING",
        tenant.id(),
        uuid(price.id.as_bytes()),
        tenant.livemode,
        uuid(price.product.as_bytes()),
        price.currency,
        price.unit_amount,
        price.recurring.map(|recurring| recurring.interval.as_str()),
        price.recurring.map(|recurring| recurring.count),
        price.nickname,
        price.lookup_key,
        price.active,
        Value::Object(price.metadata.clone()),
        price.created_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The merchant's price of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: PriceId) -> sqlx::Result<Option<Price>> {
    let row = select!(
        "/* gateway prices::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Price::from))
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: PriceId) -> sqlx::Result<Option<Price>> {
    let row = select!(
        "/* gateway prices::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Price::from))
}

/// The merchant's prices of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[PriceId]) -> sqlx::Result<Vec<Price>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway prices::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Price::from).collect())
}

/// The price that has this name, locked.
pub(crate) async fn lock_by_lookup_key(conn: Conn<'_>, tenant: Tenant, key: &str) -> sqlx::Result<Option<Price>> {
    let row = select!(
        "/* gateway prices::lock_by_lookup_key */ ",
        "WHERE merchant_id = $1 AND livemode = $2 AND lookup_key = $3 FOR UPDATE",
        tenant.id(),
        tenant.livemode,
        key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Price::from))
}

/// Writes all that can change.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, price: &Price) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway prices::update */
         UPDATE prices SET nickname = $4, lookup_key = $5, active = $6, metadata = $7
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(price.id.as_bytes()),
        tenant.livemode,
        price.nickname,
        price.lookup_key,
        price.active,
        Value::Object(price.metadata.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's prices.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    filter: &Filter<'_>,
    page: &Page,
) -> sqlx::Result<Listed<Price>> {
    let product = filter.product.map(|id| uuid(id.as_bytes()));
    let rows = page_of!(
        select,
        "/* gateway prices::list */ ",
        "id",
        "AND ($7::bool IS NULL OR active = $7) AND ($8::text IS NULL OR currency = $8) AND ($9::uuid IS NULL OR product_id = $9) AND ($10::bool IS NULL OR (recurring_interval IS NOT NULL) = $10) AND ($11::text[] IS NULL OR lookup_key = ANY($11))",
        conn,
        tenant,
        page,
        filter.active,
        filter.currency,
        product,
        filter.recurring,
        filter.lookup_keys,
    );
    Ok(page.close(rows.into_iter().map(Price::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(price: &Price) -> Cursor {
    (price.created_at, uuid(price.id.as_bytes()))
}
