//! The console's pages. An address maps to a file: `/payments/{id}` is `payments/show.rs`.

pub mod assets;
pub mod custody;
pub mod enrol;
pub mod healthz;
pub mod payments;
mod shell;
pub mod sign_in;
pub mod sign_out;
pub mod system;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::edge;
use crate::edge::error::PageError;
use crate::state::App;

/// Where somebody lands who asked for nothing in particular.
pub const HOME: &str = "/payments";

/// All of them, behind the edge.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to(HOME)))
        .route("/healthz", get(healthz::get))
        .route("/assets/{hash}/{name}", get(assets::get))
        .route("/enrol/{token}", get(enrol::get).post(enrol::post))
        .route("/enrol/{token}/passkey", get(enrol::passkey::get).post(enrol::passkey::post))
        .route("/sign-in", get(sign_in::get).post(sign_in::post))
        .route("/sign-in/passkey", get(sign_in::passkey::get).post(sign_in::passkey::post))
        .route("/sign-out", post(sign_out::post))
        .route("/payments", get(payments::get))
        .route("/payments/{id}", get(payments::show::get))
        .route("/system", get(system::get))
        .route("/custody", get(custody::get).post(custody::post))
        .fallback(async || PageError::NotFound)
        .method_not_allowed_fallback(async || PageError::NotFound)
        .layer(DefaultBodyLimit::max(edge::MAX_BODY_BYTES))
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, edge::TIMEOUT))
        .layer(middleware::from_fn_with_state(app.clone(), edge::pass))
        .with_state(app)
}
