//! `POST /v1/customers/{id}`.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, TokenUse};
use kura_wire::payer::{PersonField, PersonFields, Personal, UpdateCustomer as UpdateInVault};
use kura_wire::vault::VaultErrorCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::create::store;
use super::person::{Address, fields};
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::customer::{Found, found};
use crate::routes::payment_methods::naming::{self, CardName};
use crate::store::cards::{self, Card};
use crate::store::customers::{self, Customer};
use crate::vault_client::VaultFailure;

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCustomer {
    /// Sealed in the vault; comes back masked.
    #[serde(default)]
    name: Patch<Text>,
    /// Sealed in the vault; comes back masked. Customers can be listed by it.
    #[serde(default)]
    email: Patch<Text>,
    /// Sealed in the vault; comes back masked.
    #[serde(default)]
    phone: Patch<Text>,
    /// Sealed in the vault; comes back masked.
    #[serde(default)]
    address: Patch<Address>,
    /// Your words.
    #[serde(default)]
    description: Patch<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// How invoices are paid.
    invoice_settings: Option<InvoiceSettings>,
}

/// How a customer's invoices are paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InvoiceSettings {
    /// `pm_…`, attached to this customer.
    #[serde(default)]
    default_payment_method: Patch<Text<255>>,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateCustomer) -> ApiResult<Found> {
    let id = super::existing(&context, context.id("customer")?, "id").await?.id;
    let default = asked.invoice_settings.map_or(Patch::Keep, |settings| settings.default_payment_method);
    let default = match default {
        Patch::Set(name) => Patch::Set(of_customer(&context, id, &name).await?),
        Patch::Clear => Patch::Clear,
        Patch::Keep => Patch::Keep,
    };
    let mut unset = Vec::new();
    let mut given = |field: PersonField, patch: Patch<Text>| match patch {
        Patch::Set(text) => Some(text),
        Patch::Clear => {
            unset.push(field);
            None
        }
        Patch::Keep => None,
    };
    let (name, email, phone) = (
        given(PersonField::Name, asked.name),
        given(PersonField::Email, asked.email),
        given(PersonField::Phone, asked.phone),
    );
    let address = match asked.address {
        Patch::Set(address) => Some(address),
        Patch::Clear => {
            unset.push(PersonField::Address);
            None
        }
        Patch::Keep => None,
    };
    let set = fields(name, email, phone, address);
    let masked = change_in_vault(&context, id, set, unset).await?;

    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let before = customers::lock(&mut tx, tenant, id).await?.filter(|customer| customer.deleted_at.is_none());
    let before = before.ok_or_else(|| ApiError::missing("customer", "id"))?;
    let shown_before = shown(&mut tx, &context, before.clone()).await?;
    let mut after = before;
    if let Some(masked) = masked {
        (after.name, after.email, after.phone, after.address) =
            (masked.name, masked.email, masked.phone, masked.address);
    }
    after.description = asked.description.map(Text::into_string).apply(after.description);
    after.metadata = asked.metadata.apply(after.metadata)?;
    after.default_card = default.map(|card| card.record).apply(after.default_card);
    customers::update(&mut tx, tenant, &after).await?;
    let shown = shown(&mut tx, &context, after).await?;
    let told = Happened::update(&shown_before, &shown, events::Kind::CustomerUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

async fn shown(conn: &mut PgConnection, context: &Context, customer: Customer) -> ApiResult<Found> {
    let card = match customer.default_card {
        Some(record) => cards::find(conn, context.tenant(), record).await?,
        None => None,
    };
    Ok(found(context.tenant(), customer, card.as_ref()))
}

/// The named card, which is this customer's.
async fn of_customer(context: &Context, customer: CustomerId, name: &str) -> ApiResult<Card> {
    const PARAM: &str = "invoice_settings[default_payment_method]";
    let name = CardName::parse(name, TokenUse::Multi, context.tenant().livemode(), PARAM)?;
    let (_, card) = naming::find(context, &name).await?;
    if card.customer == Some(customer) { Ok(card) } else { Err(ApiError::new(Code::CustomerMismatch).on(PARAM)) }
}

/// What the vault then shows of the person. `None` where nothing of it was to change.
async fn change_in_vault(
    context: &Context,
    customer: CustomerId,
    set: PersonFields<Personal>,
    unset: Vec<PersonField>,
) -> ApiResult<Option<PersonFields<String>>> {
    if set.present().next().is_none() && unset.is_empty() {
        return Ok(None);
    }
    let ask = UpdateInVault { context: context.vault_context(), customer, set, unset };
    match context.app.vault.update_customer(&ask).await {
        // Made without personal data, it is new to the vault.
        Err(VaultFailure::Refused(VaultErrorCode::CustomerUnknown)) => {
            store(context, customer, ask.set).await.map(Some)
        }
        answer => Ok(Some(answer?.masked)),
    }
}
