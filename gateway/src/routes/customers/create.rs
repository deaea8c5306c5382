//! `POST /v1/customers`.

use kura_platform::clock;
use kura_wire::ids::{CustomerId, TestClockId, TokenUse};
use kura_wire::payer::{PersonFields, Personal, StoreCustomer};
use schemars::JsonSchema;
use serde::Deserialize;

use super::person::{Address, fields};
use crate::billing;
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Metadata, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::render::customer::Found;
use crate::routes::payment_methods::naming::{self, CardName};
use crate::store::cards::{self, Card};
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
    /// Sealed in the vault; comes back masked.
    address: Option<Address>,
    /// Your words.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// `pm_…`, to be attached.
    payment_method: Option<Text<255>>,
    /// How invoices are paid.
    invoice_settings: Option<InvoiceSettings>,
    /// The clock that they live by.
    test_clock: Option<IdOf<TestClockId>>,
}

/// How a new customer's invoices are paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InvoiceSettings {
    /// The same as `payment_method`.
    default_payment_method: Option<Text<255>>,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateCustomer) -> ApiResult<Found> {
    let metadata = asked.metadata.of_new()?;
    let default = asked.invoice_settings.and_then(|settings| settings.default_payment_method);
    if default.is_some() && default != asked.payment_method {
        let expected = "the payment_method that is attached in the same request";
        return Err(ApiError::invalid("invoice_settings[default_payment_method]", expected));
    }
    let id: CustomerId = context.ids().one();
    if !context.first_run && super::find(&context, &id.to_string()).await?.is_some() {
        return super::by_id(&context, &id.to_string()).await;
    }
    let card = match &asked.payment_method {
        Some(name) => Some(unattached(&context, name).await?),
        None => None,
    };
    let test_clock = asked.test_clock.map(|id| id.0);
    let created_at = billing::time::for_request(&mut *context.db().await?, context.tenant(), test_clock).await?;
    let masked = store(&context, id, fields(asked.name, asked.email, asked.phone, asked.address)).await?;
    let customer = Customer {
        id,
        name: masked.name,
        email: masked.email,
        phone: masked.phone,
        address: masked.address,
        description: asked.description.map(Text::into_string),
        metadata,
        default_card: default.and(card.as_ref()).map(|card| card.record),
        test_clock,
        delinquent: false,
        invoice_count: 0,
        balance: 0,
        balance_currency: None,
        created_at,
        deleted_at: None,
    };
    insert(&context, customer, card).await
}

/// The named card, which is nobody's yet.
async fn unattached(context: &Context, name: &str) -> ApiResult<Card> {
    let name = CardName::parse(name, TokenUse::Multi, context.tenant().livemode(), "payment_method")?;
    let (_, card) = naming::find(context, &name).await?;
    if card.customer.is_some() {
        return Err(ApiError::new(Code::PaymentMethodAlreadyAttached).on("payment_method"));
    }
    Ok(card)
}

async fn insert(context: &Context, customer: Customer, card: Option<Card>) -> ApiResult<Found> {
    let (tenant, id, at) = (context.tenant(), customer.id, clock::now());
    let mut tx = context.begin().await?;
    if !customers::insert(&mut tx, tenant, &customer).await? {
        drop(tx);
        return super::by_id(context, &id.to_string()).await;
    }
    let default = customer.default_card.and(card.clone());
    let shown = render::customer::found(tenant, customer, default.as_ref());
    let mut told = vec![Happened::to(&shown, events::Kind::CustomerCreated)?];
    if let Some(card) = card {
        if !cards::attach(&mut tx, tenant, card.record, id).await? {
            return Err(ApiError::new(Code::PaymentMethodAlreadyAttached).on("payment_method"));
        }
        let attached = Card { customer: Some(id), ..card };
        let attached = render::card::payment_method(tenant, &attached);
        told.push(Happened::to(&attached, events::Kind::PaymentMethodAttached)?);
    }
    events::tell(&mut tx, &context.cause(), at, told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// The vault first: a customer that is shown is kept. One without personal data is none of the vault's business.
pub(super) async fn store(
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
