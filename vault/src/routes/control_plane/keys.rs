//! The inventory of keys.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::keys::{KeyInventory, PATH_KEYS};

use super::{Control, Refusal};
use crate::inventory;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new().route(PATH_KEYS, get(list_keys))
}

async fn list_keys(_peer: Peer<Admin>, State(control): State<Control>) -> Result<Json<KeyInventory>, Refusal> {
    Ok(Json(inventory::take(&control.vault).await?))
}
