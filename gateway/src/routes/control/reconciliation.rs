//! `/control/v1/reconciliation`: the books held against the networks'.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kura_platform::clock;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::reconciliation::{DayCompared, Explanation, ReconcileDay, Reconciliation};

use super::failed;
use crate::app::App;
use crate::reconciliation::{self, Failed};
use crate::store::reconciliation as store;

/// The last days, and what is open.
pub async fn show(_peer: Peer<Admin>, State(app): State<App>) -> Result<Json<Reconciliation>, StatusCode> {
    let days = store::list_days(app.db.work()).await.map_err(failed)?;
    let (open, open_count) = store::list_open(app.db.work()).await.map_err(failed)?;
    Ok(Json(Reconciliation { days, open, open_count }))
}

/// Reads and compares a day now.
pub async fn run(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Json(of): Json<ReconcileDay>,
) -> Result<Json<DayCompared>, StatusCode> {
    if of.day > clock::now().to_offset(time::UtcOffset::UTC).date() {
        return Err(StatusCode::BAD_REQUEST);
    }
    match reconciliation::day(&app, of).await {
        Ok(compared) => Ok(Json(compared)),
        Err(Failed::NotConfigured) => Err(StatusCode::NOT_FOUND),
        Err(Failed::Other(error)) => Err(failed(error)),
    }
}

/// Explains a difference.
pub async fn explain(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
    Json(explanation): Json<Explanation>,
) -> Result<StatusCode, StatusCode> {
    let id = id.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    let within = |text: &str, max| (1..=max).contains(&text.trim().chars().count()) && text.chars().count() <= max;
    if !within(&explanation.by, 100) || !within(&explanation.note, 1000) {
        return Err(StatusCode::BAD_REQUEST);
    }
    match store::explain(app.db.work(), id, &explanation, clock::now()).await.map_err(failed)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(StatusCode::NOT_FOUND),
    }
}
