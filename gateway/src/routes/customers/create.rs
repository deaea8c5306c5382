//! `POST /v1/customers`. Name, e-mail and telephone number are masked before they are kept, and the plain form is dropped.

use kura_platform::clock;
use serde_json::Value;

use crate::domain::mask;
use crate::edge::call::Context;
use crate::edge::params::{Params, new_metadata};
use crate::error::ApiResult;
use crate::render;
use crate::store::customers::{self, Customer};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let customer = Customer {
        id: context.ids().customer(),
        name: params.text("name")?.as_deref().map(mask::name),
        email: params.text("email")?.as_deref().map(mask::email),
        phone: params.text("phone")?.as_deref().map(mask::phone),
        description: params.text("description")?,
        metadata: new_metadata(params.metadata()?)?,
        created_at: clock::now(),
    };
    params.finish()?;
    let tenant = context.tenant();
    customers::insert(&context.app.pool, tenant, &customer).await?;
    let kept = if context.first_run { None } else { customers::find(&context.app.pool, tenant, customer.id).await? };
    Ok(render::customer::customer(tenant, &kept.unwrap_or(customer)))
}
