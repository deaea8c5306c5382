//! `/v1/events`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::Text;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::Listed;
use crate::store::events::{self, Event, cursor};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Events).list("/v1/events", "List events of the last thirty days", list).get(
        "/v1/events/{id}",
        "Retrieve an event",
        retrieve,
    )
}

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEvents {
    /// Of this kind.
    r#type: Option<Text<64>>,
    /// Of these kinds.
    types: Option<Vec<Text<64>>>,
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
    let found = events::list(&mut *context.db().await?, tenant, kinds.as_deref(), &page).await?;
    let items = found.items.into_iter().map(|event| render::event::event(tenant, event, 0)).collect();
    Ok(List::new("/v1/events", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::event::Event> {
    let event = find(&context, context.raw_id()).await?.ok_or_else(|| ApiError::missing("event", "id"))?;
    Ok(render::event::event(context.tenant(), event, 0))
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Event>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(events::find(&mut *context.db().await?, context.tenant(), id).await?)
}
