//! `POST /v1/payment_methods/{id}/detach`.

use serde_json::Value;

use super::create::of_path;
use crate::codes::Code;
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::cards;

/// Runs it.
pub async fn run(context: Context, params: Params) -> ApiResult<Value> {
    params.finish()?;
    let (_, card) = of_path(&context).await?;
    if !cards::detach(&mut *context.db().await?, context.tenant(), card.record).await? && context.first_run {
        let message = "The payment method is not attached to a customer, so it can't be detached.";
        return Err(ApiError::with_message(Code::ParameterInvalid, message));
    }
    let detached = cards::Card { customer: None, ..card };
    Ok(render::card::payment_method(context.tenant(), &detached))
}
