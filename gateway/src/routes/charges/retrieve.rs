//! `GET /v1/charges/{id}`.

use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::ApiResult;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    super::by_id(&context, context.raw_id()).await
}
