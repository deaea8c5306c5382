//! Pages for people: the landing page, the quickstart, the reference, the error codes, and whether the gateway is well.

pub mod errors;
pub mod healthz;
pub mod landing;
pub mod openapi;
pub mod quickstart;
pub mod reference;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::error::ApiError;

/// Where codes are explained.
pub const ERRORS_PATH: &str = "/docs/errors";

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/", get(landing::run))
        .route(ERRORS_PATH, get(errors::run))
        .route(quickstart::PATH, get(quickstart::run))
        .route("/healthz", get(healthz::run))
        .route("/assets/pages.css", get(stylesheet))
}

async fn stylesheet() -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))],
        include_str!("../../../assets/pages.css"),
    )
        .into_response()
}

/// A rendered page: no script at all, one stylesheet of our own.
pub(super) fn page<T: IntoResponse>(rendered: Result<T, askama::Error>) -> Response {
    const POLICY: &str =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    match rendered {
        Ok(html) => (
            [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
                (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            ],
            html,
        )
            .into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}
