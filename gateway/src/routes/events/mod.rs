//! `/v1/events`.

pub mod stream;

use kura_platform::clock;
use kura_wire::ids::WebhookEndpointId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::{IdOf, Text};
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::render::webhook_delivery::{WebhookDelivery, webhook_delivery};
use crate::store::events::{self, Event, cursor};
use crate::store::webhook_endpoints::{self, WebhookEndpoint};
use crate::store::{Listed, webhook_deliveries};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Events)
        .list("/v1/events", "List events of the last thirty days", list)
        .stream::<stream::StreamEvents>("/v1/events/stream", "Follow events as they happen", stream::endpoint)
        .get("/v1/events/{id}", "Retrieve an event", retrieve)
        .post("/v1/events/{id}/retry", "Send an event to webhook endpoints again", retry)
        .get("/v1/events/{id}/deliveries", "List what became of an event at each webhook endpoint", deliveries)
}

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEvents {
    /// Of this kind.
    r#type: Option<Text<64>>,
    /// Of these kinds.
    types: Option<Vec<Text<64>>>,
    /// `true`: those that every webhook endpoint has taken; `false`: those that one is yet to take, or never took.
    delivery_success: Option<bool>,
}

async fn list(context: Context, asked: ListEvents, list: ListParams) -> ApiResult<List<render::event::Event>> {
    let kinds = match (asked.r#type, asked.types) {
        (Some(_), Some(_)) => return Err(ApiError::invalid("types", "left out where type is given")),
        (one, many) => one.map(|one| vec![one]).or(many),
    };
    let kinds: Option<Vec<String>> = kinds.map(|kinds| kinds.into_iter().map(Text::into_string).collect());
    let place = async |id: String| Ok(find(&context, &id).await?.map(|event| cursor(&event)));
    let page = list.page(place).await?;
    let tenant = context.tenant();
    let delivered = asked.delivery_success;
    let found = events::list(&mut *context.db().await?, tenant, kinds.as_deref(), delivered, &page).await?;
    let items = found.items.into_iter().map(|event| shown(&context, event)).collect();
    Ok(List::new("/v1/events", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::event::Event> {
    by_id(&context, context.raw_id()).await
}

/// The event of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::event::Event> {
    let event = find(context, id).await?.ok_or_else(|| ApiError::missing("event", "id"))?;
    Ok(shown(context, event))
}

fn shown(context: &Context, event: Event) -> render::event::Event {
    let pending = event.pending;
    render::event::event(context.tenant(), event, pending)
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Event>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(events::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// Where an event is sent again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// `we_…`: to this endpoint, whether it was told before or not. Without it: to all that were to be told and are enabled.
    webhook_endpoint: Option<IdOf<WebhookEndpointId>>,
}

async fn retry(context: Context, asked: Retry) -> ApiResult<render::event::Event> {
    let (tenant, now) = (context.tenant(), clock::now());
    let event = find(&context, context.raw_id()).await?.ok_or_else(|| ApiError::missing("event", "id"))?;
    let mut tx = context.begin().await?;
    let endpoints = match asked.webhook_endpoint {
        None => webhook_endpoints::told_of(&mut tx, tenant, event.id).await?,
        Some(IdOf(id)) => {
            let found = webhook_endpoints::find(&mut tx, tenant, id).await?;
            let found = found.filter(|endpoint| endpoint.deleted_at.is_none());
            let found = found.ok_or_else(|| ApiError::missing("webhook endpoint", "webhook_endpoint"))?;
            if !WebhookEndpoint::is_enabled(&found) {
                return Err(ApiError::invalid("webhook_endpoint", "an endpoint that is enabled"));
            }
            vec![id]
        }
    };
    webhook_deliveries::send_again(&mut tx, tenant, event.id, &endpoints, now).await?;
    tx.commit().await?;
    by_id(&context, context.raw_id()).await
}

async fn deliveries(context: Context, _: Nothing) -> ApiResult<List<WebhookDelivery>> {
    let event = find(&context, context.raw_id()).await?.ok_or_else(|| ApiError::missing("event", "id"))?;
    let found = webhook_deliveries::of_event(&mut *context.db().await?, context.tenant(), event.id).await?;
    let items = found.into_iter().map(|delivery| webhook_delivery(event.id, delivery)).collect();
    Ok(List::new(format!("/v1/events/{}/deliveries", event.id), Listed { items, has_more: false }))
}
