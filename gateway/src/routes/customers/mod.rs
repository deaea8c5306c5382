//! `/v1/customers`. Name, e-mail, telephone number and address go to the vault at once; what is kept here is their masked form,
//! as the vault made it.

pub mod create;
pub mod delete;
pub mod list;
pub mod person;
pub mod update;

use kura_wire::ids::CustomerId;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::card::PaymentMethod;
use crate::render::customer::{Found, found};
use crate::routes::payment_methods;
use crate::store::cards;
use crate::store::customers::{self, Customer};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Customers)
        .post("/v1/customers", "Create a customer", create::run)
        .list("/v1/customers", "List customers", list::run)
        .get("/v1/customers/{id}", "Retrieve a customer", retrieve)
        .post("/v1/customers/{id}", "Update a customer", update::run)
        .delete("/v1/customers/{id}", "Delete a customer", delete::run)
        .list("/v1/customers/{id}/payment_methods", "List a customer's payment methods", list_methods)
        .get(
            "/v1/customers/{id}/payment_methods/{payment_method}",
            "Retrieve a customer's payment method",
            retrieve_method,
        )
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Found> {
    by_id(&context, context.raw_id()).await
}

/// The customer of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Found> {
    let customer = find(context, id).await?.ok_or_else(|| ApiError::missing("customer", "id"))?;
    let card = default_card(context, &customer).await?;
    Ok(found(context.tenant(), customer, card.as_ref()))
}

/// The customers of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<Found>> {
    let ids: Vec<CustomerId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let rows = customers::find_many(&mut db, tenant, &ids).await?;
    let records: Vec<[u8; 16]> = rows.iter().filter_map(|customer| customer.default_card).collect();
    let known = cards::find_many(&mut db, tenant, &records).await?;
    let shown = |customer: Customer| {
        let card = customer.default_card.and_then(|record| known.iter().find(|card| card.record == record));
        found(tenant, customer, card)
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// The customer of this id who was not deleted.
///
/// # Errors
/// 404, about this parameter.
pub async fn existing(context: &Context, id: CustomerId, param: &str) -> ApiResult<Customer> {
    let found = context.app.grouped.customers.ask(context.tenant(), id).await?;
    let there = found.filter(|customer| customer.deleted_at.is_none());
    there.ok_or_else(|| ApiError::missing("customer", param))
}

async fn default_card(context: &Context, customer: &Customer) -> ApiResult<Option<cards::Card>> {
    let Some(record) = customer.default_card else { return Ok(None) };
    Ok(cards::find(&mut *context.db().await?, context.tenant(), record).await?)
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Customer>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(customers::find(&mut *context.db().await?, context.tenant(), id).await?)
}

async fn list_methods(
    context: Context,
    asked: payment_methods::OfKind,
    list: ListParams,
) -> ApiResult<List<PaymentMethod>> {
    let customer = existing(&context, context.id("customer")?, "customer").await?;
    let path = format!("/v1/customers/{}/payment_methods", customer.id);
    payment_methods::of_customer(&context, customer.id, asked.kind, list, path).await
}

async fn retrieve_method(context: Context, _: Nothing) -> ApiResult<PaymentMethod> {
    let customer = existing(&context, context.id("customer")?, "customer").await?;
    payment_methods::of_this_customer(&context, customer.id).await
}
