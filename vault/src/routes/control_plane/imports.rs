//! Bulk loads: boxes in, tokens out.

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::ids::ImportId;
use kura_wire::import::{
    Import, ImportBatch, ImportedBatch, MAX_BATCH_LEN, PATH_IMPORT, PATH_IMPORT_BATCHES, PATH_IMPORT_FINISH,
    PATH_IMPORT_KEYS, PATH_IMPORTS, StartImport,
};
use kura_wire::sealed_box::SignedKeySet;

use super::{Body, Control, Refusal};
use crate::import::{self, ImportError};

/// A batch's box in base64 within its JSON.
const MAX_BODY_LEN: usize = MAX_BATCH_LEN / 3 * 4 + 4096;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_IMPORT_KEYS, get(import_keys))
        .route(PATH_IMPORTS, post(start_import))
        .route(PATH_IMPORT, get(find_import))
        .route(PATH_IMPORT_BATCHES, post(take_batch).layer(DefaultBodyLimit::max(MAX_BODY_LEN)))
        .route(PATH_IMPORT_FINISH, post(finish_import))
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        if !matches!(error, ImportError::Refused(_)) {
            tracing::error!(%error, "the import failed");
        }
        Self(error.code())
    }
}

async fn import_keys(_peer: Peer<Admin>, State(control): State<Control>) -> Result<Json<SignedKeySet>, Refusal> {
    control.vault.keys.keyring().ok_or(ControlCode::Sealed)?;
    Ok(Json(control.vault.sealing_keys.published()))
}

async fn start_import(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Body(wanted): Body<StartImport>,
) -> Result<Json<Import>, Refusal> {
    Ok(Json(import::begin(&control.vault, &wanted).await?))
}

async fn find_import(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<Json<Import>, Refusal> {
    Ok(Json(import::find(&control.vault, parse(&id)?).await?))
}

async fn take_batch(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Path(id): Path<String>,
    Body(batch): Body<ImportBatch>,
) -> Result<Json<ImportedBatch>, Refusal> {
    let id = parse(&id)?;
    // In a task of its own: a COPY that is dropped half-way, when its asker hangs up, leaves its connection in disorder.
    let taking = tokio::spawn(async move { import::take(&control.vault, id, batch).await });
    Ok(Json(taking.await.map_err(|_| ControlCode::Internal)??))
}

async fn finish_import(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<Json<Import>, Refusal> {
    Ok(Json(import::finish(&control.vault, parse(&id)?).await?))
}

fn parse(id: &str) -> Result<ImportId, Refusal> {
    id.parse().map_err(|_| Refusal(ControlCode::NotFound))
}
