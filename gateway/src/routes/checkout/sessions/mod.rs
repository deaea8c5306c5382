//! `/v1/checkout/sessions`, and the page that each of them is (`/checkout/pay/{id}`).

pub mod create;
pub mod page;
pub mod pay;
pub mod settle;

use kura_platform::database::PgConnection;
use kura_wire::ids::{CheckoutSessionId, CustomerId, PaymentIntentId, SubscriptionId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::checkout::Status;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::checkout_session::{LineItem, Session, line_item, session};
use crate::store::checkout_sessions::{self, Session as Row, cursor};
use crate::store::prices::{self, Price};
use crate::store::{Listed, products, subscriptions};

/// Where the pages are.
pub const PATH: &str = "/checkout/pay";

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::CheckoutSessions)
        .post("/v1/checkout/sessions", "Create a checkout session", create::run)
        .list("/v1/checkout/sessions", "List checkout sessions", list)
        .get("/v1/checkout/sessions/{id}", "Retrieve a checkout session", retrieve)
        .list("/v1/checkout/sessions/{id}/line_items", "List the lines of a checkout session", line_items)
        .post("/v1/checkout/sessions/{id}/expire", "End a checkout session", settle::expire)
}

/// Which sessions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSessions {
    /// Of this customer.
    customer: Option<IdOf<CustomerId>>,
    /// Of this payment.
    payment_intent: Option<IdOf<PaymentIntentId>>,
    /// In this state.
    status: Option<State>,
    /// Of this subscription.
    subscription: Option<IdOf<SubscriptionId>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Complete,
    Expired,
}

impl From<State> for Status {
    fn from(sent: State) -> Self {
        match sent {
            State::Open => Self::Open,
            State::Complete => Self::Complete,
            State::Expired => Self::Expired,
        }
    }
}

async fn list(context: Context, asked: ListSessions, list: ListParams) -> ApiResult<List<Session>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|row| cursor(&row)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let (customer, intent) = (asked.customer.map(|id| id.0), asked.payment_intent.map(|id| id.0));
    let (subscription, status) = (asked.subscription.map(|id| id.0), asked.status.map(Status::from));
    let found = checkout_sessions::list(&mut db, tenant, customer, intent, subscription, status, &page).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for row in &found.items {
        items.push(shown(&mut db, &context, row).await?);
    }
    Ok(List::new("/v1/checkout/sessions", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Session> {
    by_id(&context, context.raw_id()).await
}

/// The session of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Session> {
    let row = find(context, id).await?.ok_or_else(|| ApiError::missing("checkout session", "id"))?;
    shown(&mut *context.db().await?, context, &row).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse::<CheckoutSessionId>() else { return Ok(None) };
    Ok(checkout_sessions::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// A session as the API shows it.
async fn shown(conn: &mut PgConnection, context: &Context, row: &Row) -> ApiResult<Session> {
    let tenant = context.tenant();
    let invoice = match row.subscription {
        Some(id) => subscriptions::find(conn, tenant, id).await?.and_then(|row| row.latest_invoice),
        None => None,
    };
    Ok(session(tenant, row, invoice.map(Into::into), address(context, row)))
}

/// Where the page is.
fn address(context: &Context, row: &Row) -> String {
    format!("{}{PATH}/{}", context.app.public_url, row.id)
}

async fn line_items(context: Context, _: Nothing, list: ListParams) -> ApiResult<List<LineItem>> {
    let row = find(&context, context.raw_id()).await?;
    let row = row.ok_or_else(|| ApiError::missing("checkout session", "id"))?;
    let mut items = Vec::with_capacity(row.items.len());
    for (place, (item, (price, name))) in row.items.iter().zip(lines(&context, &row).await?).enumerate() {
        items.push(line_item(context.tenant(), row.id, place, item, &price, Some(name)));
    }
    let path = format!("/v1/checkout/sessions/{}/line_items", row.id);
    list.of_few(path, items, |item| (&item.id, row.created_at.unix_timestamp()))
}

/// The price of each line and the name of its product.
async fn lines(context: &Context, row: &Row) -> ApiResult<Vec<(Price, String)>> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let ids: Vec<_> = row.items.iter().map(|item| item.price).collect();
    let known = prices::find_many(&mut db, tenant, &ids).await?;
    let mut lines = Vec::with_capacity(ids.len());
    for id in ids {
        let price = known.iter().find(|price| price.id == id).cloned();
        let price = price.ok_or_else(|| ApiError::internal("a session without its price"))?;
        let product = products::find(&mut db, tenant, price.product).await?;
        let product = product.ok_or_else(|| ApiError::internal("a price without its product"))?;
        lines.push((price, product.name));
    }
    Ok(lines)
}
