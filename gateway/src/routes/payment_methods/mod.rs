//! `/v1/payment_methods`, and how a payment names its card.

pub mod attach;
pub mod create;
pub mod naming;
pub mod update;

use kura_wire::ids::{CardToken, CustomerId, TokenUse};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::render::card::PaymentMethod;
use crate::routes::customers;
use crate::store::methods::{self, MethodRef};
use crate::store::{Listed, cards, payers};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::PaymentMethods)
        .post("/v1/payment_methods", "Create a payment method", create::run)
        .list("/v1/payment_methods", "List a customer's payment methods", list)
        .get("/v1/payment_methods/{id}", "Retrieve a payment method", retrieve)
        .post("/v1/payment_methods/{id}", "Update a payment method", update::run)
        .post("/v1/payment_methods/{id}/attach", "Attach a payment method to a customer", attach::attach)
        .post("/v1/payment_methods/{id}/detach", "Detach a payment method from its customer", attach::detach)
}

/// Which payment methods.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMethods {
    /// Whose.
    customer: IdOf<CustomerId>,
    /// Of which kind. Only cards are kept for customers.
    #[serde(default, rename = "type")]
    kind: Option<naming::MethodType>,
}

/// Of which kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfKind {
    /// `card`; of other kinds there are none, for only cards are kept for customers.
    #[serde(default, rename = "type")]
    pub kind: Option<naming::MethodType>,
}

async fn list(context: Context, asked: ListMethods, list: ListParams) -> ApiResult<List<PaymentMethod>> {
    let customer = customers::existing(&context, asked.customer.0, "customer").await?;
    of_customer(&context, customer.id, asked.kind, list, "/v1/payment_methods".to_owned()).await
}

/// The page of a customer's payment methods, at this path.
///
/// # Errors
/// 404 for a cursor that is none.
pub async fn of_customer(
    context: &Context,
    customer: CustomerId,
    kind: Option<naming::MethodType>,
    list: ListParams,
    path: String,
) -> ApiResult<List<PaymentMethod>> {
    let tenant = context.tenant();
    let place = async |id: String| {
        let Ok(token) = id.parse::<CardToken>() else { return Ok(None) };
        Ok(cards::find(&mut *context.db().await?, tenant, token.record).await?.map(|card| cards::cursor(&card)))
    };
    let page = list.page(place).await?;
    if kind.is_some_and(|kind| kind != naming::MethodType::Card) {
        return Ok(List::new(path, Listed { items: Vec::new(), has_more: false }));
    }
    let found = cards::list(&mut *context.db().await?, tenant, customer, &page).await?;
    let items = found.items.iter().map(|card| render::card::payment_method(tenant, card)).collect();
    Ok(List::new(path, Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<PaymentMethod> {
    by_id(&context, context.raw_id()).await
}

/// The path's second id, a payment method of this customer.
///
/// # Errors
/// 404.
pub async fn of_this_customer(context: &Context, customer: CustomerId) -> ApiResult<PaymentMethod> {
    let token: CardToken = context.second_id("payment_method")?;
    let card = cards::find(&mut *context.db().await?, context.tenant(), token.record).await?;
    let own = |card: &cards::Card| card.customer == Some(customer) && card.token(TokenUse::Multi) == token;
    let card = card.filter(own).ok_or_else(|| ApiError::missing("payment_method", "payment_method"))?;
    Ok(render::card::payment_method(context.tenant(), &card))
}

/// The payment method of this id, as the API shows it. One that came with a payment and was never saved can be read too.
///
/// # Errors
/// 404; the vault's for imported cards.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<PaymentMethod> {
    let missing = || ApiError::missing("payment_method", "id");
    if let Some(payer) = payers::parse_method_id(id) {
        let payer = payers::find(&mut *context.db().await?, context.tenant(), payer).await?;
        return Ok(render::card::of_payer(context.tenant(), &payer.ok_or_else(missing)?));
    }
    let token: CardToken = id.parse().map_err(|_| missing())?;
    let card = naming::find_or_adopt(context, token).await?;
    let card = card.filter(|_| token.allows == TokenUse::Multi).ok_or_else(missing)?;
    Ok(render::card::payment_method(context.tenant(), &card))
}

/// The payment methods of these ids that are known here, as the API shows them. An imported card may be known to the vault alone:
/// [`by_id`] asks it.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<PaymentMethod>> {
    let payer = |id: &String| payers::parse_method_id(id).map(MethodRef::Payer);
    let card = |id: &String| id.parse::<CardToken>().ok().filter(|token| token.allows == TokenUse::Multi);
    let wanted: Vec<MethodRef> =
        ids.iter().filter_map(|id| payer(id).or_else(|| card(id).map(|token| MethodRef::Card(token.record)))).collect();
    let tenant = context.tenant();
    let found = methods::find_many(&mut *context.db().await?, tenant, &wanted).await?;
    Ok(found.iter().map(|method| render::card::method(tenant, method)).collect())
}
