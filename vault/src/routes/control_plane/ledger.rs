//! The access ledger: its head and proofs for the witness, its rows and checkpoints for an export, and scopes for an
//! incident. Rows name records; there is nothing of what is in them.

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_ledger::export::put_row;
use kura_ledger::tree::Hash;
use kura_platform::tls::{Admin, Peer};
use kura_wire::control::ControlCode;
use kura_wire::ids::MerchantId;
use kura_wire::ledger::{
    Base, BaseQuery, Checkpoint, ConsistencyQuery, Head, HeadQuery, InclusionQuery, MAX_LEDGER_PAGE, MAX_NAMED,
    MAX_SCOPED, PATH_BASE, PATH_CHECKPOINTS, PATH_CONSISTENCY, PATH_HEAD, PATH_INCLUSION, PATH_ROWS, PATH_SCOPE,
    PageQuery, Proof, Scope, Scoped, ScopedGroup, ScopedOpening, ScopedPlace,
};
use time::format_description::well_known::Iso8601;
use time::macros::datetime;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::{Body, Control, Refusal};
use crate::ledger::LedgerError;
use crate::store::checkpoints::{self, CheckpointRow};
use crate::store::openings::{self, GroupRow, OpeningRow, ScopeFilter};

/// Room for [`MAX_NAMED`] records.
const MAX_SCOPE_LEN: usize = 4 * 1024 * 1024;
const FIRST_MOMENT: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);
const LAST_MOMENT: OffsetDateTime = datetime!(9999-01-01 00:00 UTC);

type Answer<T> = Result<Json<T>, Refusal>;

/// The routes.
pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(PATH_HEAD, get(head))
        .route(PATH_CONSISTENCY, get(consistency))
        .route(PATH_INCLUSION, get(inclusion))
        .route(PATH_CHECKPOINTS, get(list_checkpoints))
        .route(PATH_ROWS, get(rows))
        .route(PATH_BASE, get(base))
        .route(PATH_SCOPE, post(scope).layer(DefaultBodyLimit::max(MAX_SCOPE_LEN)))
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        tracing::error!(%error, "the ledger failed");
        Self(ControlCode::Unavailable)
    }
}

fn signed(number: u64) -> Result<i64, Refusal> {
    i64::try_from(number).map_err(|_| ControlCode::Malformed.into())
}

fn limit_of(query: &PageQuery) -> Result<i64, Refusal> {
    let fits = (1..=MAX_LEDGER_PAGE).contains(&query.limit);
    if fits { Ok(i64::from(query.limit)) } else { Err(ControlCode::Malformed.into()) }
}

fn texts(hashes: Vec<Hash>) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

fn of_row(row: CheckpointRow) -> Checkpoint {
    Checkpoint { size: u64::try_from(row.size).unwrap_or_default(), at: row.at, note: row.note }
}

async fn head(_peer: Peer<Admin>, State(control): State<Control>, Query(query): Query<HeadQuery>) -> Answer<Head> {
    let ledger = &control.vault.ledger;
    let checkpoint = checkpoints::find_latest(&control.vault.pool, ledger.node).await?.map(of_row);
    let consistency = match (query.since, &checkpoint) {
        (Some(since), Some(latest)) => ledger.consistency(since, latest.size).await?.map(texts),
        _ => None,
    };
    Ok(Json(Head {
        node: u16::try_from(ledger.node).unwrap_or_default(),
        origin: ledger.origin.clone(),
        identity: ledger.identity.to_text(),
        rows: ledger.edge().size(),
        checkpoint,
        consistency,
    }))
}

async fn consistency(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<ConsistencyQuery>,
) -> Answer<Proof> {
    let proof = control.vault.ledger.consistency(query.first, query.second).await?;
    Ok(Json(Proof { hashes: texts(proof.ok_or(ControlCode::NotFound)?) }))
}

async fn inclusion(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<InclusionQuery>,
) -> Answer<Proof> {
    let proof = control.vault.ledger.inclusion(query.sequence, query.size).await?;
    Ok(Json(Proof { hashes: texts(proof.ok_or(ControlCode::NotFound)?) }))
}

async fn list_checkpoints(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<PageQuery>,
) -> Answer<Vec<Checkpoint>> {
    let (after, limit) = (signed(query.after)?, limit_of(&query)?);
    let vault = &control.vault;
    let rows = checkpoints::list_after(&vault.pool, vault.ledger.node, after, limit).await?;
    Ok(Json(rows.into_iter().map(of_row).collect()))
}

/// A stored hash that hasn't 32 bytes is no hash of anything: it goes out as zeros, for the verifier to name the row.
async fn rows(
    _peer: Peer<Admin>,
    State(control): State<Control>,
    Query(query): Query<PageQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let (after, limit) = (signed(query.after)?, limit_of(&query)?);
    let vault = &control.vault;
    let rows = openings::list_after(&vault.pool, vault.ledger.node, after, limit).await?;
    let mut frames = Vec::with_capacity(rows.len() * 320);
    for stored in rows {
        let hash = Hash::from_slice(&stored.leaf_hash).unwrap_or(Hash::from_bytes([0; 32]));
        put_row(&mut frames, &hash, &stored.row.leaf().encode());
    }
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], frames))
}

async fn base(_peer: Peer<Admin>, State(control): State<Control>, Query(query): Query<BaseQuery>) -> Answer<Base> {
    let ledger = &control.vault.ledger;
    let size = match (query.size, query.day) {
        (Some(size), None) => size,
        (None, Some(day)) => {
            let day = Date::parse(&day, &Iso8601::DATE).map_err(|_| ControlCode::Malformed)?;
            let first = openings::first_sequence_since(&control.vault.pool, ledger.node, day).await?;
            first.and_then(|first| u64::try_from(first - 1).ok()).unwrap_or_else(|| ledger.edge().size())
        }
        _ => return Err(ControlCode::Malformed.into()),
    };
    let roots = ledger.base(size).await?.ok_or(ControlCode::NotFound)?;
    Ok(Json(Base { size, roots: texts(roots) }))
}

async fn scope(_peer: Peer<Admin>, State(control): State<Control>, Body(wanted): Body<Scope>) -> Answer<Scoped> {
    let filter = ScopeFilter {
        since: wanted.since.unwrap_or(FIRST_MOMENT),
        until: wanted.until.unwrap_or(LAST_MOMENT),
        merchant: wanted.merchant.map(|id| Uuid::from_bytes(*id.as_bytes())),
        records: wanted.records.map(named).transpose()?,
        requests: wanted.requests.map(named).transpose()?,
        actor: wanted.actor,
    };
    let everything = filter.actor.is_none() && filter.merchant.is_none() && wanted.since.is_none();
    if everything && filter.records.is_none() && filter.requests.is_none() {
        return Err(ControlCode::Malformed.into());
    }
    let after = wanted.after.unwrap_or(ScopedPlace { node: 0, sequence: 0 });
    let after = (i16::try_from(after.node).map_err(|_| ControlCode::Malformed)?, signed(after.sequence)?);
    let pool = &control.vault.pool;
    let (groups, mut rows) = tokio::try_join!(
        openings::scope_groups(pool, &filter),
        openings::scope_list(pool, &filter, after, i64::from(MAX_SCOPED) + 1)
    )?;
    let most = usize::try_from(MAX_SCOPED).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let groups = groups.into_iter().map(group).collect();
    Ok(Json(Scoped { groups, openings: rows.into_iter().map(opening).collect(), has_more }))
}

fn named(ids: Vec<String>) -> Result<Vec<Uuid>, Refusal> {
    if ids.len() > MAX_NAMED {
        return Err(ControlCode::Malformed.into());
    }
    ids.iter().map(|id| Uuid::try_parse(id).map_err(|_| ControlCode::Malformed.into())).collect()
}

fn merchant(id: Uuid) -> MerchantId {
    MerchantId::from_bytes(id.into_bytes())
}

fn group(row: GroupRow) -> ScopedGroup {
    ScopedGroup {
        merchant: merchant(row.merchant_id),
        class: row.class,
        fields: row.fields,
        purpose: row.purpose,
        batches: row.batches,
        openings: u64::try_from(row.openings).unwrap_or_default(),
        records: u64::try_from(row.records).unwrap_or_default(),
    }
}

fn opening(row: OpeningRow) -> ScopedOpening {
    ScopedOpening {
        place: ScopedPlace {
            node: u16::try_from(row.node).unwrap_or_default(),
            sequence: u64::try_from(row.sequence).unwrap_or_default(),
        },
        at: row.at,
        actor: row.actor,
        request: row.request_id.simple().to_string(),
        merchant: merchant(row.merchant_id),
        class: row.class,
        record: row.record_id.simple().to_string(),
        records: u32::try_from(row.records).unwrap_or_default(),
        fields: row.fields,
        purpose: row.purpose,
        attempt: row.attempt_id.map(|id| id.simple().to_string()),
    }
}
