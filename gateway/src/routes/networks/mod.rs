//! What comes in from payment networks: signed notices, each taken once.

pub mod notices;

use axum::Router;
use axum::routing::post;

use crate::app::App;

/// Its routes.
pub fn router() -> Router<App> {
    Router::new().route(kura_wire::notice::PATH_NOTICES, post(notices::run))
}
