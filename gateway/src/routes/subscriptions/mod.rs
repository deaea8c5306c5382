//! `/v1/subscriptions`. What they do by themselves is in [`crate::billing`].

pub mod cancel;
pub mod change;
pub mod create;
pub mod parts;
pub mod update;

use kura_wire::ids::{CustomerId, PriceId, SubscriptionId, TestClockId};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::billing::views;
use crate::domain::subscription::Status;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::subscription::Subscription;
use crate::store::Listed;
use crate::store::subscriptions::{self, States, Subscription as Row, Wanted, cursor};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Subscriptions)
        .post("/v1/subscriptions", "Create a subscription", create::run)
        .list("/v1/subscriptions", "List subscriptions", list)
        .get("/v1/subscriptions/{id}", "Retrieve a subscription", retrieve)
        .post("/v1/subscriptions/{id}", "Update a subscription", update::run)
        .delete("/v1/subscriptions/{id}", "Cancel a subscription", cancel::run)
}

/// Which subscriptions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSubscriptions {
    /// Of this customer.
    customer: Option<IdOf<CustomerId>>,
    /// With this price.
    price: Option<IdOf<PriceId>>,
    /// In this state; `all` for all, `ended` for what is over. What was not canceled, where it is left out.
    status: Option<State>,
    /// Of this clock.
    test_clock: Option<IdOf<TestClockId>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    All,
    Ended,
    Incomplete,
    IncompleteExpired,
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Canceled,
}

impl From<State> for States {
    fn from(sent: State) -> Self {
        match sent {
            State::All => Self::All,
            State::Ended => Self::Ended,
            State::Incomplete => Self::One(Status::Incomplete),
            State::IncompleteExpired => Self::One(Status::IncompleteExpired),
            State::Trialing => Self::One(Status::Trialing),
            State::Active => Self::One(Status::Active),
            State::PastDue => Self::One(Status::PastDue),
            State::Unpaid => Self::One(Status::Unpaid),
            State::Canceled => Self::One(Status::Canceled),
        }
    }
}

async fn list(context: Context, asked: ListSubscriptions, list: ListParams) -> ApiResult<List<Subscription>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|row| cursor(&row)));
    let page = list.page(place).await?;
    let tenant = context.tenant();
    let wanted = Wanted {
        customer: asked.customer.map(|id| id.0),
        price: asked.price.map(|id| Uuid::from_bytes(*id.0.as_bytes())),
        clock: asked.test_clock.map(|id| id.0),
        states: asked.status.map_or(States::Alive, States::from),
    };
    let mut db = context.db().await?;
    let found = subscriptions::list(&mut db, tenant, wanted, &page).await?;
    let items = views::subscriptions(&mut db, tenant, &found.items).await?;
    Ok(List::new("/v1/subscriptions", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Subscription> {
    by_id(&context, context.raw_id()).await
}

/// The subscription of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Subscription> {
    let row = find(context, id).await?.ok_or_else(|| ApiError::missing("subscription", "id"))?;
    views::subscription(&mut *context.db().await?, context.tenant(), &row).await
}

/// The subscriptions of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<Subscription>> {
    let ids: Vec<SubscriptionId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let rows = subscriptions::find_many(&mut db, tenant, &ids).await?;
    views::subscriptions(&mut db, tenant, &rows).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(subscriptions::find(&mut *context.db().await?, context.tenant(), id).await?)
}
