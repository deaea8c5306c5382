//! `POST /v1/customers`. Name, e-mail and telephone number go to the vault at once; what is kept here is their masked form,
//! as the vault made it.

use kura_platform::clock;
use kura_wire::ids::CustomerId;
use kura_wire::payer::{PersonFields, Personal, StoreCustomer};
use serde_json::Value;

use crate::edge::call::Context;
use crate::edge::params::{Params, new_metadata};
use crate::error::ApiResult;
use crate::render;
use crate::store::customers::{self, Customer};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let fields = PersonFields {
        name: params.text("name")?.map(Personal::new),
        email: params.text("email")?.map(Personal::new),
        phone: params.text("phone")?.map(Personal::new),
        ..PersonFields::default()
    };
    let description = params.text("description")?;
    let metadata = new_metadata(params.metadata()?)?;
    params.finish()?;
    let id = context.ids().customer();
    let masked = store(&context, id, fields).await?;
    let (name, email, phone) = (masked.name, masked.email, masked.phone);
    let customer = Customer { id, name, email, phone, description, metadata, created_at: clock::now() };
    let tenant = context.tenant();
    customers::insert(&context.app.pool, tenant, &customer).await?;
    let kept = if context.first_run { None } else { customers::find(&context.app.pool, tenant, customer.id).await? };
    Ok(render::customer::customer(tenant, &kept.unwrap_or(customer)))
}

/// The vault first: a customer that is shown is kept. One without personal data is none of the vault's business.
async fn store(
    context: &Context,
    customer: CustomerId,
    fields: PersonFields<Personal>,
) -> ApiResult<PersonFields<String>> {
    if fields.present().next().is_none() {
        return Ok(PersonFields::default());
    }
    let ask = StoreCustomer { context: context.vault_context(), customer, fields };
    Ok(context.app.vault.store_customer(&ask).await?.masked)
}
