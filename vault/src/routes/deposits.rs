//! What the gateway may ask of the networks of payments without a card. Payer's data goes to them and comes back to nobody.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use kura_platform::tls::{Gateway, Peer};
use kura_wire::deposit::{
    self as wire, DepositState, FindDeposit, GiveBack, GivenBack, RequestDeposit, WithdrawDeposit,
};
use kura_wire::settlement::{PATH_SETTLEMENT, ReadSettlement, SettlementPage};

use super::Body;
use super::data_plane::{Answer, finish};
use crate::domain::Vault;

type Shared = State<Arc<Vault>>;

/// The routes.
pub(super) fn routes() -> Router<Arc<Vault>> {
    Router::new()
        .route(wire::PATH_REQUEST, post(request))
        .route(wire::PATH_WITHDRAW, post(withdraw))
        .route(wire::PATH_FIND, post(find))
        .route(wire::PATH_GIVE_BACK, post(give_back))
        .route(PATH_SETTLEMENT, post(settlement))
}

async fn request(peer: Peer<Gateway>, State(vault): Shared, Body(asked): Body<RequestDeposit>) -> Answer<DepositState> {
    finish(async move { vault.request_deposit(peer, &asked).await }).await
}

async fn withdraw(_: Peer<Gateway>, State(vault): Shared, Body(asked): Body<WithdrawDeposit>) -> Answer<DepositState> {
    finish(async move { vault.withdraw_deposit(&asked).await }).await
}

async fn find(_: Peer<Gateway>, State(vault): Shared, Body(asked): Body<FindDeposit>) -> Answer<DepositState> {
    finish(async move { vault.find_deposit(&asked).await }).await
}

async fn give_back(_: Peer<Gateway>, State(vault): Shared, Body(asked): Body<GiveBack>) -> Answer<GivenBack> {
    finish(async move { vault.give_back(&asked).await }).await
}

async fn settlement(
    _: Peer<Gateway>,
    State(vault): Shared,
    Body(asked): Body<ReadSettlement>,
) -> Answer<SettlementPage> {
    finish(async move { vault.settlement(&asked).await }).await
}
