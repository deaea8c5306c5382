//! What the gateway may ask, and nothing else. Every handler takes `Peer<Gateway>`: no other certificate gets here.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::tls::{Gateway, Peer};
use kura_wire::sealed_box::SignedKeySet;
use kura_wire::three_d_secure::{self, Authenticate, Authentication, FindAuthentication};
use kura_wire::vault::{
    self as wire, Attach, Authorize, Describe, FollowUp, Outcome, Resolve, SetExpiry, TestCard, Tokenize, Tokenized,
    Verify,
};

use super::{Body, Failure};
use crate::domain::Vault;
use crate::domain::follow_up::FollowUpKind;

pub(super) type Answer<T> = Result<Json<T>, Failure>;
type Shared = State<Arc<Vault>>;

/// The routes.
pub fn router(vault: Arc<Vault>) -> Router {
    Router::new()
        .route(wire::PATH_SEALING_KEYS, get(sealing_keys))
        .route(wire::PATH_TOKENIZE, post(tokenize))
        .route(wire::PATH_TEST_CARD, post(test_card))
        .route(wire::PATH_ATTACH, post(attach))
        .route(wire::PATH_DESCRIBE, post(describe))
        .route(wire::PATH_SET_EXPIRY, post(set_expiry))
        .route(wire::PATH_AUTHORIZE, post(authorize))
        .route(wire::PATH_VERIFY, post(verify))
        .route(three_d_secure::PATH_AUTHENTICATE, post(authenticate))
        .route(three_d_secure::PATH_AUTHENTICATION, post(find_authentication))
        .route(wire::PATH_CAPTURE, post(capture))
        .route(wire::PATH_VOID, post(void))
        .route(wire::PATH_REFUND, post(refund))
        .route(wire::PATH_RESOLVE, post(resolve))
        .merge(super::persons::routes())
        .merge(super::deposits::routes())
        .with_state(vault)
}

async fn sealing_keys(_peer: Peer<Gateway>, State(vault): Shared) -> Answer<SignedKeySet> {
    // Nobody should be asked to type a card that can't be kept.
    vault.keys.keyring().ok_or(wire::VaultErrorCode::Sealed)?;
    Ok(Json(vault.sealing_keys.published()))
}

async fn tokenize(_peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<Tokenize>) -> Answer<Tokenized> {
    Ok(Json(vault.tokenize(&request).await?))
}

async fn test_card(_peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<TestCard>) -> Answer<Tokenized> {
    Ok(Json(vault.make_test_card(&request).await?))
}

async fn attach(peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<Attach>) -> Answer<Tokenized> {
    Ok(Json(vault.attach(peer, &request).await?))
}

async fn describe(peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<Describe>) -> Answer<Tokenized> {
    Ok(Json(vault.describe(peer, &request).await?))
}

async fn set_expiry(peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<SetExpiry>) -> Answer<Tokenized> {
    Ok(Json(vault.set_expiry(peer, &request).await?))
}

async fn authorize(peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<Authorize>) -> Answer<Outcome> {
    // In a task of its own: once begun it goes on to the outcome's record, even if the gateway hangs up.
    finish(async move { vault.authorize(peer, &request).await }).await
}

async fn verify(peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<Verify>) -> Answer<Outcome> {
    finish(async move { vault.verify(peer, &request).await }).await
}

async fn authenticate(
    peer: Peer<Gateway>,
    State(vault): Shared,
    Body(request): Body<Authenticate>,
) -> Answer<Authentication> {
    finish(async move { vault.authenticate(peer, &request).await }).await
}

async fn find_authentication(
    _peer: Peer<Gateway>,
    State(vault): Shared,
    Body(request): Body<FindAuthentication>,
) -> Answer<Authentication> {
    finish(async move { vault.find_authentication(&request).await }).await
}

async fn capture(_peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<FollowUp>) -> Answer<Outcome> {
    finish(async move { vault.follow_up(FollowUpKind::Capture, &request).await }).await
}

async fn void(_peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<FollowUp>) -> Answer<Outcome> {
    finish(async move { vault.follow_up(FollowUpKind::Void, &request).await }).await
}

async fn refund(_peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<FollowUp>) -> Answer<Outcome> {
    finish(async move { vault.follow_up(FollowUpKind::Refund, &request).await }).await
}

async fn resolve(_peer: Peer<Gateway>, State(vault): Shared, Body(request): Body<Resolve>) -> Answer<Outcome> {
    finish(async move { vault.resolve(&request).await }).await
}

/// Goes on to its end, even if the gateway hangs up.
pub(super) async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, wire::VaultErrorCode>> + Send + 'static,
) -> Answer<T> {
    let done = tokio::spawn(work).await.map_err(|_| wire::VaultErrorCode::Internal)?;
    Ok(Json(done?))
}
