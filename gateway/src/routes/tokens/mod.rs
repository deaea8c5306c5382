//! `/v1/tokens`.

pub mod create;
pub mod retrieve;

use axum::Router;

use crate::endpoint::rights::KeyRule;
use crate::app::App;
use crate::edge::call::{command_for, query};

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/tokens", command_for(KeyRule::Publishable, create::run))
        .route("/v1/tokens/{id}", query(retrieve::run))
}
