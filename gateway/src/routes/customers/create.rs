//! `POST /v1/customers`. Name, e-mail and telephone number go to the vault at once; what is kept here is their masked form,
//! as the vault made it.

use kura_platform::clock;
use kura_wire::ids::CustomerId;
use kura_wire::payer::{PersonFields, Personal, StoreCustomer};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Text};
use crate::error::ApiResult;
use crate::events::{self, Happened};
use crate::render;
use crate::store::customers::{self, Customer};

/// A new customer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCustomer {
    /// Sealed in the vault; comes back masked.
    name: Option<Text>,
    /// Sealed in the vault; comes back masked. Customers can be listed by it.
    email: Option<Text>,
    /// Sealed in the vault; comes back masked.
    phone: Option<Text>,
    /// Your words.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateCustomer) -> ApiResult<render::customer::Customer> {
    let personal = |text: Option<Text>| text.map(|text| Personal::new(text.into_string()));
    let fields = PersonFields {
        name: personal(asked.name),
        email: personal(asked.email),
        phone: personal(asked.phone),
        ..PersonFields::default()
    };
    let description = asked.description.map(Text::into_string);
    let metadata = asked.metadata.of_new()?;
    let id = context.ids().one();
    let masked = store(&context, id, fields).await?;
    let (name, email, phone) = (masked.name, masked.email, masked.phone);
    let customer = Customer { id, name, email, phone, description, metadata, created_at: clock::now() };
    let tenant = context.tenant();
    let shown = render::customer::customer(tenant, customer.clone());
    let mut tx = context.begin().await?;
    if !customers::insert(&mut tx, tenant, &customer).await? {
        drop(tx);
        return super::by_id(&context, &id.to_string()).await;
    }
    let told = Happened::to(&shown, events::Kind::CustomerCreated)?;
    events::tell(&mut tx, &context.cause(), customer.created_at, [told]).await?;
    tx.commit().await?;
    Ok(shown)
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
