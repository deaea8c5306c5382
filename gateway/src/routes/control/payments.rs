//! `GET /control/v1/payments`.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::{MAX_PAGE_LEN, PaymentPage, PaymentQuery};

use super::failed;
use crate::app::App;
use crate::domain::payment_intent::Status;
use crate::store::control::list_payments;

const DEFAULT_PAGE_LEN: u32 = 25;

/// Runs it.
pub async fn run(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Query(query): Query<PaymentQuery>,
) -> Result<Json<PaymentPage>, StatusCode> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_LEN);
    let known_status = query.status.as_deref().is_none_or(|status| Status::parse(status).is_some());
    if !(1..=MAX_PAGE_LEN).contains(&limit) || !known_status {
        return Err(StatusCode::BAD_REQUEST);
    }
    let fetch = i64::from(limit) + 1;
    let found = list_payments(app.db.work(), query.before, query.status.as_deref(), query.merchant, fetch).await;
    let mut payments = found.map_err(failed)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = payments.len() > limit;
    payments.truncate(limit);
    Ok(Json(PaymentPage { payments, has_more }))
}
