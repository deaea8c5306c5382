//! How the node does.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::{PATH_STATUS, ServiceStatus};

use super::Control;
use crate::memory;
use crate::store::alerts;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new().route(PATH_STATUS, get(status))
}

async fn status(_peer: Peer<Admin>, State(control): State<Control>) -> Json<ServiceStatus> {
    let vault = &control.vault;
    let alerts = alerts::count_unopenable(&vault.pool).await;
    Json(ServiceStatus {
        service: "vault".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: control.health.started_at(),
        ready: control.health.is_ready(),
        checks: vec![
            ("database answers".to_owned(), alerts.is_ok()),
            ("all sealed data that was opened was intact".to_owned(), matches!(alerts, Ok(0))),
            ("no purpose is frozen".to_owned(), vault.guard.is_free()),
            ("memory can't be swapped out".to_owned(), vault.memory.is_kept()),
            ("no memory is swapped out".to_owned(), memory::swapped_kib() == Some(0)),
            (
                "acquirer (test) signed on".to_owned(),
                vault.acquirer_test.as_ref().is_some_and(crate::acquirer::Acquirer::is_connected),
            ),
        ],
    })
}
