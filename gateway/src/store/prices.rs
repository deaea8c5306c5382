//! Table `prices`.

use kura_wire::ids::{PriceId, ProductId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Conn, Cursor, Listed, Page, Tenant, object, uuid};
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
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, product_id, currency, unit_amount_minor, recurring_interval, recurring_count, nickname, lookup_key,
                active, metadata, created_at FROM prices " + $tail,
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
    let rows = if page.ascending() {
        let (at, id) = page.before_parts();
        select!(
            "/* gateway prices::list ascending */ ",
            "WHERE merchant_id = $1 AND livemode = $2 AND ($3::bool IS NULL OR active = $3)
               AND ($4::text IS NULL OR currency = $4) AND ($5::uuid IS NULL OR product_id = $5)
               AND ($6::bool IS NULL OR (recurring_interval IS NOT NULL) = $6)
               AND ($7::text[] IS NULL OR lookup_key = ANY($7)) AND (created_at, id) > ($8::timestamptz, $9::uuid)
               AND ($10::timestamptz IS NULL OR created_at >= $10) AND ($11::timestamptz IS NULL OR created_at < $11)
             ORDER BY created_at, id LIMIT $12",
            tenant.id(),
            tenant.livemode,
            filter.active,
            filter.currency,
            product,
            filter.recurring,
            filter.lookup_keys,
            at,
            id,
            page.from,
            page.until,
            page.fetch(),
        )
        .fetch_all(conn)
        .await?
    } else {
        let (at, id) = page.after_parts();
        select!(
            "/* gateway prices::list */ ",
            "WHERE merchant_id = $1 AND livemode = $2 AND ($3::bool IS NULL OR active = $3)
               AND ($4::text IS NULL OR currency = $4) AND ($5::uuid IS NULL OR product_id = $5)
               AND ($6::bool IS NULL OR (recurring_interval IS NOT NULL) = $6)
               AND ($7::text[] IS NULL OR lookup_key = ANY($7))
               AND ($8::timestamptz IS NULL OR (created_at, id) < ($8, $9::uuid))
               AND ($10::timestamptz IS NULL OR created_at >= $10) AND ($11::timestamptz IS NULL OR created_at < $11)
             ORDER BY created_at DESC, id DESC LIMIT $12",
            tenant.id(),
            tenant.livemode,
            filter.active,
            filter.currency,
            product,
            filter.recurring,
            filter.lookup_keys,
            at,
            id,
            page.from,
            page.until,
            page.fetch(),
        )
        .fetch_all(conn)
        .await?
    };
    Ok(page.close(rows.into_iter().map(Price::from).collect()))
}

/// Where this one stands in lists.
pub fn cursor(price: &Price) -> Cursor {
    (price.created_at, uuid(price.id.as_bytes()))
}
