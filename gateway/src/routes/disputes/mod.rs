//! `/v1/disputes`.

pub mod answer;

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{ChargeId, PaymentIntentId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::disputes::{self, Dispute, cursor};
use crate::store::{Listed, Tenant, balance};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Disputes)
        .list("/v1/disputes", "List disputes", list)
        .get("/v1/disputes/{id}", "Retrieve a dispute", retrieve)
        .post("/v1/disputes/{id}", "Answer a dispute, or change your data", answer::update)
        .post("/v1/disputes/{id}/close", "Give in to a dispute", answer::close)
}

/// Which disputes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDisputes {
    /// About this charge.
    charge: Option<IdOf<ChargeId>>,
    /// About this payment.
    payment_intent: Option<IdOf<PaymentIntentId>>,
}

async fn list(context: Context, asked: ListDisputes, list: ListParams) -> ApiResult<List<render::dispute::Dispute>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|dispute| cursor(&dispute)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let (charge, intent) = (asked.charge.map(|id| id.0), asked.payment_intent.map(|id| id.0));
    let found = disputes::list(&mut db, tenant, charge, intent, &page).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for dispute in &found.items {
        items.push(shown(&mut db, tenant, dispute).await?);
    }
    Ok(List::new("/v1/disputes", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::dispute::Dispute> {
    by_id(&context, context.raw_id()).await
}

/// The dispute of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::dispute::Dispute> {
    let found = find(context, id).await?.ok_or_else(|| ApiError::missing("dispute", "id"))?;
    shown(&mut *context.db().await?, context.tenant(), &found).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Dispute>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(disputes::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// With what it did to the balance.
async fn shown(conn: &mut PgConnection, tenant: Tenant, dispute: &Dispute) -> ApiResult<render::dispute::Dispute> {
    let moved = balance::of_source(conn, tenant, *dispute.id.as_bytes()).await?;
    Ok(render::dispute::dispute(tenant, dispute, &moved, clock::now()))
}
