//! `/v1/charges`.

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
use crate::store::charges::{self, Charge, cursor};
use crate::store::methods::{self, MethodRef};
use crate::store::{Listed, Tenant};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Charges).list("/v1/charges", "List charges", list).get(
        "/v1/charges/{id}",
        "Retrieve a charge",
        retrieve,
    )
}

/// Which charges.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCharges {
    /// Of this payment.
    payment_intent: Option<IdOf<PaymentIntentId>>,
}

async fn list(context: Context, asked: ListCharges, list: ListParams) -> ApiResult<List<render::charge::Charge>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|charge| cursor(&charge)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let found = charges::list(&mut db, tenant, asked.payment_intent.map(|id| id.0), &page).await?;
    let items = render_all(&mut db, tenant, &found.items).await?;
    Ok(List::new("/v1/charges", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::charge::Charge> {
    by_id(&context, context.raw_id()).await
}

/// Charges with their payment methods, looked up together.
async fn render_all(
    conn: &mut PgConnection,
    tenant: Tenant,
    charges: &[Charge],
) -> ApiResult<Vec<render::charge::Charge>> {
    let wanted: Vec<MethodRef> = charges.iter().map(|charge| charge.method).collect();
    let known = methods::find_many(conn, tenant, &wanted).await?;
    let render = |charge: &Charge| {
        let method = known.iter().find(|method| method.reference() == charge.method);
        render::charge::charge(tenant, charge, method)
    };
    Ok(charges.iter().map(render).collect())
}

/// The charge of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::charge::Charge> {
    let charge = find(context, id).await?.ok_or_else(|| ApiError::missing("charge", "id"))?;
    let mut db = context.db().await?;
    let rendered = render_all(&mut db, context.tenant(), std::slice::from_ref(&charge)).await?;
    rendered.into_iter().next().ok_or_else(|| ApiError::internal("nothing rendered"))
}

/// The charges of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<render::charge::Charge>> {
    let ids: Vec<ChargeId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let rows = charges::find_many(&mut db, tenant, &ids).await?;
    render_all(&mut db, tenant, &rows).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Charge>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(charges::find(&mut *context.db().await?, context.tenant(), id).await?)
}
