//! `/v1/setup_intents`: keeps a card for later, with the shopper there.

pub mod confirm;
pub mod create;
pub mod flow;
pub mod update;

use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, SetupIntentId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::domain::setup_intent::Status;
use crate::edge::call::Context;
use crate::edge::client_secret::WithClientSecret;
use crate::endpoint::Routes;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::error::{ApiError, ApiResult};
use crate::render::payment_intent::NextAction;
use crate::render::setup_intent::{SetupIntent, setup_intent};
use crate::store::setup_intents::{self, Setup, cursor};
use crate::store::{Listed, Tenant, cards};
use crate::three_d_secure;

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::SetupIntents)
        .post("/v1/setup_intents", "Set a card up for later", create::run)
        .list("/v1/setup_intents", "List set-ups", list)
        .get_by_client_secret("/v1/setup_intents/{id}", "Retrieve a set-up", retrieve)
        .post("/v1/setup_intents/{id}", "Update a set-up", update::run)
        .post("/v1/setup_intents/{id}/confirm", "Have the card checked, and keep it", confirm::run)
        .post("/v1/setup_intents/{id}/cancel", "Call a set-up off", update::cancel)
}

/// Which set-ups.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSetups {
    /// Of this customer.
    customer: Option<IdOf<CustomerId>>,
}

async fn list(context: Context, asked: ListSetups, list: ListParams) -> ApiResult<List<SetupIntent>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|setup| cursor(&setup)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let found = setup_intents::list(&mut db, tenant, asked.customer.map(|id| id.0), &page).await?;
    let items = render_all(&mut db, &context.app, tenant, &found.items).await?;
    Ok(List::new("/v1/setup_intents", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, asked: WithClientSecret) -> ApiResult<SetupIntent> {
    asked.check(&context, "setup_intent")?;
    let shown = by_id(&context, context.raw_id()).await?;
    Ok(if context.is_publishable() { shown.for_the_shopper() } else { shown })
}

/// The set-up of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<SetupIntent> {
    let setup = find(context, id).await?.ok_or_else(|| ApiError::missing("setup_intent", "id"))?;
    render_one(context, &setup).await
}

/// The set-ups of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<SetupIntent>> {
    let ids: Vec<SetupIntentId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let rows = setup_intents::find_many(&mut db, tenant, &ids).await?;
    render_all(&mut db, &context.app, tenant, &rows).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Setup>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(setup_intents::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// A set-up with its card and what the shopper is to do.
///
/// # Errors
/// The database's.
pub async fn render_one(context: &Context, setup: &Setup) -> ApiResult<SetupIntent> {
    render_in(&mut *context.db().await?, &context.app, context.tenant(), setup).await
}

/// The same within a transaction.
///
/// # Errors
/// The database's.
pub async fn render_in(conn: &mut PgConnection, app: &App, tenant: Tenant, setup: &Setup) -> ApiResult<SetupIntent> {
    let shown = render_all(conn, app, tenant, std::slice::from_ref(setup)).await?;
    shown.into_iter().next().ok_or_else(|| ApiError::internal("nothing rendered"))
}

/// Set-ups, with one look-up for all cards.
async fn render_all(
    conn: &mut PgConnection,
    app: &App,
    tenant: Tenant,
    setups: &[Setup],
) -> ApiResult<Vec<SetupIntent>> {
    let record = |setup: &Setup| {
        setup.card.map(|card| card.record).or_else(|| setup.last_error.as_ref().map(|error| error.record))
    };
    let records: Vec<[u8; 16]> = setups.iter().filter_map(record).collect();
    let known = cards::find_many(conn, tenant, &records).await?;
    let render = |setup: &Setup| {
        let card = known.iter().find(|card| Some(card.record) == record(setup));
        let next = setup.authentication.filter(|_| setup.status == Status::RequiresAction);
        let next = next.map(|id| NextAction::redirect(three_d_secure::page(app, id), setup.return_url.clone()));
        setup_intent(tenant, setup, card, next)
    };
    Ok(setups.iter().map(render).collect())
}
