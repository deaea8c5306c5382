//! `/control/v1/keys`: merchants' keys.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::keys::{Key, KeyChange, KeyQuery, KeyRoll, MadeKey, NewKey};
use kura_wire::ids::ApiKeyId;

use crate::api_key::KeyKind;
use crate::app::App;
use crate::keys::{self, KeyError};

/// A merchant's keys.
pub async fn list(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<Vec<Key>>, StatusCode> {
    Ok(Json(keys::list(app.db.work(), query.merchant).await.map_err(refused)?))
}

/// Makes one.
pub async fn make(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Json(asked): Json<NewKey>,
) -> Result<(StatusCode, Json<MadeKey>), StatusCode> {
    let kind = KeyKind::parse(&asked.kind).ok_or(StatusCode::BAD_REQUEST)?;
    let of = (kind, asked.livemode);
    let made = keys::make(app.db.work(), &app.secrets, asked.merchant, of, &asked.bounds).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Gives one other bounds.
pub async fn change(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
    Json(asked): Json<KeyChange>,
) -> Result<Json<Key>, StatusCode> {
    Ok(Json(keys::change(app.db.work(), named(&id)?, &asked.bounds).await.map_err(refused)?))
}

/// Puts another in its place.
pub async fn roll(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
    Json(asked): Json<KeyRoll>,
) -> Result<(StatusCode, Json<MadeKey>), StatusCode> {
    let overlap = time::Duration::seconds(i64::from(asked.overlap_s));
    let made = keys::roll(app.db.work(), &app.secrets, named(&id)?, overlap).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Ends one.
pub async fn revoke(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, StatusCode> {
    keys::revoke(app.db.work(), named(&id)?).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn named(id: &str) -> Result<ApiKeyId, StatusCode> {
    id.parse().map_err(|_| StatusCode::NOT_FOUND)
}

fn refused(error: KeyError) -> StatusCode {
    match error {
        KeyError::Merchant | KeyError::Missing => StatusCode::NOT_FOUND,
        KeyError::Store => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}
