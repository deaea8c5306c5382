//! `/v1/balance` and `/v1/balance_transactions`: what a merchant has, and what moved it. Both are read from the books.

use kura_platform::clock;
use kura_wire::ids::{BalanceTransactionId, ChargeId, DisputeId, RefundId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::Text;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::Listed;
use crate::store::balance::{self, BalanceTransaction, cursor};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::BalanceTransactions)
        .get("/v1/balance", "Retrieve your balance", sums)
        .list("/v1/balance_transactions", "List balance transactions", list)
        .get("/v1/balance_transactions/{id}", "Retrieve a balance transaction", retrieve)
}

async fn sums(context: Context, _: Nothing) -> ApiResult<render::balance::Balance> {
    let tenant = context.tenant();
    let sums = balance::sums(&mut *context.db().await?, tenant, clock::now()).await?;
    Ok(render::balance::balance(tenant, &sums))
}

/// Which balance transactions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTransactions {
    /// Of this charge, refund or dispute.
    source: Option<Text<255>>,
}

async fn list(
    context: Context,
    asked: ListTransactions,
    list: ListParams,
) -> ApiResult<List<render::balance::BalanceTransaction>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|transaction| cursor(&transaction)));
    let page = list.page(place).await?;
    let source = match asked.source {
        Some(id) => Some(source_of(&id).ok_or_else(|| ApiError::invalid("source", "a charge, a refund or a dispute"))?),
        None => None,
    };
    let found = balance::list(&mut *context.db().await?, context.tenant(), source, &page).await?;
    let at = clock::now();
    let items = found.items.iter().map(|row| render::balance::transaction(row, at)).collect();
    Ok(List::new("/v1/balance_transactions", Listed { items, has_more: found.has_more }))
}

fn source_of(id: &str) -> Option<[u8; 16]> {
    let charge = id.parse::<ChargeId>().map(|id| *id.as_bytes());
    let refund = || id.parse::<RefundId>().map(|id| *id.as_bytes());
    let dispute = || id.parse::<DisputeId>().map(|id| *id.as_bytes());
    charge.or_else(|_| refund()).or_else(|_| dispute()).ok()
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<render::balance::BalanceTransaction> {
    by_id(&context, context.raw_id()).await
}

/// The balance transaction of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<render::balance::BalanceTransaction> {
    let found = find(context, id).await?.ok_or_else(|| ApiError::missing("balance_transaction", "id"))?;
    Ok(render::balance::transaction(&found, clock::now()))
}

/// The balance transactions of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<render::balance::BalanceTransaction>> {
    let ids: Vec<BalanceTransactionId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let rows = balance::find_many(&mut *context.db().await?, context.tenant(), &ids).await?;
    Ok(rows.iter().map(|row| render::balance::transaction(row, clock::now())).collect())
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<BalanceTransaction>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(balance::find(&mut *context.db().await?, context.tenant(), id).await?)
}
