//! `GET /control/v1/status`.

use axum::Json;
use axum::extract::State;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ServiceStatus;

use crate::app::App;
use crate::store;

/// Runs it.
pub async fn run(_peer: Peer<Admin>, State(app): State<App>) -> Json<ServiceStatus> {
    let database = store::answers(app.db.work()).await;
    let vault = app.vault.is_there().await;
    Json(ServiceStatus {
        service: "gateway".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: app.health.started_at(),
        ready: app.health.is_ready() && database && vault,
        checks: vec![
            ("database".to_owned(), database),
            ("vault".to_owned(), vault),
            // Not so in development mode, and that is shown.
            ("webhooks go to the internet only".to_owned(), !app.webhooks_reach_loopback()),
        ],
    })
}
