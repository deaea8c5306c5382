//! `/v1/subscription_items`: one price of a subscription. Changing one is changing its subscription.

use kura_wire::ids::{PriceId, SubscriptionId, SubscriptionItemId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::{IdOf, Metadata, Moment, Whole};
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::subscription::{DeletedItem, Item, item};
use crate::routes::subscriptions::change::{self, ItemChange, What};
use crate::routes::subscriptions::parts::{PriceData, Proration, price};
use crate::store::{subscription_items, subscriptions};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Subscriptions)
        .post("/v1/subscription_items", "Add an item to a subscription", create)
        .list("/v1/subscription_items", "List a subscription's items", list)
        .get("/v1/subscription_items/{id}", "Retrieve an item", retrieve)
        .post("/v1/subscription_items/{id}", "Change an item", update)
        .delete("/v1/subscription_items/{id}", "Take an item out of its subscription", remove)
}

/// A new item.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateItem {
    /// Of which subscription.
    subscription: IdOf<SubscriptionId>,
    /// Which price.
    price: Option<IdOf<PriceId>>,
    /// One for this subscription alone.
    price_data: Option<PriceData>,
    /// How many; one where it is left out.
    quantity: Option<Whole<0, 1_000_000>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// What is done for the period that has begun.
    proration_behavior: Option<Proration>,
    /// From when parts are counted. Unix seconds.
    proration_date: Option<Moment>,
}

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateItem {
    /// Another price.
    price: Option<IdOf<PriceId>>,
    /// One for this subscription alone.
    price_data: Option<PriceData>,
    /// How many.
    quantity: Option<Whole<0, 1_000_000>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// The shopper is not there for a payment that is due at once.
    #[serde(default)]
    off_session: bool,
    /// What is done for the period that has begun.
    proration_behavior: Option<Proration>,
    /// From when parts are counted. Unix seconds.
    proration_date: Option<Moment>,
}

/// How an item is taken out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveItem {
    /// What is done for the period that has begun.
    proration_behavior: Option<Proration>,
    /// From when parts are counted. Unix seconds.
    proration_date: Option<Moment>,
}

/// Of which subscription.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListItems {
    /// Which.
    subscription: IdOf<SubscriptionId>,
}

fn what(change: ItemChange, behavior: Option<Proration>, from: Option<Moment>, on_session: bool) -> What {
    What {
        items: vec![change],
        behavior: behavior.unwrap_or(Proration::CreateProrations),
        from: from.map(|at| at.0),
        restart: false,
        trial_end: None,
        on_session,
    }
}

async fn create(context: Context, asked: CreateItem) -> ApiResult<Item> {
    let priced = price(&context, 0, asked.price, asked.price_data, "item").await?;
    let id: SubscriptionItemId = context.ids().nth(0);
    let change = ItemChange {
        id: None,
        deleted: false,
        price: Some(priced),
        quantity: asked.quantity.map(|quantity| quantity.0),
        metadata: asked.metadata,
    };
    let what = what(change, asked.proration_behavior, asked.proration_date, true);
    change::run(&context, asked.subscription.0, what, |row, _| Ok(row)).await?;
    by_id(&context, id).await
}

async fn list(context: Context, asked: ListItems, list: ListParams) -> ApiResult<List<Item>> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let of = subscriptions::find(&mut db, tenant, asked.subscription.0).await?;
    let of = of.ok_or_else(|| ApiError::missing("subscription", "subscription"))?;
    let rows = subscription_items::of(&mut db, tenant, &[of.id]).await?;
    let items = rows.iter().map(|row| item(tenant, &of, row)).collect();
    list.of_few(format!("/v1/subscription_items?subscription={}", of.id), items, |item| (&item.id, item.created))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Item> {
    by_id(&context, context.id("subscription_item")?).await
}

/// The item of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: SubscriptionItemId) -> ApiResult<Item> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let row = subscription_items::find(&mut db, tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::missing("subscription_item", "id"))?;
    let of = subscriptions::find(&mut db, tenant, row.subscription).await?;
    let of = of.ok_or_else(|| ApiError::internal("an item without its subscription"))?;
    Ok(item(tenant, &of, &row))
}

async fn of_item(context: &Context, id: SubscriptionItemId) -> ApiResult<SubscriptionId> {
    let found = subscription_items::find(&mut *context.db().await?, context.tenant(), id).await?;
    found.map(|row| row.subscription).ok_or_else(|| ApiError::missing("subscription_item", "id"))
}

async fn update(context: Context, asked: UpdateItem) -> ApiResult<Item> {
    let id = context.id::<SubscriptionItemId>("subscription_item")?;
    let of = of_item(&context, id).await?;
    let priced = match (asked.price, asked.price_data) {
        (None, None) => None,
        (named, data) => Some(price(&context, 0, named, data, "item").await?),
    };
    let change = ItemChange {
        id: Some(id),
        deleted: false,
        price: priced,
        quantity: asked.quantity.map(|quantity| quantity.0),
        metadata: asked.metadata,
    };
    let what = what(change, asked.proration_behavior, asked.proration_date, !asked.off_session);
    change::run(&context, of, what, |row, _| Ok(row)).await?;
    by_id(&context, id).await
}

async fn remove(context: Context, asked: RemoveItem) -> ApiResult<DeletedItem> {
    let id = context.id::<SubscriptionItemId>("subscription_item")?;
    let of = of_item(&context, id).await?;
    let change = ItemChange { id: Some(id), deleted: true, price: None, quantity: None, metadata: Metadata::Keep };
    let what = what(change, asked.proration_behavior, asked.proration_date, true);
    change::run(&context, of, what, |row, _| Ok(row)).await?;
    Ok(DeletedItem::of(id))
}
