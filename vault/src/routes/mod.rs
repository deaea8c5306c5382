//! The two listeners' routes: `data_plane` for the gateway, `control_plane` for the console.

pub mod control_plane;
pub mod data_plane;
mod deposits;
mod persons;

use axum::Json;
use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kura_wire::vault::{VaultErrorBody, VaultErrorCode};

/// An error on its way out: the code, and the status that goes with it.
#[derive(Debug)]
pub struct Failure(pub VaultErrorCode);

impl From<VaultErrorCode> for Failure {
    fn from(code: VaultErrorCode) -> Self {
        Self(code)
    }
}

impl From<JsonRejection> for Failure {
    fn from(_: JsonRejection) -> Self {
        // Nothing of the body is repeated: serde's message could quote it.
        Self(VaultErrorCode::Malformed)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0 {
            VaultErrorCode::Malformed => StatusCode::BAD_REQUEST,
            VaultErrorCode::TokenUnknown
            | VaultErrorCode::AttemptUnknown
            | VaultErrorCode::AuthenticationUnknown
            | VaultErrorCode::TestCardUnknown
            | VaultErrorCode::CustomerUnknown
            | VaultErrorCode::PayerUnknown => StatusCode::NOT_FOUND,
            VaultErrorCode::TokenUsed | VaultErrorCode::AttemptMismatch => StatusCode::CONFLICT,
            VaultErrorCode::NetworkNotConfigured
            | VaultErrorCode::NetworkUnavailable
            | VaultErrorCode::Sealed
            | VaultErrorCode::PurposeFrozen
            | VaultErrorCode::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            VaultErrorCode::SealedDataCorrupt | VaultErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, Json(VaultErrorBody { code: self.0 })).into_response()
    }
}

/// A JSON body of a known type.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Failure))]
pub struct Body<T>(pub T);
