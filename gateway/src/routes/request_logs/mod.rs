//! `/v1/request_logs`: what a merchant asked and how it ended. Endpoints of our own.

use std::time::Duration;

use kura_wire::ids::RequestId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::{Text, Whole};
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::request_log::{RequestLog, request_log};
use crate::store::Listed;
use crate::store::request_logs::{self, Wanted};

/// How often a request that is not there yet is looked for, and how long in between: it may have ended this moment.
const LOOKS: u32 = 6;
const BETWEEN: Duration = Duration::from_millis(100);

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::RequestLogs).list("/v1/request_logs", "List requests of the last thirty days", list).get(
        "/v1/request_logs/{id}",
        "Retrieve a request",
        retrieve,
    )
}

/// Which requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequestLogs {
    /// Of this method.
    method: Option<Verb>,
    /// With this HTTP status.
    status: Option<Whole<100, 599>>,
    /// That ended in this error.
    code: Option<Text<64>>,
}

/// A method of the API.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    /// Reads.
    Get,
    /// Makes and changes.
    Post,
    /// Deletes.
    Delete,
}

async fn list(context: Context, asked: ListRequestLogs, list: ListParams) -> ApiResult<List<RequestLog>> {
    let verb = |verb| match verb {
        Verb::Get => "GET",
        Verb::Post => "POST",
        Verb::Delete => "DELETE",
    };
    let wanted = Wanted {
        method: asked.method.map(|method| verb(method).to_owned()),
        status: asked.status.and_then(|status| i16::try_from(status.0).ok()),
        code: asked.code.map(Text::into_string),
    };
    let place = async |id: String| Ok(find(&context, &id).await?.map(|found| request_logs::cursor(&found)));
    let page = list.page(place).await?;
    let found = request_logs::list(&mut *context.db().await?, context.tenant(), &wanted, &page).await?;
    let items = found.items.into_iter().map(|row| request_log(context.tenant(), row)).collect();
    Ok(List::new("/v1/request_logs", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<RequestLog> {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        if let Some(found) = find(&context, context.raw_id()).await? {
            return Ok(request_log(context.tenant(), found));
        }
    }
    Err(ApiError::missing("request", "id"))
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<request_logs::RequestLog>> {
    let Ok(id) = id.parse::<RequestId>() else { return Ok(None) };
    Ok(request_logs::find(&mut *context.db().await?, context.tenant(), id).await?)
}
