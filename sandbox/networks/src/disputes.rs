//! The issuer's side of disputes: a page and JSON acts that open and decide them, the vault's door to answer them, and notices to
//! the gateway.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kura_platform::{clock, random};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::acquirer::{Acquirer, Unanswered};
use crate::books::disputes::{Answered, Became, Dispute, DisputeChange, Reason, State as Standing, Untold};
use crate::books::{Change, ReferenceText};
use crate::courier::{Outbox, Outgoing};
use crate::deposits::texts::{Language, Texts};
use crate::services::Service;
use crate::settlement::{money, rfc3339};
use crate::text::Text;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRSTUVWX";
/// How long a merchant has to answer, where nobody says otherwise.
const ANSWER_WITHIN: time::Duration = time::Duration::days(7);
const END_EVERY: Duration = Duration::from_millis(500);
const MAX_EVIDENCE_LEN: usize = 10_000;
/// Ten thousand characters, each escaped.
const MAX_BODY_LEN: usize = 64 * 1024;
/// Disputes on the page.
const ROWS: usize = 50;
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Where cardholders' issuers sit.
#[derive(Debug)]
pub struct DisputeDesk {
    acquirer: Arc<Acquirer>,
}

type Desked = State<Arc<DisputeDesk>>;
type Answer = Result<Json<Value>, StatusCode>;

impl DisputeDesk {
    /// Over the acquirer's books.
    pub fn new(acquirer: Arc<Acquirer>) -> Arc<Self> {
        Arc::new(Self { acquirer })
    }

    /// The vault's door, and the pages.
    pub fn service(self: &Arc<Self>) -> Service {
        let answered = post(answer).layer(DefaultBodyLimit::max(MAX_BODY_LEN));
        let asked = Router::new().route("/cards/disputes/{case}/answer", answered).with_state(Arc::clone(self));
        let pages = Router::new()
            .route("/disputes", get(page).post(open_by_form))
            .route("/disputes/{case}/decide", post(decide_by_form))
            .route("/disputes/acts/open", post(open))
            .route("/disputes/acts/{case}", get(show))
            .route("/disputes/acts/{case}/decide", post(decide))
            .with_state(Arc::clone(self));
        Service { asked, pages }
    }

    /// Ends the disputes that nobody answered in time, for as long as the process lives.
    pub async fn end_overdue(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(END_EVERY);
        loop {
            ticks.tick().await;
            while let Some(case) = self.next_overdue() {
                if self.end(case, Standing::Lost).await.is_err() {
                    return;
                }
            }
        }
    }

    fn next_overdue(&self) -> Option<ReferenceText> {
        self.acquirer.books().disputes().next_overdue(clock::now())
    }

    /// Opens one. Gives its case number, and what became of the wish.
    async fn open(&self, wish: &Wish) -> Result<(ReferenceText, Became), Unanswered> {
        let number: Text<12> = Text::of_letters(random::bytes(), LETTERS);
        let Ok(case) = ReferenceText::try_from(number) else { return Err(Unanswered::Journal) };
        let now = clock::now();
        let within = wish.respond_within_s.map_or(ANSWER_WITHIN, |seconds| time::Duration::seconds(i64::from(seconds)));
        let times = (now, now + within);
        let became = self
            .acquirer
            .decide_on(|books| books.decide_dispute(case, wish.reference, wish.reason, wish.amount_minor, times))
            .await?;
        Ok((case, became))
    }

    async fn end(&self, case: ReferenceText, to: Standing) -> Result<Became, Unanswered> {
        let now = clock::now();
        self.acquirer.decide_on(|books| books.decide_end(case, to, now)).await
    }
}

impl Outbox for DisputeDesk {
    fn due(&self, _: OffsetDateTime, is_wanted: impl Fn(&str) -> bool, count: usize) -> Vec<Outgoing> {
        let books = self.acquirer.books();
        let waiting = books.disputes().untold().map(|untold| (notice_id(&untold), untold));
        let due = waiting.filter(|(id, _)| is_wanted(id)).take(count);
        due.map(|(id, untold)| Outgoing { network: "card", body: notice(&id, &untold), twice: false, id }).collect()
    }

    async fn told(&self, notice: String) -> bool {
        let found = self.acquirer.books().disputes().untold().find(|untold| notice_id(untold) == notice);
        let Some(Untold { opened, version, .. }) = found else { return true };
        let told = Change::Dispute(Box::new(DisputeChange::Told { case: opened.case, version }));
        self.acquirer.decide_on(|_| (Some(told), ())).await.is_ok()
    }
}

fn notice_id(untold: &Untold) -> String {
    format!("card-{}-{}", untold.opened.case.0, untold.version)
}

fn notice(id: &str, untold: &Untold) -> Value {
    let opened = &untold.opened;
    json!({
        "id": id,
        "dispute": opened.case.0.to_string(),
        "version": untold.version,
        "network_reference": opened.original.0.to_string(),
        "reason": opened.reason,
        "state": untold.state,
        "money": money(opened.amount_minor, opened.currency),
        "respond_by": rfc3339(opened.respond_by),
        "at": rfc3339(untold.at),
    })
}

/// The merchant's answer, as the vault brings it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    submission: String,
    merchant: Text<15>,
    reference: ReferenceText,
    /// Nothing: it gives in.
    evidence: Option<String>,
}

async fn answer(
    State(desk): Desked,
    case: Result<Path<ReferenceText>, PathRejection>,
    said: Result<Json<Said>, JsonRejection>,
) -> Answer {
    let Path(case) = case.map_err(|_| StatusCode::NOT_FOUND)?;
    let Json(said) = said.map_err(|_| StatusCode::BAD_REQUEST)?;
    let fits = |text: &String| (1..=MAX_EVIDENCE_LEN).contains(&text.chars().count());
    if said.submission.len() > 64 || !said.evidence.as_ref().is_none_or(fits) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let answered = Answered { submission: said.submission, evidence: said.evidence };
    let (about, now) = ((case, said.reference), clock::now());
    let became = desk.acquirer.decide_on(|books| books.decide_answer(about, said.merchant, answered, now)).await;
    match became.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)? {
        Became::Done => Ok(Json(json!({ "outcome": "accepted" }))),
        Became::TooLate | Became::TooMuch => Ok(Json(json!({ "outcome": "too_late" }))),
        Became::NotFound => Err(StatusCode::NOT_FOUND),
    }
}

/// A cardholder's wish.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    reference: ReferenceText,
    reason: Reason,
    /// All that stands, when it isn't said.
    #[serde(default)]
    amount_minor: Option<u64>,
    #[serde(default)]
    respond_within_s: Option<u32>,
}

const fn became_word(became: Became) -> &'static str {
    match became {
        Became::Done => "done",
        Became::TooLate => "too_late",
        Became::NotFound => "not_found",
        Became::TooMuch => "too_much",
    }
}

async fn open(State(desk): Desked, wish: Result<Json<Wish>, JsonRejection>) -> Answer {
    let Json(wish) = wish.map_err(|_| StatusCode::BAD_REQUEST)?;
    let (case, became) = desk.open(&wish).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "became": became_word(became), "dispute": case.0.to_string() })))
}

/// The issuer's word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    won: bool,
}

impl Word {
    const fn state(&self) -> Standing {
        if self.won { Standing::Won } else { Standing::Lost }
    }
}

async fn decide(
    State(desk): Desked,
    Path(case): Path<ReferenceText>,
    word: Result<Json<Word>, JsonRejection>,
) -> Answer {
    let Json(word) = word.map_err(|_| StatusCode::BAD_REQUEST)?;
    let became = desk.end(case, word.state()).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "became": became_word(became) })))
}

async fn show(State(desk): Desked, Path(case): Path<ReferenceText>) -> Answer {
    let books = desk.acquirer.books();
    let dispute = books.disputes().find(case.0).ok_or(StatusCode::NOT_FOUND)?;
    let evidence = dispute.answered.as_ref().and_then(|answered| answered.evidence.as_ref());
    Ok(Json(json!({
        "state": dispute.state,
        "version": dispute.version,
        "network_reference": dispute.opened.original.0.to_string(),
        "reason": dispute.opened.reason,
        "amount_minor": dispute.opened.amount_minor,
        "answered": dispute.answered.is_some(),
        "evidence": evidence,
        "untold": books.disputes().untold().filter(|untold| untold.opened.case == case).count(),
    })))
}

/// What the page is asked with.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    lang: Option<String>,
    said: Option<String>,
}

#[derive(Template)]
#[template(path = "people/disputes.html")]
struct Page {
    lang: Language,
    t: &'static Texts,
    switch: String,
    said: Option<&'static str>,
    reasons: [(Reason, &'static str); 8],
    rows: Vec<Row>,
}

struct Row {
    case: String,
    reference: String,
    amount: String,
    reason: &'static str,
    state: &'static str,
    class: &'static str,
    respond_by: String,
    evidence: Option<String>,
    gave_in: bool,
    can_win: bool,
    can_lose: bool,
}

fn row(dispute: &Dispute, lang: Language) -> Row {
    let (texts, opened) = (lang.texts(), &dispute.opened);
    let (state, class) = match dispute.state {
        Standing::NeedsResponse => (texts.needs_response, "open"),
        Standing::UnderReview => (texts.under_review, "over"),
        Standing::Won => (texts.won, "good"),
        Standing::Lost => (texts.lost, "bad"),
    };
    let currency = opened.currency.as_str();
    Row {
        case: opened.case.0.to_string(),
        reference: opened.original.0.to_string(),
        amount: if currency == "jpy" {
            lang.yen(opened.amount_minor)
        } else {
            crate::http::money(opened.amount_minor, opened.currency)
        },
        reason: opened.reason.as_str(),
        state,
        class,
        respond_by: crate::deposits::moment(opened.respond_by),
        evidence: dispute.answered.as_ref().and_then(|answered| answered.evidence.clone()),
        gave_in: dispute.answered.as_ref().is_some_and(|answered| answered.evidence.is_none()),
        can_win: dispute.state.may_become(Standing::Won),
        can_lose: dispute.state.may_become(Standing::Lost),
    }
}

async fn page(State(desk): Desked, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let lang = Language::choose(asked.lang.as_deref(), accepted);
    let texts = lang.texts();
    let page = Page {
        lang,
        t: texts,
        switch: format!("/disputes?lang={}", lang.other().tag()),
        said: match asked.said.as_deref() {
            Some("done") => Some(texts.dispute_done),
            Some("too_late") => Some(texts.dispute_too_late),
            Some("too_much") => Some(texts.dispute_too_much),
            Some(_) => Some(texts.dispute_not_found),
            None => None,
        },
        reasons: Reason::ALL,
        rows: desk.acquirer.books().disputes().last(ROWS).map(|dispute| row(dispute, lang)).collect(),
    };
    match page.render() {
        Ok(html) => ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page doesn't render");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What people type.
#[derive(Debug, Deserialize)]
struct Typed {
    reference: String,
    reason: Reason,
    amount: String,
}

async fn open_by_form(State(desk): Desked, Query(asked): Query<Asked>, Form(typed): Form<Typed>) -> Response {
    let reference = Text::new(typed.reference.trim()).and_then(|text| ReferenceText::try_from(text).ok());
    let amount = typed.amount.trim();
    let amount_minor = if amount.is_empty() { None } else { Some(amount.parse().unwrap_or(0)) };
    let Some(reference) = reference else { return back(&asked, "not_found") };
    let wish = Wish { reference, reason: typed.reason, amount_minor, respond_within_s: None };
    match desk.open(&wish).await {
        Ok((_, became)) => back(&asked, became_word(became)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn decide_by_form(
    State(desk): Desked,
    Path(case): Path<ReferenceText>,
    Query(asked): Query<Asked>,
    Form(word): Form<Word>,
) -> Response {
    match desk.end(case, word.state()).await {
        Ok(became) => back(&asked, became_word(became)),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn back(asked: &Asked, said: &str) -> Response {
    let lang = if asked.lang.as_deref() == Some("en") { "en" } else { "ja" };
    Redirect::to(&format!("/disputes?lang={lang}&said={said}")).into_response()
}
