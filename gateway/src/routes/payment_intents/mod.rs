//! `/v1/payment_intents`.

pub mod cancel;
pub mod capture;
pub mod confirm;
pub mod create;
pub mod deposit;
pub mod flow;
pub mod update;

use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, PaymentIntentId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::domain::payment_intent::Status;
use crate::edge::call::Context;
use crate::edge::client_secret::WithClientSecret;
use crate::endpoint::Routes;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::error::{ApiError, ApiResult};
use crate::render::payment_intent::{NextAction, PaymentIntent, payment_intent};
use crate::store::cards::Card;
use crate::store::methods::{self, Method, MethodRef};
use crate::store::payment_intents::{self, Intent, cursor};
use crate::store::{Listed, Tenant, authentications, deposits};
use crate::three_d_secure;

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::PaymentIntents)
        .post("/v1/payment_intents", "Create a payment", create::run)
        .list("/v1/payment_intents", "List payments", list)
        .get_by_client_secret("/v1/payment_intents/{id}", "Retrieve a payment", retrieve)
        .post("/v1/payment_intents/{id}", "Update a payment", update::run)
        .post("/v1/payment_intents/{id}/confirm", "Ask for the money", confirm::run)
        .post("/v1/payment_intents/{id}/capture", "Take what was authorized", capture::run)
        .post("/v1/payment_intents/{id}/cancel", "Call a payment off", cancel::run)
}

/// Which payments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListIntents {
    /// Of this customer.
    customer: Option<IdOf<CustomerId>>,
}

async fn list(context: Context, asked: ListIntents, list: ListParams) -> ApiResult<List<PaymentIntent>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|intent| cursor(&intent)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let found = payment_intents::list(&mut db, tenant, asked.customer.map(|id| id.0), &page).await?;
    let items = render_all(&mut db, &context.app, tenant, &found.items).await?;
    Ok(List::new("/v1/payment_intents", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, asked: WithClientSecret) -> ApiResult<PaymentIntent> {
    asked.check(&context, "payment_intent")?;
    let shown = by_id(&context, context.raw_id()).await?;
    Ok(if context.is_publishable() { shown.for_the_shopper() } else { shown })
}

/// The payment of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<PaymentIntent> {
    let intent = find(context, id).await?.ok_or_else(|| ApiError::missing("payment_intent", "id"))?;
    render_one(context, &intent, None).await
}

/// The payments of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<PaymentIntent>> {
    let ids: Vec<PaymentIntentId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let rows = payment_intents::find_many(&mut db, tenant, &ids).await?;
    render_all(&mut db, &context.app, tenant, &rows).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Intent>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(payment_intents::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// The payment method that a payment shows: the named one, else the one that failed.
fn shown_method(intent: &Intent) -> Option<MethodRef> {
    intent.method().or_else(|| intent.last_error.as_ref().map(|error| error.method))
}

/// A payment with its payment method, which is looked up unless it is a card at hand.
///
/// # Errors
/// The database's.
pub async fn render_one(context: &Context, intent: &Intent, at_hand: Option<&Card>) -> ApiResult<PaymentIntent> {
    let (tenant, shown) = (context.tenant(), shown_method(intent));
    let method = at_hand.cloned().map(Method::Card).filter(|method| Some(method.reference()) == shown);
    let complete = method.is_some() || shown.is_none();
    if complete && intent.progress.status != Status::RequiresAction {
        return Ok(payment_intent(tenant, intent, method.as_ref(), None));
    }
    render_in(&mut *context.db().await?, &context.app, tenant, intent).await
}

/// A payment with its payment method and what the shopper is to do, within a transaction.
///
/// # Errors
/// The database's.
pub async fn render_in(
    conn: &mut PgConnection,
    app: &App,
    tenant: Tenant,
    intent: &Intent,
) -> ApiResult<PaymentIntent> {
    let method = match shown_method(intent) {
        Some(shown) => methods::find(conn, tenant, shown).await?,
        None => None,
    };
    let next = next_action(conn, app, tenant, intent).await?;
    Ok(payment_intent(tenant, intent, method.as_ref(), next))
}

async fn next_action(
    conn: &mut PgConnection,
    app: &App,
    tenant: Tenant,
    intent: &Intent,
) -> ApiResult<Option<NextAction>> {
    if intent.progress.status != Status::RequiresAction {
        return Ok(None);
    }
    if intent.payer.is_some() {
        let under_way = deposits::find_under_way(conn, tenant, intent.id).await?;
        return Ok(under_way.and_then(|deposit| {
            NextAction::deposit(&deposit, crate::deposits::voucher(app, &deposit), intent.return_url.clone())
        }));
    }
    let under_way = authentications::find_under_way(conn, tenant, intent.id).await?;
    Ok(under_way
        .map(|under_way| NextAction::redirect(three_d_secure::page(app, under_way.id), intent.return_url.clone())))
}

/// Payments, with one look-up for all payment methods.
async fn render_all(
    conn: &mut PgConnection,
    app: &App,
    tenant: Tenant,
    intents: &[Intent],
) -> ApiResult<Vec<PaymentIntent>> {
    let wanted: Vec<MethodRef> = intents.iter().filter_map(shown_method).collect();
    let known = methods::find_many(conn, tenant, &wanted).await?;
    let mut rendered = Vec::with_capacity(intents.len());
    for intent in intents {
        let shown = shown_method(intent);
        let next = next_action(conn, app, tenant, intent).await?;
        let method = known.iter().find(|method| Some(method.reference()) == shown);
        rendered.push(payment_intent(tenant, intent, method, next));
    }
    Ok(rendered)
}
