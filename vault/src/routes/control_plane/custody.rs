//! Custodians: their sets, entering shares, sealing.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::custody::{
    CustodyStatus, EnteredShare, MadeCustodianSet, NewCustodianSet, PATH_CUSTODIAN_SETS, PATH_CUSTODY, PATH_SEAL,
    PATH_SHARES,
};

use super::{Body, Control, Refusal};

type Answer<T> = Result<Json<T>, Refusal>;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_CUSTODY, get(status))
        .route(PATH_CUSTODIAN_SETS, post(make_set))
        .route(PATH_SHARES, post(enter_share))
        .route(PATH_SEAL, post(seal))
}

async fn status(_peer: Peer<Admin>, State(control): State<Control>) -> Answer<CustodyStatus> {
    Ok(Json(control.vault.custody_status().await?))
}

async fn make_set(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Body(new): Body<NewCustodianSet>,
) -> Answer<MadeCustodianSet> {
    Ok(Json(control.vault.make_custodian_set(&new).await?))
}

async fn enter_share(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Body(entered): Body<EnteredShare>,
) -> Answer<CustodyStatus> {
    // In a task of its own: a caller that hangs up stops no re-sharing half-way.
    let vault = control.vault.clone();
    let done = tokio::spawn(async move { vault.enter_share(&entered).await }).await;
    Ok(Json(done.map_err(|_| kura_wire::control::ControlCode::Internal)??))
}

async fn seal(_peer: Peer<Admin>, State(control): State<Control>) -> Answer<CustodyStatus> {
    control.vault.seal().await;
    Ok(Json(control.vault.custody_status().await?))
}
