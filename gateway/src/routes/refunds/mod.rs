//! `/v1/refunds`.

pub mod create;
pub mod list;
pub mod retrieve;

use axum::Router;
use axum::routing::MethodRouter;

use crate::app::App;
use crate::edge::call::{command, query};

/// Its routes.
pub fn router() -> Router<App> {
    let collection: MethodRouter<App> = command(create::run).merge(query(list::run));
    Router::new().route("/v1/refunds", collection).route("/v1/refunds/{id}", query(retrieve::run))
}
