//! `POST /control/v1/saved_cards`: a saved card of the vault's, kept like all others.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kura_platform::tls::{Admin, Peer};
use kura_wire::guard::SavedCard;
use kura_wire::ids::TokenUse;

use super::failed;
use crate::app::App;
use crate::store::Tenant;
use crate::store::cards::{self, Before};

/// Runs it.
pub async fn run(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Json(saved): Json<SavedCard>,
) -> Result<StatusCode, StatusCode> {
    if saved.token.allows != TokenUse::Multi {
        return Err(StatusCode::BAD_REQUEST);
    }
    let tenant = Tenant::new(saved.merchant, saved.livemode);
    let mut connection = app.db.of(tenant).await.map_err(failed)?;
    let before = Before { saved_at: Some(saved.saved_at), charged_at: None };
    cards::insert_with(&mut connection, tenant, saved.token, &saved.card, saved.created_at, before)
        .await
        .map_err(failed)?;
    Ok(StatusCode::CREATED)
}
