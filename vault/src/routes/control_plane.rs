//! What the console may ask. No card data beyond what the ledger names: records, never numbers.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use kura_platform::health::Health;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::{self as wire, Opening, OpeningQuery, ServiceStatus};
use kura_wire::ids::{AttemptId, MerchantId, RequestId};
use kura_wire::vault::VaultErrorCode;
use uuid::Uuid;

use super::Failure;
use crate::domain::Vault;
use crate::store::openings::OpeningRow;
use crate::store::{alerts, openings};

const MAX_ATTEMPTS: usize = 100;

/// The parts that these routes need.
#[derive(Clone)]
pub struct Control {
    /// The vault.
    pub vault: Arc<Vault>,
    /// Its health.
    pub health: Health,
}

/// The routes.
pub fn router(control: Control) -> Router {
    Router::new()
        .route(wire::PATH_STATUS, get(status))
        .route(wire::PATH_OPENINGS, get(list_openings))
        .with_state(control)
}

async fn status(_peer: Peer<Admin>, State(control): State<Control>) -> Json<ServiceStatus> {
    let vault = &control.vault;
    let alerts = alerts::count(&vault.pool).await;
    Json(ServiceStatus {
        service: "vault".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: control.health.started_at(),
        ready: control.health.is_ready(),
        checks: vec![
            ("database answers".to_owned(), alerts.is_ok()),
            ("all sealed data that was opened was intact".to_owned(), matches!(alerts, Ok(0))),
            (
                "acquirer (test) signed on".to_owned(),
                vault.acquirer_test.as_ref().is_some_and(crate::acquirer::Acquirer::is_connected),
            ),
        ],
    })
}

async fn list_openings(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<OpeningQuery>,
) -> Result<Json<Vec<Opening>>, Failure> {
    let attempts: Vec<Uuid> = query
        .attempts
        .split(',')
        .map(|id| id.parse::<AttemptId>().map(|id| Uuid::from_bytes(*id.as_bytes())))
        .collect::<Result<_, _>>()
        .map_err(|_| VaultErrorCode::Malformed)?;
    if attempts.len() > MAX_ATTEMPTS {
        return Err(VaultErrorCode::Malformed.into());
    }
    let rows = openings::list_for_attempts(&control.vault.pool, &attempts).await.map_err(|error| {
        tracing::error!(%error, "openings not read");
        VaultErrorCode::Internal
    })?;
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
        record: format!("card_{}", row.card_id.simple()),
        fields: row.fields,
        purpose: row.purpose,
        attempt: row.attempt_id.map(|id| AttemptId::from_bytes(id.into_bytes())),
    }
}
