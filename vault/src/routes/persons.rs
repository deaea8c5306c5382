//! What the gateway may ask about persons: store, change, erase, find. There is no path that answers an open field.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use kura_platform::tls::{Gateway, Peer};
use kura_wire::ids::{CustomerId, PayerId};
use kura_wire::payer::{
    self as wire, EraseCustomer, ErasedCustomer, FindCustomers, FindPayers, StoreCustomer, StorePayer, StoredCustomer,
    StoredPayer, UpdateCustomer,
};

use super::{Body, Failure};
use crate::domain::Vault;

type Answer<T> = Result<Json<T>, Failure>;
type Shared = State<Arc<Vault>>;

/// The routes.
pub(super) fn routes() -> Router<Arc<Vault>> {
    Router::new()
        .route(wire::PATH_STORE_PAYER, post(store_payer))
        .route(wire::PATH_FIND_PAYERS, post(find_payers))
        .route(wire::PATH_STORE_CUSTOMER, post(store_customer))
        .route(wire::PATH_UPDATE_CUSTOMER, post(update_customer))
        .route(wire::PATH_ERASE_CUSTOMER, post(erase_customer))
        .route(wire::PATH_FIND_CUSTOMERS, post(find_customers))
}

async fn store_payer(_: Peer<Gateway>, State(vault): Shared, Body(request): Body<StorePayer>) -> Answer<StoredPayer> {
    Ok(Json(vault.store_payer(&request).await?))
}

async fn find_payers(_: Peer<Gateway>, State(vault): Shared, Body(request): Body<FindPayers>) -> Answer<Vec<PayerId>> {
    Ok(Json(vault.find_payers(&request).await?))
}

async fn store_customer(
    _: Peer<Gateway>,
    State(vault): Shared,
    Body(request): Body<StoreCustomer>,
) -> Answer<StoredCustomer> {
    Ok(Json(vault.store_customer(&request).await?))
}

async fn update_customer(
    peer: Peer<Gateway>,
    State(vault): Shared,
    Body(request): Body<UpdateCustomer>,
) -> Answer<StoredCustomer> {
    Ok(Json(vault.update_customer(peer, &request).await?))
}

async fn erase_customer(
    peer: Peer<Gateway>,
    State(vault): Shared,
    Body(request): Body<EraseCustomer>,
) -> Answer<ErasedCustomer> {
    Ok(Json(vault.erase_customer(peer, &request).await?))
}

async fn find_customers(
    _: Peer<Gateway>,
    State(vault): Shared,
    Body(request): Body<FindCustomers>,
) -> Answer<Vec<CustomerId>> {
    Ok(Json(vault.find_customers(&request).await?))
}
