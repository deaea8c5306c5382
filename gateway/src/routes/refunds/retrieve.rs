//! `GET /v1/refunds/{id}`.

use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::refunds;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let refund = refunds::find(&mut *context.db().await?, context.tenant(), context.id("refund")?).await?;
    Ok(render::refund::refund(&refund.ok_or_else(|| ApiError::missing("refund", "id"))?))
}
