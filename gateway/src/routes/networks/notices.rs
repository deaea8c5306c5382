//! `POST /networks/{network}/notices`: a network says that a shopper's money is there, or will not come. Signed with a secret of
//! that network's own (Standard Webhooks), and taken once, however often it is sent.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use kura_platform::clock;
use kura_platform::standard_webhooks::{ID, SIGNATURE, TIMESTAMP};
use kura_wire::notice::{DisputeNotice, Network, Notice};

use crate::app::App;
use crate::codes::Code;
use crate::deposits::{self, Heard};
use crate::disputes;
use crate::error::{ApiError, ApiResult};
use crate::events::Cause;
use crate::store::attempts::{self, Attempt, Kind, State as AttemptState};
use crate::store::deposits as deposit_rows;

/// Takes it. 204 when it is written down, now or before; the network sends it again until then.
pub async fn run(
    State(app): State<App>,
    Path(network): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<StatusCode> {
    let network = Network::ALL.into_iter().find(|known| known.as_str() == network);
    let network = network.ok_or_else(|| ApiError::new(Code::UrlUnknown))?;
    verify(&app, network, &headers, &body)?;
    if network == Network::Card {
        return of_dispute(&app, &body).await;
    }
    let notice: Notice =
        serde_json::from_slice(&body).map_err(|_| ApiError::invalid("body", "a notice of this network"))?;
    if Network::from(notice.method) != network {
        return Err(ApiError::invalid("method", "the network's own"));
    }
    let unknown = || ApiError::missing("payment of this reference", "network_reference");
    let (tenant, id) =
        attempts::find_by_reference(app.db.work(), &notice.network_reference).await?.ok_or_else(|| {
            // Whatever a network knows was written down here before it was asked.
            tracing::error!(network = network.as_str(), "a notice about nothing that is known here");
            unknown()
        })?;
    let mut db = app.db.of(tenant).await?;
    let attempt = attempts::find(&mut db, tenant, id).await?;
    let attempt = attempt.filter(|attempt| attempt.kind == Kind::Deposit).ok_or_else(unknown)?;
    // A network speaks of what it was asked for: whoever has one network's secret can't say what another one's shoppers paid.
    let deposit = deposit_rows::find(&mut db, tenant, id).await?;
    deposit.filter(|deposit| Network::from(deposit.method) == network).ok_or_else(|| {
        tracing::error!(network = network.as_str(), attempt = %id, "a notice about another network's deposit");
        unknown()
    })?;
    drop(db);
    deposits::settle(&app, &Cause::ours(tenant), &attempt, &Heard::Notice(notice)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The card network tells of disputes.
async fn of_dispute(app: &App, body: &[u8]) -> ApiResult<StatusCode> {
    let notice: DisputeNotice =
        serde_json::from_slice(body).map_err(|_| ApiError::invalid("body", "a notice of this network"))?;
    let unknown = || ApiError::missing("payment of this reference", "network_reference");
    let found = attempts::find_by_reference(app.db.work(), &notice.network_reference).await?;
    let (tenant, id) = found.ok_or_else(|| {
        tracing::error!("a dispute about nothing that is known here");
        unknown()
    })?;
    let attempt = attempts::find(&mut *app.db.of(tenant).await?, tenant, id).await?;
    let paid = |attempt: &Attempt| attempt.state == AttemptState::Approved && attempt.kind == Kind::Authorize;
    let attempt = attempt.filter(paid).ok_or_else(unknown)?;
    disputes::hear(app, tenant, &attempt, &notice).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The notice is that network's, and of now.
fn verify(app: &App, network: Network, headers: &HeaderMap, body: &[u8]) -> ApiResult<()> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, time, signature) = (header(ID), header(TIMESTAMP), header(SIGNATURE));
    let secret = app.notice_secrets.get(&network).ok_or_else(|| ApiError::new(Code::NoticeUnverified))?;
    secret.verify(id, time, signature, body, clock::now().unix_timestamp()).map_err(|error| {
        tracing::warn!(network = network.as_str(), %error, "a notice that is not the network's");
        ApiError::new(Code::NoticeUnverified)
    })
}
