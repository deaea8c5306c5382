//! What the console may ask, one file for each subject. No card data beyond what the ledger names: records, never numbers.

mod alerts;
mod canaries;
mod freezes;
mod openings;
mod status;

use std::sync::Arc;

use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use kura_platform::health::Health;
use kura_wire::control::{ControlCode, ControlErrorBody};

use crate::domain::Vault;

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
        .merge(status::routes())
        .merge(openings::routes())
        .merge(alerts::routes())
        .merge(freezes::routes())
        .merge(canaries::routes())
        .with_state(control)
}

/// An error on its way out: the code, and the status that goes with it.
#[derive(Debug)]
pub struct Refusal(pub ControlCode);

impl From<ControlCode> for Refusal {
    fn from(code: ControlCode) -> Self {
        Self(code)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(_: JsonRejection) -> Self {
        // Nothing of the body is repeated: serde's message could quote it.
        Self(ControlCode::Malformed)
    }
}

impl From<crate::store::StoreError> for Refusal {
    fn from(error: crate::store::StoreError) -> Self {
        tracing::error!(%error, "the database failed");
        Self(ControlCode::Unavailable)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0 {
            ControlCode::Malformed => StatusCode::BAD_REQUEST,
            ControlCode::NotFound => StatusCode::NOT_FOUND,
            ControlCode::Conflict => StatusCode::CONFLICT,
            ControlCode::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
            ControlCode::Sealed | ControlCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ControlCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(ControlErrorBody { code: self.0 })).into_response()
    }
}

/// A JSON body of a known type.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Refusal))]
pub struct Body<T>(pub T);
