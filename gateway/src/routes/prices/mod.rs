//! `/v1/prices`. What a price costs never changes: a new amount is a new price.

pub mod create;
pub mod update;

use kura_platform::database::PgConnection;
use kura_wire::ids::{PriceId, ProductId};
use kura_wire::money::currency_code;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::{CurrencyCode, IdOf, Text};
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::product::{Price, price};
use crate::store::prices::{self, Filter, Price as Row, cursor};
use crate::store::{Listed, Tenant};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Prices)
        .post("/v1/prices", "Create a price", create::run)
        .list("/v1/prices", "List prices", list)
        .get("/v1/prices/{id}", "Retrieve a price", retrieve)
        .post("/v1/prices/{id}", "Update a price", update::run)
}

/// Which prices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPrices {
    /// On sale, or not.
    active: Option<bool>,
    /// In this currency.
    currency: Option<CurrencyCode>,
    /// With one of these names.
    lookup_keys: Option<Vec<Text<200>>>,
    /// Of this product.
    product: Option<IdOf<ProductId>>,
    /// Due once, or every so often.
    r#type: Option<PriceType>,
}

/// Due once, or every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PriceType {
    OneTime,
    Recurring,
}

async fn list(context: Context, asked: ListPrices, list: ListParams) -> ApiResult<List<Price>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|price| cursor(&price)));
    let page = list.page(place).await?;
    let tenant = context.tenant();
    let lookup_keys: Option<Vec<String>> =
        asked.lookup_keys.map(|keys| keys.into_iter().map(Text::into_string).collect());
    let filter = Filter {
        active: asked.active,
        currency: asked.currency.map(|currency| currency_code(currency.0)),
        product: asked.product.map(|id| id.0),
        recurring: asked.r#type.map(|kind| kind == PriceType::Recurring),
        lookup_keys: lookup_keys.as_deref(),
    };
    let found = prices::list(&mut *context.db().await?, tenant, &filter, &page).await?;
    let items = found.items.iter().map(|row| price(tenant, row)).collect();
    Ok(List::new("/v1/prices", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Price> {
    by_id(&context, context.raw_id()).await
}

/// The price of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Price> {
    let row = find(context, id).await?.ok_or_else(|| ApiError::missing("price", "id"))?;
    Ok(price(context.tenant(), &row))
}

/// The prices of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<Price>> {
    let ids: Vec<PriceId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let tenant = context.tenant();
    let rows = prices::find_many(&mut *context.db().await?, tenant, &ids).await?;
    Ok(rows.iter().map(|row| price(tenant, row)).collect())
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse::<PriceId>() else { return Ok(None) };
    Ok(prices::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// Makes way for a price that is to have this name: the one that has it loses it, where that was asked for.
async fn free_lookup_key(
    conn: &mut PgConnection,
    context: &Context,
    key: Option<&str>,
    own: PriceId,
    transfer: bool,
) -> ApiResult<()> {
    let (tenant, Some(key)): (Tenant, _) = (context.tenant(), key) else { return Ok(()) };
    let holder = prices::lock_by_lookup_key(conn, tenant, key).await?;
    let Some(holder) = holder.filter(|holder| holder.id != own) else { return Ok(()) };
    if !transfer {
        let message = "Another price has this lookup_key. Set transfer_lookup_key=true to take it from there.";
        return Err(ApiError::with_message(Code::ParameterInvalid, message).on("lookup_key"));
    }
    let freed = Row { lookup_key: None, ..holder.clone() };
    prices::update(conn, tenant, &freed).await?;
    let told = Happened::update(&price(tenant, &holder), &price(tenant, &freed), events::Kind::PriceUpdated)?;
    events::tell(conn, &context.cause(), kura_platform::clock::now(), told).await
}
