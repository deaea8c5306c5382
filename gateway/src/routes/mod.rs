//! Endpoints. A URL maps to a file: `POST /v1/payment_intents/{id}/confirm` is `payment_intents/confirm.rs`.

pub mod balance;
pub mod charges;
pub mod checkout;
pub mod control;
pub mod customers;
pub mod disputes;
pub mod events;
pub mod invoice_items;
pub mod invoices;
pub mod networks;
pub mod objects;
pub mod pages;
pub mod payment_intents;
pub mod payment_methods;
pub mod prices;
pub mod products;
pub mod refunds;
pub mod request_logs;
pub mod setup_intents;
pub mod shopper;
pub mod subscription_items;
pub mod subscriptions;
pub mod test_helpers;
pub mod tokens;
pub mod vouchers;
pub mod webhook_endpoints;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::edge::{call, intake};
use crate::endpoint::{Routes, openapi};
use crate::error::ApiError;
use axum::response::IntoResponse;

/// The endpoints of the API that say themselves what they take and give.
pub fn api() -> Routes {
    tokens::routes()
        .and(customers::routes())
        .and(payment_methods::routes())
        .and(payment_intents::routes())
        .and(setup_intents::routes())
        .and(charges::routes())
        .and(refunds::routes())
        .and(balance::routes())
        .and(disputes::routes())
        .and(events::routes())
        .and(webhook_endpoints::routes())
        .and(request_logs::routes())
        .and(products::routes())
        .and(prices::routes())
        .and(subscriptions::routes())
        .and(subscription_items::routes())
        .and(invoices::routes())
        .and(invoice_items::routes())
        .and(checkout::sessions::routes())
        .and(test_helpers::test_clocks::routes())
}

/// Everything that the public listener serves, behind the edge.
pub fn public(app: App) -> Router {
    let (api, operations) = api().into_parts();
    let document = openapi::document(&app.public_url, &operations);
    let routes = Router::new()
        .merge(api)
        .merge(pages::openapi::router(&document))
        .merge(pages::reference::router(&document))
        .merge(pages::router())
        .merge(checkout::router())
        .merge(shopper::router())
        .merge(vouchers::router())
        .merge(networks::router());
    call::with_fallbacks(routes)
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            ApiError::internal("a handler panicked").into_response()
        }))
        .layer(from_fn_with_state(app.clone(), intake::run))
        .with_state(app)
}

#[cfg(test)]
mod tests;
