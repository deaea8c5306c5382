//! `/v1/customers`.

pub mod create;
pub mod list;
pub mod retrieve;

use axum::Router;

use crate::app::App;
use crate::edge::call::{command, query};

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/customers", command(create::run).merge(query(list::run)))
        .route("/v1/customers/{id}", query(retrieve::run))
}
