//! `/v1/customers`.

pub mod create;
pub mod list;

use crate::edge::call::Context;
use crate::endpoint::rights::Resource;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::customers::{self, Customer};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Customers)
        .post("/v1/customers", "Create a customer", create::run)
        .list("/v1/customers", "List customers", list::run)
        .get("/v1/customers/{id}", "Retrieve a customer", retrieve)
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::customer::Customer> {
    by_id(&context, context.raw_id()).await
}

/// The customer of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::customer::Customer> {
    let customer = find(context, id).await?.ok_or_else(|| ApiError::missing("customer", "id"))?;
    Ok(render::customer::customer(context.tenant(), customer))
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Customer>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(customers::find(&mut *context.db().await?, context.tenant(), id).await?)
}
