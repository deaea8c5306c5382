//! What payers do, for programs: JSON beside the pages, for tests. `POST /deposits/acts/{reference}/pay`, `refuse`, `expire`; `GET`
//! shows the request without its payer; `POST /deposits/acts/pay` pays by number.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{Desk, Failure};
use super::mail::mails;
use super::pages::acted_word;
use super::request::{Network, Place, Standing};
use super::rules::Acted;
use super::texts::Language;
use crate::books::ReferenceText;
use crate::settlement::rfc3339;

type Desked = State<Arc<Desk>>;
type Named = Path<ReferenceText>;
type Answer = Result<Json<Value>, Failure>;

/// The routes.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/deposits/acts/pay", post(pay_by_number))
        .route("/deposits/acts/mail", get(mail))
        .route("/deposits/acts/{reference}", get(show))
        .route("/deposits/acts/{reference}/pay", post(pay))
        .route("/deposits/acts/{reference}/refuse", post(refuse))
        .route("/deposits/acts/{reference}/expire", post(expire))
        .with_state(desk)
}

impl Desk {
    /// The payer pays. `late`: although its time is over.
    pub(super) async fn pay(&self, reference: ReferenceText, place: Place, late: bool) -> Result<Acted, Failure> {
        let now = clock::now();
        Ok(self.keeper.decide(|kept| kept.decide_payment(reference, place, late, now)).await?)
    }

    /// The payer says no.
    pub(super) async fn refuse(&self, reference: ReferenceText) -> Result<Acted, Failure> {
        let now = clock::now();
        Ok(self.keeper.decide(|kept| kept.decide_refusal(reference, now)).await?)
    }
}

fn acted(acted: Acted) -> Json<Value> {
    Json(json!({ "became": acted_word(acted) }))
}

/// How.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct How {
    late: bool,
    place: Option<Place>,
}

async fn pay(State(desk): Desked, Path(reference): Named, body: Result<Json<How>, JsonRejection>) -> Answer {
    let Json(how) = body?;
    let network = desk.keeper.read().find(reference.0).map(|entry| entry.requested.network);
    let place = how.place.unwrap_or(Place::of(network.ok_or(Failure::NotFound)?, None));
    Ok(acted(desk.pay(reference, place, how.late).await?))
}

/// By the numbers alone, as a register knows them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByNumber {
    network: Network,
    number: String,
    #[serde(default)]
    late: bool,
}

async fn pay_by_number(State(desk): Desked, body: Result<Json<ByNumber>, JsonRejection>) -> Answer {
    let Json(ByNumber { network, number, late }) = body?;
    let found = desk
        .keeper
        .read()
        .find_by_number(network, &number)
        .map(|(digit, entry)| (Place::of(network, Some(digit)), entry.requested.asked.reference));
    let (place, reference) = found.ok_or(Failure::NotFound)?;
    Ok(acted(desk.pay(reference, place, late).await?))
}

async fn refuse(State(desk): Desked, Path(reference): Named) -> Answer {
    Ok(acted(desk.refuse(reference).await?))
}

async fn expire(State(desk): Desked, Path(reference): Named) -> Answer {
    let now = clock::now();
    Ok(acted(desk.keeper.decide(|kept| kept.decide_expiry(reference, now)).await?))
}

async fn show(State(desk): Desked, Path(reference): Named) -> Answer {
    let kept = desk.keeper.read();
    let entry = kept.find(reference.0).ok_or(Failure::NotFound)?;
    let place = match entry.standing {
        Standing::Paid { place } => Some(place),
        _ => None,
    };
    Ok(Json(json!({
        "network": entry.requested.network,
        "standing": entry.standing.as_str(),
        "place": place,
        "since": rfc3339(entry.since),
        "amount_minor": entry.requested.asked.amount_minor,
        "given_back_minor": entry.given_back_minor,
        "expires_at": rfc3339(entry.requested.asked.expires_at),
        "description": entry.requested.asked.description,
        "confirmation_number": entry.numbers.confirmation,
    })))
}

async fn mail(State(desk): Desked) -> Json<Value> {
    Json(json!(mails(&desk, Language::English)))
}
