//! `/v1/charges`.

pub mod list;
pub mod retrieve;

use axum::Router;
use serde_json::Value;

use crate::app::App;
use crate::edge::call::{Context, query};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::charges::{self, Charge};
use crate::store::cards;

/// Its routes.
pub fn router() -> Router<App> {
    Router::new().route("/v1/charges", query(list::run)).route("/v1/charges/{id}", query(retrieve::run))
}

/// Charges with their cards, in one look-up.
pub async fn render_all(context: &Context, charges: &[Charge]) -> ApiResult<Vec<Value>> {
    let records: Vec<[u8; 16]> = charges.iter().map(|charge| charge.record).collect();
    let known = cards::find_many(&mut *context.db().await?, context.tenant(), &records).await?;
    let render = |charge: &Charge| {
        let card = known.iter().find(|card| card.record == charge.record);
        render::charge::charge(context.tenant(), charge, card)
    };
    Ok(charges.iter().map(render).collect())
}

/// The charge of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Value> {
    let missing = || ApiError::missing("charge", "id");
    let id = id.parse().map_err(|_| missing())?;
    let charge = charges::find(&mut *context.db().await?, context.tenant(), id).await?.ok_or_else(missing)?;
    let rendered = render_all(context, std::slice::from_ref(&charge)).await?;
    rendered.into_iter().next().ok_or_else(|| ApiError::internal("nothing rendered"))
}
