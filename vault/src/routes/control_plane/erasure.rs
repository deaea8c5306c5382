//! Erasure, its proofs, and the retention report.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::clock;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::erasure::{
    Erase, EraseProgress, Erasure, ErasureQuery, MAX_ERASURES, PATH_ERASE, PATH_ERASURES, PATH_RETENTION,
    RetentionChange, RetentionReport,
};

use super::{Body, Control, Refusal};
use crate::store::{erasures, retention};

const MAX_DAYS: i32 = 3650;

type Answer<T> = Result<Json<T>, Refusal>;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_ERASE, post(erase))
        .route(PATH_ERASURES, get(list_erasures))
        .route(PATH_RETENTION, get(report).post(change))
}

async fn erase(peer: Peer<Admin>, State(control): State<Control>, Body(request): Body<Erase>) -> Answer<EraseProgress> {
    Ok(Json(control.vault.erase(peer, &request).await?))
}

async fn list_erasures(
    _: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<ErasureQuery>,
) -> Answer<Vec<Erasure>> {
    let rows = erasures::list(&control.vault.pool, query.after, MAX_ERASURES).await?;
    let erasure = |row: erasures::ProofRow| Erasure { id: row.id, statement: row.statement, signature: row.signature };
    Ok(Json(rows.into_iter().map(erasure).collect()))
}

async fn report(_: Peer<Admin>, State(control): State<Control>) -> Answer<RetentionReport> {
    Ok(Json(control.vault.retention().await?))
}

async fn change(
    _: Peer<Admin>,
    State(control): State<Control>,
    Body(request): Body<RetentionChange>,
) -> Answer<RetentionReport> {
    if !(1..=MAX_DAYS).contains(&request.days) {
        return Err(ControlCode::Malformed.into());
    }
    if !retention::update(&control.vault.pool, &request.rule, request.days, clock::now()).await? {
        return Err(ControlCode::NotFound.into());
    }
    tracing::info!(rule = request.rule, days = request.days, "retention changed");
    Ok(Json(control.vault.retention().await?))
}
