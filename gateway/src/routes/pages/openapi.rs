//! `GET /openapi.json`: the API's own description.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use serde_json::Value;

use crate::app::App;

/// Its path.
pub const PATH: &str = "/openapi.json";

/// Its route. The document is written once.
pub fn router(document: &Value) -> Router<App> {
    let text = Bytes::from(document.to_string());
    Router::new().route(PATH, get(move || async { ([(header::CONTENT_TYPE, "application/json")], text) }))
}
