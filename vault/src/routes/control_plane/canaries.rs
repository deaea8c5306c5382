//! Canaries: how many there are, more of them, others in their place. Which records they are is told once, to whoever makes
//! them, so that the gateway can be given the same; it can't be asked for afterwards.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::guard::{
    CanaryGroup, MakeCanaries, PATH_CANARIES, PATH_CANARIES_ROTATE, PATH_CARD_MERCHANTS, SavedCard,
};
use kura_wire::ids::MerchantId;
use kura_wire::vault::VaultErrorCode;

use super::{Body, Control, Refusal};
use crate::store::canaries::{self, GroupRow};

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_CANARIES, get(list).post(make))
        .route(PATH_CANARIES_ROTATE, post(rotate))
        .route(PATH_CARD_MERCHANTS, get(merchants))
}

async fn list(_peer: Peer<Admin>, State(control): State<Control>) -> Result<Json<Vec<CanaryGroup>>, Refusal> {
    let rows = canaries::list_groups(&control.vault.pool).await?;
    Ok(Json(rows.into_iter().map(render).collect()))
}

async fn make(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Body(request): Body<MakeCanaries>,
) -> Result<Json<Vec<SavedCard>>, Refusal> {
    Ok(Json(control.vault.make_canaries(&request).await.map_err(refusal)?))
}

async fn rotate(_peer: Peer<Admin>, State(control): State<Control>) -> Result<Json<Vec<SavedCard>>, Refusal> {
    Ok(Json(control.vault.rotate_canaries().await.map_err(refusal)?))
}

async fn merchants(_peer: Peer<Admin>, State(control): State<Control>) -> Result<Json<Vec<MerchantId>>, Refusal> {
    Ok(Json(control.vault.card_merchants().await.map_err(refusal)?))
}

fn refusal(code: VaultErrorCode) -> Refusal {
    Refusal(match code {
        VaultErrorCode::Malformed => ControlCode::Malformed,
        VaultErrorCode::Sealed => ControlCode::Sealed,
        VaultErrorCode::Overloaded => ControlCode::Unavailable,
        _ => ControlCode::Internal,
    })
}

fn render(row: GroupRow) -> CanaryGroup {
    CanaryGroup {
        merchant: MerchantId::from_bytes(row.merchant_id.into_bytes()),
        livemode: row.livemode,
        active: row.active,
        retired: row.retired,
        made_at: row.made_at,
    }
}
