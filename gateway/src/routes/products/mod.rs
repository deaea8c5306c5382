//! `/v1/products`.

pub mod create;
pub mod update;

use kura_wire::ids::ProductId;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::product::{DeletedProduct, Product, product};
use crate::store::Listed;
use crate::store::products::{self, Product as Row, cursor};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Products)
        .post("/v1/products", "Create a product", create::run)
        .list("/v1/products", "List products", list)
        .get("/v1/products/{id}", "Retrieve a product", retrieve)
        .post("/v1/products/{id}", "Update a product", update::run)
        .delete("/v1/products/{id}", "Delete a product", delete)
}

/// Which products.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListProducts {
    /// On sale, or not.
    active: Option<bool>,
    /// Of these ids.
    ids: Option<Vec<IdOf<ProductId>>>,
}

async fn list(context: Context, asked: ListProducts, list: ListParams) -> ApiResult<List<Product>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|product| cursor(&product)));
    let page = list.page(place).await?;
    let tenant = context.tenant();
    let among: Option<Vec<Uuid>> =
        asked.ids.map(|ids| ids.iter().map(|id| Uuid::from_bytes(*id.0.as_bytes())).collect());
    let found = products::list(&mut *context.db().await?, tenant, among.as_deref(), asked.active, &page).await?;
    let items = found.items.into_iter().map(|row| product(tenant, row)).collect();
    Ok(List::new("/v1/products", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Product> {
    by_id(&context, context.raw_id()).await
}

/// The product of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Product> {
    let row = find(context, id).await?.ok_or_else(|| ApiError::missing("product", "id"))?;
    Ok(product(context.tenant(), row))
}

/// The products of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<Product>> {
    let ids: Vec<ProductId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let tenant = context.tenant();
    let rows = products::find_many(&mut *context.db().await?, tenant, &ids).await?;
    Ok(rows.into_iter().map(|row| product(tenant, row)).collect())
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(products::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// What has prices stays, for they name it: such a product is taken off sale instead.
async fn delete(context: Context, _: Nothing) -> ApiResult<DeletedProduct> {
    let (tenant, id) = (context.tenant(), context.id::<ProductId>("product")?);
    let mut tx = context.begin().await?;
    let row = products::lock(&mut tx, tenant, id).await?.ok_or_else(|| ApiError::missing("product", "id"))?;
    if !products::delete(&mut tx, tenant, id).await? {
        let message = "This product has prices, so it can't be deleted. Set active=false instead.";
        return Err(ApiError::with_message(Code::ParameterInvalid, message).on("id"));
    }
    let told = Happened::to(&product(tenant, row), events::Kind::ProductDeleted)?;
    events::tell(&mut tx, &context.cause(), kura_platform::clock::now(), [told]).await?;
    tx.commit().await?;
    Ok(DeletedProduct { id: id.to_string(), object: Default::default(), deleted: true })
}
