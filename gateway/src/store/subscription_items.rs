//! Table `subscription_items`, each with its price and the name of its product.

use kura_wire::ids::{PriceId, ProductId, SubscriptionId, SubscriptionItemId};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::prices::Price;
use super::{Conn, Tenant, object, uuid};
use crate::domain::calendar::{Interval, Recurring};

/// Items that a subscription has at the most.
pub const MOST: usize = 20;

/// One price in a subscription.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its id.
    pub id: SubscriptionItemId,
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// What one costs.
    pub price: Price,
    /// How often.
    pub recurring: Recurring,
    /// What the shopper reads.
    pub product_name: String,
    /// How many.
    pub quantity: i64,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// When it was made, by its own time.
    pub created_at: OffsetDateTime,
}

impl Item {
    /// What it costs for one period. Bounded: prices have eight digits, quantities seven.
    pub const fn amount(&self) -> i64 {
        self.price.unit_amount.saturating_mul(self.quantity)
    }
}

struct Row {
    id: Uuid,
    subscription_id: Uuid,
    quantity: i64,
    metadata: Value,
    created_at: OffsetDateTime,
    price_id: Uuid,
    product_id: Uuid,
    currency: String,
    unit_amount_minor: i64,
    recurring_interval: Option<String>,
    recurring_count: Option<i32>,
    nickname: Option<String>,
    lookup_key: Option<String>,
    active: bool,
    price_metadata: Value,
    price_created_at: OffsetDateTime,
    product_name: String,
}

impl TryFrom<Row> for Item {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let interval = row.recurring_interval.as_deref().and_then(Interval::parse);
        let recurring = interval.zip(row.recurring_count).map(|(interval, count)| Recurring { interval, count });
        Ok(Self {
            id: SubscriptionItemId::from_bytes(row.id.into_bytes()),
            subscription: SubscriptionId::from_bytes(row.subscription_id.into_bytes()),
            recurring: recurring.ok_or_else(|| sqlx::Error::Decode("a subscription to what is due once".into()))?,
            price: Price {
                id: PriceId::from_bytes(row.price_id.into_bytes()),
                product: ProductId::from_bytes(row.product_id.into_bytes()),
                currency: row.currency,
                unit_amount: row.unit_amount_minor,
                recurring,
                nickname: row.nickname,
                lookup_key: row.lookup_key,
                active: row.active,
                metadata: object(row.price_metadata),
                created_at: row.price_created_at,
            },
            product_name: row.product_name,
            quantity: row.quantity,
            metadata: object(row.metadata),
            created_at: row.created_at,
        })
    }
}

macro_rules! select {
    ($head:literal, $tail:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT item.id, item.subscription_id, item.quantity, item.metadata, item.created_at, item.price_id,
                price.product_id, price.currency, price.unit_amount_minor, price.recurring_interval, price.recurring_count,
                price.nickname, price.lookup_key, price.active, price.metadata AS price_metadata,
                price.created_at AS price_created_at, product.name AS product_name
                FROM subscription_items AS item
                JOIN prices AS price ON price.merchant_id = item.merchant_id AND price.id = item.price_id
                JOIN products AS product ON product.merchant_id = item.merchant_id AND product.id = price.product_id " + $tail,
            $($argument),*
        )
    };
}

/// Adds it.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, item: &Item) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway subscription_items::insert */
         INSERT INTO subscription_items (merchant_id, id, livemode, subscription_id, price_id, quantity, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        tenant.id(),
        uuid(item.id.as_bytes()),
        tenant.livemode,
        uuid(item.subscription.as_bytes()),
        uuid(item.price.id.as_bytes()),
        item.quantity,
        Value::Object(item.metadata.clone()),
        item.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes all that can change.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, item: &Item) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway subscription_items::update */
         UPDATE subscription_items SET price_id = $4, quantity = $5, metadata = $6
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(item.id.as_bytes()),
        tenant.livemode,
        uuid(item.price.id.as_bytes()),
        item.quantity,
        Value::Object(item.metadata.clone()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes it out.
pub(crate) async fn delete(conn: Conn<'_>, tenant: Tenant, id: SubscriptionItemId) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway subscription_items::delete */
         DELETE FROM subscription_items WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The merchant's item of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: SubscriptionItemId) -> sqlx::Result<Option<Item>> {
    let row = select!(
        "/* gateway subscription_items::find */ ",
        "WHERE item.merchant_id = $1 AND item.id = $2 AND item.livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Item::try_from).transpose()
}

/// Those of these subscriptions, oldest first.
pub(crate) async fn of(conn: Conn<'_>, tenant: Tenant, subscriptions: &[SubscriptionId]) -> sqlx::Result<Vec<Item>> {
    let ids: Vec<Uuid> = subscriptions.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway subscription_items::of */ ",
        "WHERE item.merchant_id = $1 AND item.subscription_id = ANY($2) AND item.livemode = $3
         ORDER BY item.created_at, item.id",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Item::try_from).collect()
}
