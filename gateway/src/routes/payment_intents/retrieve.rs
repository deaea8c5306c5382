//! `GET /v1/payment_intents/{id}`.

use serde_json::Value;

use super::{EXPANDABLE, render_one};
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::routes::lists::expansions;
use crate::store::payment_intents;

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let expand = expansions(&mut params, "", EXPANDABLE)?;
    params.finish()?;
    let intent = payment_intents::find(&mut *context.db().await?, context.tenant(), context.id("payment_intent")?).await?;
    let intent = intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
    render_one(&context, &intent, None, &expand).await
}
