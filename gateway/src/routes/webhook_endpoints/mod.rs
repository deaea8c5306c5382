//! `/v1/webhook_endpoints`.

pub mod create;
pub mod params;
pub mod roll_secret;
pub mod update;

use kura_platform::clock;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::webhook_endpoint::{Deleted, WebhookEndpoint, webhook_endpoint};
use crate::store::Listed;
use crate::store::webhook_endpoints::{self, WebhookEndpoint as Row};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::WebhookEndpoints)
        .post("/v1/webhook_endpoints", "Create a webhook endpoint", create::run)
        .list("/v1/webhook_endpoints", "List webhook endpoints", list)
        .get("/v1/webhook_endpoints/{id}", "Retrieve a webhook endpoint", retrieve)
        .post("/v1/webhook_endpoints/{id}", "Update a webhook endpoint", update::run)
        .delete("/v1/webhook_endpoints/{id}", "Delete a webhook endpoint", delete)
        .post("/v1/webhook_endpoints/{id}/roll_secret", "Replace the signing secret", roll_secret::run)
}

async fn list(context: Context, _: Nothing, list: ListParams) -> ApiResult<List<WebhookEndpoint>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|found| webhook_endpoints::cursor(&found)));
    let page = list.page(place).await?;
    let found = webhook_endpoints::list(&mut *context.db().await?, context.tenant(), &page).await?;
    let items = found.items.into_iter().map(|row| shown(&context, row)).collect();
    Ok(List::new("/v1/webhook_endpoints", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<WebhookEndpoint> {
    by_id(&context, context.raw_id()).await
}

/// The endpoint of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<WebhookEndpoint> {
    let found = find(context, id).await?.filter(|row| row.deleted_at.is_none());
    Ok(shown(context, found.ok_or_else(missing)?))
}

/// What waits for it is ended by the worker that tidies. Deleting twice is deleting once.
async fn delete(context: Context, _: Nothing) -> ApiResult<Deleted> {
    let id = context.id("webhook endpoint")?;
    let mut tx = context.begin().await?;
    let mut row = webhook_endpoints::lock(&mut tx, context.tenant(), id).await?.ok_or_else(missing)?;
    if row.deleted_at.is_none() {
        row.deleted_at = Some(clock::now());
        webhook_endpoints::update(&mut tx, context.tenant(), &row).await?;
        tx.commit().await?;
    }
    Ok(Deleted::of(id))
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(webhook_endpoints::find(&mut *context.db().await?, context.tenant(), id).await?)
}

fn shown(context: &Context, row: Row) -> WebhookEndpoint {
    webhook_endpoint(context.tenant(), row, context.app.webhooks_reach_loopback())
}

fn missing() -> ApiError {
    ApiError::missing("webhook endpoint", "id")
}
