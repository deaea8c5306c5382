//! `GET /control/v1/payments/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::PaymentDetail;
use kura_wire::ids::PaymentIntentId;

use super::failed;
use crate::app::App;
use crate::store::control::{find_payment, list_timeline};

/// Runs it.
pub async fn run(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<PaymentDetail>, StatusCode> {
    let id: PaymentIntentId = id.parse().map_err(|_| StatusCode::NOT_FOUND)?;
    let found = find_payment(app.db.work(), id).await.map_err(failed)?;
    let (payment, description) = found.ok_or(StatusCode::NOT_FOUND)?;
    let timeline = list_timeline(app.db.work(), payment.merchant, id).await.map_err(failed)?;
    Ok(Json(PaymentDetail { payment, description, timeline }))
}
