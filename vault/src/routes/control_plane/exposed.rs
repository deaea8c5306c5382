//! Account updates, the watchlist of exposed cards, one card for the console, and the keys that operators seal to.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::random;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::exposed::{
    AccountUpdates, BatchDone, CardQuery, CardRecord, PATH_ACCOUNT_UPDATES, PATH_CARD, PATH_WATCHLIST,
    PATH_WATCHLIST_REMOVE, WatchlistAdd, WatchlistRemove, WatchlistRemoved, WatchlistSource,
};
use kura_wire::ids::{MerchantId, RequestId};
use kura_wire::operator_box::PATH_OPERATOR_KEYS;
use kura_wire::sealed_box::SignedKeySet;
use kura_wire::vault::VaultErrorCode;
use uuid::Uuid;

use super::{Body, Control, Refusal};
use crate::store::{cards, exposed_cards};

type Answer<T> = Result<Json<T>, Refusal>;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_OPERATOR_KEYS, get(operator_keys))
        .route(PATH_ACCOUNT_UPDATES, post(update_accounts))
        .route(PATH_WATCHLIST, get(list_watchlist).post(add_to_watchlist))
        .route(PATH_WATCHLIST_REMOVE, post(remove_from_watchlist))
        .route(PATH_CARD, get(show_card))
}

/// What of the data plane's words a batch as a whole can meet with.
fn refused(code: VaultErrorCode) -> Refusal {
    Refusal(match code {
        VaultErrorCode::Malformed => ControlCode::Malformed,
        VaultErrorCode::SealingKeyExpired | VaultErrorCode::BoxExpired | VaultErrorCode::BoxUnopenable => {
            ControlCode::BoxUnopenable
        }
        VaultErrorCode::Sealed => ControlCode::Sealed,
        VaultErrorCode::Overloaded => ControlCode::Unavailable,
        _ => ControlCode::Internal,
    })
}

async fn operator_keys(_: Peer<Admin>, State(control): State<Control>) -> Answer<SignedKeySet> {
    control.vault.keys.keyring().ok_or(ControlCode::Sealed)?;
    Ok(Json(control.vault.sealing_keys.published()))
}

async fn update_accounts(
    peer: Peer<Admin>,
    State(control): State<Control>,
    Body(request): Body<AccountUpdates>,
) -> Answer<BatchDone> {
    let request_id = RequestId::from_bytes(random::bytes());
    let done = control.vault.update_accounts(peer.name(), request_id, &request).await.map_err(refused)?;
    tracing::info!(%request_id, done = done.done, refused = done.refused.len(), "accounts updated");
    Ok(Json(done))
}

async fn list_watchlist(_: Peer<Admin>, State(control): State<Control>) -> Answer<Vec<WatchlistSource>> {
    let rows = exposed_cards::list(&control.vault.pool).await?;
    let source = |row: exposed_cards::SourceRow| WatchlistSource {
        source: row.source,
        cards: row.cards,
        last_added_at: row.last_added_at,
        uses: row.uses,
    };
    Ok(Json(rows.into_iter().map(source).collect()))
}

async fn add_to_watchlist(
    _: Peer<Admin>,
    State(control): State<Control>,
    Body(request): Body<WatchlistAdd>,
) -> Answer<BatchDone> {
    Ok(Json(control.vault.add_exposed(&request).await.map_err(refused)?))
}

async fn remove_from_watchlist(
    _: Peer<Admin>,
    State(control): State<Control>,
    Body(request): Body<WatchlistRemove>,
) -> Answer<WatchlistRemoved> {
    let pool = &control.vault.pool;
    let cards = if request.execute {
        exposed_cards::delete(pool, &request.source).await?
    } else {
        exposed_cards::count(pool, &request.source).await?
    };
    if cards == 0 { Err(ControlCode::NotFound.into()) } else { Ok(Json(WatchlistRemoved { cards })) }
}

async fn show_card(
    _: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<CardQuery>,
) -> Answer<CardRecord> {
    let found = cards::find_shown(&control.vault.pool, Uuid::from_bytes(query.token.record)).await?;
    let card = found.ok_or(ControlCode::NotFound)?;
    Ok(Json(CardRecord {
        merchant: MerchantId::from_bytes(card.merchant_id.into_bytes()),
        livemode: card.livemode,
        brand: card.brand,
        bin: card.bin,
        last_four: card.last_four,
        created_at: card.created_at,
        saved_at: card.saved_at,
        exposed: card.exposed,
        account_updates: card.account_updates,
    }))
}
