//! `GET /healthz`: 200 when the gateway can work, 503 when it can't. No details for strangers, but for a mode that is not for
//! production.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

/// Runs it.
pub async fn run(State(app): State<App>) -> (StatusCode, &'static str) {
    match (app.health.is_ready(), app.webhooks_reach_loopback()) {
        (true, false) => (StatusCode::OK, "ok\n"),
        (true, true) => (StatusCode::OK, "ok\nDEVELOPMENT MODE: webhooks may go to this machine itself\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}
