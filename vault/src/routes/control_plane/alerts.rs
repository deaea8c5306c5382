//! Alerts, as the vault raised them.

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::guard::{Alert, AlertQuery, PATH_ALERTS};
use kura_wire::ids::{MerchantId, RequestId};

use super::{Control, Refusal};
use crate::store::alerts::{self, AlertRow};

const USUAL_LIMIT: u16 = 100;
const MAX_LIMIT: u16 = 1000;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new().route(PATH_ALERTS, get(list))
}

async fn list(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<AlertQuery>,
) -> Result<Json<Vec<Alert>>, Refusal> {
    let limit = query.limit.unwrap_or(USUAL_LIMIT).clamp(1, MAX_LIMIT);
    let rows = alerts::list(&control.vault.pool, query.after.unwrap_or(0), i64::from(limit)).await?;
    Ok(Json(rows.into_iter().map(render).collect()))
}

fn render(row: AlertRow) -> Alert {
    Alert {
        id: row.id,
        at: row.at,
        kind: row.kind,
        merchant: row.merchant_id.map(|id| MerchantId::from_bytes(id.into_bytes())),
        record: row.record_id.map(|id| id.simple().to_string()),
        request_id: row.request_id.map(|id| RequestId::from_bytes(id.into_bytes())),
        peer: row.peer,
        purpose: row.purpose,
    }
}
