//! `/v1/payment_methods`, and how a payment names its card.

pub mod attach;
pub mod create;
pub mod detach;
pub mod list;
pub mod naming;
pub mod retrieve;

use axum::Router;

use crate::app::App;
use crate::edge::call::{command, query};

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/payment_methods", command(create::run).merge(query(list::run)))
        .route("/v1/payment_methods/{id}", query(retrieve::run))
        .route("/v1/payment_methods/{id}/attach", command(attach::run))
        .route("/v1/payment_methods/{id}/detach", command(detach::run))
}
