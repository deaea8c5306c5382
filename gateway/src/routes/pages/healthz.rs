//! `GET /healthz`: 200 when the gateway can work, 503 when it can't. No details for strangers.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

/// Runs it.
pub async fn run(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.health.is_ready() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
