//! What peers may not do any more, and letting them do it again.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::clock;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::guard::{Freeze, FreezeQuery, PATH_FREEZES, PATH_RELEASE, Release};

use super::{Body, Control, Refusal};
use crate::store::freezes::{self, FreezeRow};

const MAX_NAME_LEN: usize = 100;
const MAX_REASON_LEN: usize = 500;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new().route(PATH_FREEZES, get(list)).route(PATH_RELEASE, post(release))
}

async fn list(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<FreezeQuery>,
) -> Result<Json<Vec<Freeze>>, Refusal> {
    let rows = freezes::list(&control.vault.pool, query.all).await?;
    Ok(Json(rows.into_iter().map(render).collect()))
}

async fn release(
    peer: Peer<Admin>,
    State(control): State<Control>,
    Body(request): Body<Release>,
) -> Result<Json<Freeze>, Refusal> {
    let within = |text: &str, most: usize| (1..=most).contains(&text.trim().chars().count());
    if !within(&request.reason, MAX_REASON_LEN) || !within(&request.by, MAX_NAME_LEN) {
        return Err(ControlCode::Malformed.into());
    }
    let pool = &control.vault.pool;
    let by = format!("{} ({})", request.by.trim(), peer.name());
    let released = freezes::release(pool, request.id, clock::now(), &by, request.reason.trim()).await?;
    let row = freezes::find(pool, request.id).await?.ok_or(ControlCode::NotFound)?;
    if !released {
        return Err(ControlCode::Conflict.into());
    }
    tracing::warn!(freeze = row.id, peer = row.peer, purpose = row.purpose, by, "freeze released");
    Ok(Json(render(row)))
}

fn render(row: FreezeRow) -> Freeze {
    Freeze {
        id: row.id,
        peer: row.peer,
        purpose: row.purpose,
        reason: row.reason,
        node: u16::try_from(row.node).unwrap_or_default(),
        frozen_at: row.frozen_at,
        released_at: row.released_at,
        released_by: row.released_by,
        release_reason: row.release_reason,
    }
}
