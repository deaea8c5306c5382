//! The networks' desk: what the vault asks over mutual TLS. Every answer is written down before it leaves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path as InPath, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_iso8583::Reference;
use kura_platform::{clock, random};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::Deposits;
use super::knobs::Knob;
use super::numbers::{AGENCY, CHAINS};
use super::request::{Asked, Change, Entry, GivenBack, Network, Standing};
use super::rules::{Back, Request, Withdrawal};
use crate::books::ReferenceText;
use crate::courier::{Outbox, Outgoing};
use crate::journal::{Ended, JournalError, Keeper, Unwritten};
use crate::services::Service;
use crate::settlement::{DayQuery, SettledView, money, page, rfc3339, rows_and_one};
use crate::text::Text;

const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// A lost answer: by then nobody waits any more.
const SILENCE: Duration = Duration::from_secs(60);
/// How often it is looked whose time is over.
const EXPIRE_EVERY: Duration = Duration::from_millis(250);

/// The networks of payments without a card.
#[derive(Debug)]
pub struct Desk {
    pub(crate) keeper: Keeper<Deposits>,
    /// Of the people's pages, without a slash at its end.
    pub(crate) public_url: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Malformed,
    NotFound,
    Conflict,
    Unwritten,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Unwritten => StatusCode::INTERNAL_SERVER_ERROR,
        }
        .into_response()
    }
}

impl From<Unwritten> for Failure {
    fn from(_: Unwritten) -> Self {
        Self::Unwritten
    }
}

impl From<JsonRejection> for Failure {
    fn from(_: JsonRejection) -> Self {
        // Nothing of the body is repeated: it names the payer.
        Self::Malformed
    }
}

impl From<PathRejection> for Failure {
    fn from(_: PathRejection) -> Self {
        Self::NotFound
    }
}

impl From<QueryRejection> for Failure {
    fn from(_: QueryRejection) -> Self {
        Self::Malformed
    }
}

type Answer = Result<Json<serde_json::Value>, Failure>;
type Desked = State<Arc<Desk>>;
type Body<T> = Result<Json<T>, JsonRejection>;
type At<T> = Result<InPath<T>, PathRejection>;

impl Desk {
    /// Opens the journal. The second value resolves when its writer has ended.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(journal: &Path, public_url: &str) -> Result<(Arc<Self>, Ended), JournalError> {
        let (keeper, ended) = Keeper::open(journal)?;
        Ok((Arc::new(Self { keeper, public_url: public_url.to_owned() }), ended))
    }

    /// What the vault may ask, and the people's pages.
    pub fn service(self: &Arc<Self>) -> Service {
        let pages = super::pages::router(Arc::clone(self)).merge(super::acts::router(Arc::clone(self)));
        Service { asked: router(Arc::clone(self)), pages }
    }

    /// Ends the requests whose time is over, for as long as the process lives.
    pub async fn expire(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EXPIRE_EVERY);
        loop {
            ticks.tick().await;
            while let Some(reference) = self.next_expired() {
                let now = clock::now();
                if self.keeper.decide(|kept| kept.decide_expiry(ReferenceText(reference), now)).await.is_err() {
                    return;
                }
            }
        }
    }

    fn next_expired(&self) -> Option<Reference> {
        self.keeper.read().next_expired(clock::now())
    }

    /// How the request stands, as the vault reads it.
    fn told(&self, entry: &Entry) -> serde_json::Value {
        match &entry.standing {
            Standing::Waiting => json!({ "state": "waiting", "instructions": self.instructions(entry) }),
            Standing::Paid { place } => json!({ "state": "paid", "paid_at": rfc3339(entry.since), "place": place }),
            Standing::Refused { reason } => json!({ "state": "refused", "reason": reason }),
            Standing::Withdrawn => json!({ "state": "withdrawn" }),
            Standing::Expired => json!({ "state": "expired" }),
        }
    }

    fn instructions(&self, entry: &Entry) -> serde_json::Value {
        let numbers = &entry.numbers;
        match entry.requested.network {
            Network::Konbini => {
                let stores: Vec<_> = CHAINS
                    .iter()
                    .map(|(chain, digit)| {
                        json!({
                            "chain": chain,
                            "payment_code": numbers.payment_number(*digit),
                            "confirmation_number": numbers.confirmation,
                        })
                    })
                    .collect();
                json!({ "method": "konbini", "stores": stores, "voucher_url": self.voucher_url(entry) })
            }
            Network::Payeasy => json!({
                "method": "payeasy",
                "collecting_agency": AGENCY,
                "customer_number": numbers.customer_number(),
                "confirmation_number": numbers.pin,
            }),
            Network::Emoney => json!({ "method": "emoney", "url": self.wallet_url(entry) }),
        }
    }

    /// The page with the numbers.
    pub(crate) fn voucher_url(&self, entry: &Entry) -> String {
        format!("{}/konbini/voucher/{}", self.public_url, entry.requested.secret)
    }

    /// The wallet's page.
    pub(crate) fn wallet_url(&self, entry: &Entry) -> String {
        format!("{}/emoney/wallet/{}", self.public_url, entry.requested.secret)
    }

    fn told_of(&self, network: Network, reference: ReferenceText, merchant: Option<Text<15>>) -> Answer {
        let kept = self.keeper.read();
        let entry = kept.find(reference.0).ok_or(Failure::NotFound)?;
        let own = entry.requested.network == network
            && merchant.is_none_or(|merchant| merchant == entry.requested.asked.merchant);
        if own { Ok(Json(self.told(entry))) } else { Err(Failure::NotFound) }
    }
}

impl Outbox for Desk {
    fn due(&self, now: OffsetDateTime, is_wanted: impl Fn(&str) -> bool, count: usize) -> Vec<Outgoing> {
        let kept = self.keeper.read();
        let due = kept.due_notices(now).filter(|notice| is_wanted(&notice.id)).take(count).map(|notice| Outgoing {
            id: notice.id.clone(),
            network: notice.network.as_str(),
            body: json!({
                "id": notice.id,
                "method": notice.network,
                "kind": notice.kind,
                "network_reference": notice.reference.to_string(),
                "money": money(notice.amount_minor, notice.currency),
                "at": rfc3339(notice.at),
                "place": notice.place,
            }),
            twice: notice.twice,
        });
        due.collect()
    }

    async fn told(&self, notice: String) -> bool {
        let told = Change::Told { notice, at: clock::now() };
        self.keeper.decide(|_| (Some(told), ())).await.is_ok()
    }
}

/// The routes for the vault.
fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/deposits/{network}/requests", post(request))
        .route("/deposits/{network}/requests/{reference}", get(find))
        .route("/deposits/{network}/requests/{reference}/withdraw", post(withdraw))
        .route("/deposits/{network}/refunds", post(refund))
        .route("/deposits/{network}/settlement", get(settlement))
        .with_state(desk)
}

async fn request(State(desk): Desked, at: At<Network>, body: Body<Asked>) -> Answer {
    let (InPath(network), Json(asked)) = (at?, body?);
    if !asked.is_well_formed(network) {
        return Err(Failure::Malformed);
    }
    let knob = Knob::of(asked.amount_minor);
    if knob == Knob::NeverArrives {
        tokio::time::sleep(SILENCE).await;
        return Err(Failure::NotFound);
    }
    let (secret, now) = (Text::of_letters(random::bytes(), LETTERS), clock::now());
    match desk.keeper.decide(|kept| kept.decide_request(network, &asked, secret, now)).await? {
        Request::There if knob == Knob::AnswerLost => {
            tokio::time::sleep(SILENCE).await;
            Err(Failure::Unwritten)
        }
        Request::There => desk.told_of(network, asked.reference, None),
        Request::Foreseen => Ok(Json(json!({ "state": "not_made" }))),
        Request::Conflict => Err(Failure::Conflict),
    }
}

/// Whose request it must be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    merchant: Text<15>,
}

async fn find(
    State(desk): Desked,
    at: At<(Network, ReferenceText)>,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Answer {
    let (InPath((network, reference)), Query(whose)) = (at?, whose?);
    // What is told may rest on a line that isn't written yet.
    desk.keeper.decide(|_| (None, ())).await?;
    desk.told_of(network, reference, Some(whose.merchant))
}

async fn withdraw(State(desk): Desked, at: At<(Network, ReferenceText)>, body: Body<Whose>) -> Answer {
    let (InPath((network, reference)), Json(Whose { merchant })) = (at?, body?);
    let now = clock::now();
    match desk.keeper.decide(|kept| kept.decide_withdrawal(network, reference, merchant, now)).await? {
        Withdrawal::There => desk.told_of(network, reference, Some(merchant)),
        Withdrawal::Foreseen => Ok(Json(json!({ "state": "not_made" }))),
        Withdrawal::Conflict => Err(Failure::NotFound),
    }
}

/// The wish for money back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    reference: ReferenceText,
    original: ReferenceText,
    merchant: Text<15>,
    amount_minor: u64,
    currency: Text<3>,
}

async fn refund(State(desk): Desked, at: At<Network>, body: Body<Wish>) -> Answer {
    let (InPath(network), Json(wish)) = (at?, body?);
    let Wish { reference, original, merchant, amount_minor, currency } = wish;
    let back = GivenBack { reference, original, amount_minor, accepted: false, at: clock::now() };
    let became = desk.keeper.decide(|kept| kept.decide_back(network, merchant, &back, currency)).await?;
    let original_amount = desk.keeper.read().find(original.0).map(|entry| entry.requested.asked.amount_minor);
    let outcome = match became {
        Back::Accepted if original_amount.map(Knob::of) == Some(Knob::BackAnswerLost) => {
            // Asked again, it is told: the asker must be able to find out.
            return silent_once(&desk, reference).await;
        }
        Back::Accepted => "accepted",
        Back::Refused => "refused",
        Back::NotFound => return Err(Failure::NotFound),
        Back::Conflict => return Err(Failure::Conflict),
    };
    Ok(Json(json!({ "outcome": outcome })))
}

/// Silent for who asks at once; the repeat, seconds later, hears.
async fn silent_once(desk: &Desk, reference: ReferenceText) -> Answer {
    const SOON: time::Duration = time::Duration::seconds(1);
    let given_at = desk.keeper.read().find_given_back(reference.0).map(|given| given.at);
    if given_at.is_some_and(|at| clock::now() < at + SOON) {
        tokio::time::sleep(SILENCE).await;
        return Err(Failure::Unwritten);
    }
    Ok(Json(json!({ "outcome": "accepted" })))
}

async fn settlement(State(desk): Desked, at: At<Network>, query: Result<Query<DayQuery>, QueryRejection>) -> Answer {
    let (InPath(network), Query(query)) = (at?, query?);
    let (day, after) = query.read().ok_or(Failure::Malformed)?;
    desk.keeper.decide(|_| (None, ())).await?;
    let kept = desk.keeper.read();
    let of_day = kept.settled(network, after).filter(|row| row.at.date() == day);
    let rows = of_day.take(rows_and_one()).map(|row| SettledView {
        sequence: row.sequence,
        network_reference: row.reference.to_string(),
        original: row.original.map(|original| original.to_string()),
        kind: if row.original.is_some() { "refund" } else { "payment" },
        money: money(row.amount_minor, row.currency),
        at: rfc3339(row.at),
    });
    Ok(Json(page(rows.collect())))
}
