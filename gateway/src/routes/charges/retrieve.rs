//! `GET /v1/charges/{id}`.

use serde_json::Value;

use super::render_all;
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::store::charges;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let charge = charges::find(&context.app.pool, context.tenant(), context.id("charge")?).await?;
    let charge = charge.ok_or_else(|| ApiError::missing("charge", "id"))?;
    let rendered = render_all(&context, std::slice::from_ref(&charge)).await?;
    rendered.into_iter().next().ok_or_else(|| ApiError::internal("nothing rendered"))
}
