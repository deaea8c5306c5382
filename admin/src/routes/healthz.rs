//! `GET /healthz`: whether the console can do its work. Says nothing else.

use axum::extract::State;
use axum::http::StatusCode;

use crate::state::App;
use crate::store::audit;

/// 200 when it can, 503 when not.
pub async fn get(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.health.is_ready() && audit::require_append_only(&app.pool).await.is_ok() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "away\n")
    }
}
