//! The access ledger, as the console reads it.

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::{ControlCode, Opening, OpeningQuery, PATH_OPENINGS};
use kura_wire::ids::{AttemptId, MerchantId, RequestId};
use uuid::Uuid;

use super::{Control, Refusal};
use crate::store::openings::{self, OpeningRow};

const MAX_ATTEMPTS: usize = 100;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new().route(PATH_OPENINGS, get(list_openings))
}

async fn list_openings(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<OpeningQuery>,
) -> Result<Json<Vec<Opening>>, Refusal> {
    let attempts: Vec<Uuid> = query
        .attempts
        .split(',')
        .map(|id| id.parse::<AttemptId>().map(|id| Uuid::from_bytes(*id.as_bytes())))
        .collect::<Result<_, _>>()
        .map_err(|_| ControlCode::Malformed)?;
    if attempts.len() > MAX_ATTEMPTS {
        return Err(ControlCode::Malformed.into());
    }
    let rows = openings::list_for_attempts(&control.vault.pool, &attempts).await?;
    Ok(Json(rows.into_iter().map(render).collect()))
}

fn render(row: OpeningRow) -> Opening {
    Opening {
        sequence: row.sequence,
        node: u16::try_from(row.node).unwrap_or_default(),
        at: row.at,
        actor: row.actor,
        request_id: RequestId::from_bytes(row.request_id.into_bytes()),
        merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
        record: format!("{}_{}", row.class, row.record_id.simple()),
        fields: row.fields,
        purpose: row.purpose,
        attempt: row.attempt_id.map(|id| AttemptId::from_bytes(id.into_bytes())),
    }
}
