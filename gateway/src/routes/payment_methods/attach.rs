//! `POST /v1/payment_methods/{id}/attach`. `pm_card_visa` and its kin make a new saved card.

use serde_json::Value;

use super::create::of_path;
use crate::codes::Code;
use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::{cards, customers};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let customer = params.required_text("customer")?;
    params.finish()?;

    let (mut db, tenant) = (context.db().await?, context.tenant());
    let missing = || ApiError::missing("customer", "customer");
    let customer = customer.parse().map_err(|_| missing())?;
    customers::find(&mut db, tenant, customer).await?.ok_or_else(missing)?;
    drop(db);
    let (_, card) = of_path(&context).await?;

    if !cards::attach(&mut *context.db().await?, tenant, card.record, customer).await? {
        return Err(ApiError::new(Code::PaymentMethodAlreadyAttached));
    }
    let attached = cards::Card { customer: Some(customer), ..card };
    Ok(render::card::payment_method(tenant, &attached))
}
