//! The control plane: what the console may ask, over mutual TLS with the admin's certificate alone. Read only, but for
//! saved cards that the console puts among a merchant's own, and merchants' keys.

pub mod keys;
pub mod payment;
pub mod payments;
pub mod reconciliation;
pub mod saved_cards;
pub mod signals;
pub mod status;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use kura_wire::control::keys::{PATH_KEY, PATH_KEY_REVOKE, PATH_KEY_ROLL, PATH_KEYS, PATH_SIGNALS};
use kura_wire::control::reconciliation::{PATH_DIFFERENCE, PATH_RECONCILIATION};
use kura_wire::control::{PATH_PAYMENT, PATH_PAYMENTS, PATH_STATUS};
use kura_wire::guard::PATH_SAVED_CARDS;

use crate::app::App;
use crate::error::ApiError;

/// Its routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route(PATH_PAYMENTS, get(payments::run))
        .route(PATH_PAYMENT, get(payment::run))
        .route(PATH_STATUS, get(status::run))
        .route(PATH_SAVED_CARDS, post(saved_cards::run))
        .route(PATH_KEYS, get(keys::list).post(keys::make))
        .route(PATH_KEY, post(keys::change))
        .route(PATH_KEY_ROLL, post(keys::roll))
        .route(PATH_KEY_REVOKE, post(keys::revoke))
        .route(PATH_RECONCILIATION, get(reconciliation::show).post(reconciliation::run))
        .route(PATH_DIFFERENCE, post(reconciliation::explain))
        .route(PATH_SIGNALS, get(signals::run))
        .with_state(app)
}

/// The console gets a status; the log has the cause.
pub(super) fn failed(error: impl Into<ApiError>) -> StatusCode {
    error.into().status()
}
