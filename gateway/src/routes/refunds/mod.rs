//! `/v1/refunds`.

pub mod create;

use kura_wire::ids::{ChargeId, PaymentIntentId, RefundId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::Listed;
use crate::store::refunds::{self, Refund, cursor};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Refunds)
        .post("/v1/refunds", "Give money back", create::run)
        .list("/v1/refunds", "List refunds", list)
        .get("/v1/refunds/{id}", "Retrieve a refund", retrieve)
}

/// Which refunds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRefunds {
    /// Of this payment.
    payment_intent: Option<IdOf<PaymentIntentId>>,
    /// Of this charge.
    charge: Option<IdOf<ChargeId>>,
}

async fn list(context: Context, asked: ListRefunds, list: ListParams) -> ApiResult<List<render::refund::Refund>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|refund| cursor(&refund)));
    let page = list.page(place).await?;
    let (intent, charge) = (asked.payment_intent.map(|id| id.0), asked.charge.map(|id| id.0));
    let found = refunds::list(&mut *context.db().await?, context.tenant(), intent, charge, &page).await?;
    let items = found.items.iter().map(render::refund::refund).collect();
    Ok(List::new("/v1/refunds", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::refund::Refund> {
    by_id(&context, context.raw_id()).await
}

/// The refund of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::refund::Refund> {
    let refund = find(context, id).await?.ok_or_else(|| ApiError::missing("refund", "id"))?;
    Ok(render::refund::refund(&refund))
}

/// The refunds of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<render::refund::Refund>> {
    let ids: Vec<RefundId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let rows = refunds::find_many(&mut *context.db().await?, context.tenant(), &ids).await?;
    Ok(rows.iter().map(render::refund::refund).collect())
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Refund>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(refunds::find(&mut *context.db().await?, context.tenant(), id).await?)
}
