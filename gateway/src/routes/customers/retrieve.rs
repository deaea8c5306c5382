//! `GET /v1/customers/{id}`.

use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::customers;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let customer = customers::find(&context.app.pool, context.tenant(), context.id("customer")?).await?;
    let customer = customer.ok_or_else(|| ApiError::missing("customer", "id"))?;
    Ok(render::customer::customer(context.tenant(), &customer))
}
