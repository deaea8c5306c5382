//! `GET /control/v1/signals`: what is to be looked at.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::MAX_PAGE_LEN;
use kura_wire::control::keys::{Signal, SignalPage, SignalQuery};

use super::failed;
use crate::app::App;
use crate::store::signals as store;

const DEFAULT_PAGE_LEN: u32 = 25;

/// Runs it.
pub async fn run(
    _peer: Peer<Admin>,
    State(app): State<App>,
    Query(query): Query<SignalQuery>,
) -> Result<Json<SignalPage>, StatusCode> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE_LEN);
    if !(1..=MAX_PAGE_LEN).contains(&limit) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let found = store::list(app.db.work(), query.merchant, query.before, i64::from(limit) + 1).await;
    let mut signals: Vec<Signal> = found.map_err(failed)?.into_iter().map(shown).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = signals.len() > limit;
    signals.truncate(limit);
    Ok(Json(SignalPage { signals, has_more }))
}

fn shown(signal: store::Signal) -> Signal {
    Signal {
        id: signal.id,
        merchant: signal.merchant,
        livemode: signal.livemode,
        kind: signal.kind.as_str().to_owned(),
        key: signal.key,
        key_hint: signal.hint,
        address: signal.address.addr().to_string(),
        route: signal.route,
        object: signal.object,
        owner: signal.owner,
        request_id: signal.request,
        times: signal.times,
        at: signal.at,
    }
}
