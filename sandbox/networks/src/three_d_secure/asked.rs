//! What the vault asks: `POST /3ds/authentications`, and `GET /3ds/authentications?id=…` for what became of it.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Directory;
use super::cases::{Ask, Case, Status};
use crate::cards::CardFacts;
use crate::journal::Unwritten;
use crate::text::Text;

const MAX_URL_LEN: usize = 2048;
const MAX_ID_LEN: usize = 64;
/// Of a merchant's name as issuers show it.
const MAX_NAME_LEN: usize = 40;

type Answer = Result<Json<Found>, StatusCode>;

pub(super) fn routes(directory: Arc<Directory>) -> Router {
    Router::new().route("/3ds/authentications", post(ask).get(find)).with_state(directory)
}

/// An authentication request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: String,
    pan: Zeroizing<String>,
    merchant: Text<15>,
    merchant_name: Option<String>,
    amount_minor: Option<u64>,
    currency: Option<Text<3>>,
    challenge: bool,
    return_url: String,
}

/// Where it stands.
#[derive(Serialize)]
struct Found {
    status: Status,
    flow: &'static str,
    transaction_id: Text<36>,
    eci: Option<&'static str>,
    authentication_value: Option<String>,
    challenge_url: Option<String>,
}

impl Directory {
    fn shown(&self, case: &Case) -> Found {
        let transaction_id = case.begun.transaction_id;
        Found {
            status: case.status,
            flow: if case.was_challenge() { "challenge" } else { "frictionless" },
            transaction_id,
            eci: case.eci(),
            authentication_value: case.value.clone(),
            challenge_url: (case.status == Status::C)
                .then(|| format!("{}/3ds/challenge/{transaction_id}", self.public_url)),
        }
    }

    fn find_shown(&self, id: &str) -> Answer {
        self.cases.read().find(id).map(|case| Json(self.shown(case))).ok_or(StatusCode::NOT_FOUND)
    }
}

impl Asked {
    fn read(self) -> Option<Ask> {
        let is_web = self.return_url.starts_with("https://") || self.return_url.starts_with("http://");
        let is_address = is_web
            && self.return_url.len() <= MAX_URL_LEN
            && self.return_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        let is_id = matches!(self.id.len(), 1..=MAX_ID_LEN) && self.id.bytes().all(|byte| byte.is_ascii_graphic());
        let money = match (self.amount_minor, self.currency) {
            (Some(amount_minor), Some(currency)) => Some((amount_minor, currency)),
            (None, None) => None,
            _ => return None,
        };
        (is_address && is_id).then_some(())?;
        let card = CardFacts::of(&self.pan)?;
        let Self { id, merchant, merchant_name, challenge, return_url, .. } = self;
        let merchant_name = merchant_name.map(|name| name.chars().take(MAX_NAME_LEN).collect());
        Some(Ask { id, card, merchant, merchant_name, money, challenge, return_url })
    }
}

async fn ask(State(directory): State<Arc<Directory>>, asked: Result<Json<Asked>, JsonRejection>) -> Answer {
    let Ok(Json(asked)) = asked else { return Err(StatusCode::BAD_REQUEST) };
    let Some(ask) = asked.read() else { return Err(StatusCode::UNPROCESSABLE_ENTITY) };
    let draws = directory.draws();
    let asked = directory.cases.decide(|cases| cases.ask(&ask, &draws)).await.map_err(unwritten)?;
    asked.ok_or(StatusCode::CONFLICT)?;
    directory.find_shown(&ask.id)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    id: String,
}

async fn find(State(directory): State<Arc<Directory>>, which: Result<Query<Which>, QueryRejection>) -> Answer {
    let Ok(Query(Which { id })) = which else { return Err(StatusCode::BAD_REQUEST) };
    let now = kura_platform::clock::now();
    let lapse = |cases: &super::Cases| (cases.find(&id).and_then(|case| cases.lapse(case, now)), ());
    directory.cases.decide(lapse).await.map_err(unwritten)?;
    directory.find_shown(&id)
}

fn unwritten(_: Unwritten) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}
