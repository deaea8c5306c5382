//! The pages on which people pay: a register, a bank's machine, a wallet, the slip with the numbers; and what the networks would
//! have mailed. No script; every page works with a form alone.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use kura_platform::clock;
use serde::Deserialize;
use time::OffsetDateTime;
use time::macros::{format_description, offset};

use super::desk::Desk;
use super::knobs::KNOBS;
use super::mail::{Mail, mails};
use super::numbers::{AGENCY, CHAINS};
use super::request::{Entry, Network, Place, Standing};
use super::rules::Acted;
use super::texts::{Language, Texts};

const STYLE: &str = include_str!("../../templates/people/people.css");
/// Rows of the desk's own page.
const ROWS: usize = 50;

type Desked = State<Arc<Desk>>;

/// The routes for people.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/people.css", get(style))
        .route("/konbini", get(konbini))
        .route("/konbini/pay", post(konbini_pay))
        .route("/konbini/voucher/{secret}", get(voucher))
        .route("/payeasy", get(payeasy))
        .route("/payeasy/pay", post(payeasy_pay))
        .route("/emoney/wallet/{secret}", get(wallet).post(wallet_answer))
        .route("/mail", get(mail_sink))
        .route("/deposits", get(desk_page))
        .with_state(desk)
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// What a page is asked with.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    lang: Option<String>,
    number: Option<String>,
    confirmation: Option<String>,
    agency: Option<String>,
    /// What became of the payer's act, after it.
    said: Option<String>,
}

impl Asked {
    fn language(&self, headers: &HeaderMap) -> Language {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Language::choose(self.lang.as_deref(), accepted)
    }

    fn said(&self, texts: &'static Texts) -> Option<&'static str> {
        match self.said.as_deref() {
            Some("done") => Some(texts.thanks),
            Some("expired") => Some(texts.too_late),
            Some("closed") => Some(texts.closed),
            _ => None,
        }
    }
}

/// A request as a page shows it.
struct Slip {
    amount: String,
    state: &'static str,
    class: &'static str,
    place: Option<&'static str>,
    given_back: Option<String>,
    payer: Option<String>,
    description: Option<String>,
    merchant: String,
    expires_at: String,
}

impl Slip {
    fn of(entry: &Entry, lang: Language) -> Self {
        let asked = &entry.requested.asked;
        let (state, class) = state_of(&entry.standing, lang);
        Self {
            amount: lang.yen(asked.amount_minor),
            state,
            class,
            place: match entry.standing {
                Standing::Paid { place } => Some(lang.place(place)),
                Standing::Refused { reason } => Some(lang.refusal(reason)),
                _ => None,
            },
            given_back: (entry.given_back_minor > 0).then(|| lang.yen(entry.given_back_minor)),
            payer: asked.payer.name.clone(),
            description: asked.description.clone(),
            merchant: asked.merchant.to_string(),
            expires_at: moment(asked.expires_at),
        }
    }
}

fn state_of(standing: &Standing, lang: Language) -> (&'static str, &'static str) {
    let texts = lang.texts();
    match standing {
        Standing::Waiting => (texts.waiting, "open"),
        Standing::Paid { .. } => (texts.paid, "good"),
        Standing::Refused { .. } => (texts.refused, "bad"),
        Standing::Withdrawn => (texts.withdrawn, "over"),
        Standing::Expired => (texts.expired, "over"),
    }
}

/// In Japan's time, where the payers are.
pub(super) fn moment(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] JST");
    at.to_offset(offset!(+9)).format(format).unwrap_or_default()
}

fn render(page: &impl Template) -> Response {
    render_with(page, "")
}

/// The page, whose forms may lead to `also` as well: after a form a browser follows no redirect to anywhere else.
fn render_with(page: &impl Template, also: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {also}; base-uri 'none'; frame-ancestors 'none'"
    );
    match (page.render(), HeaderValue::from_str(&policy)) {
        (Ok(html), Ok(policy)) => ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response(),
        (Err(error), _) => {
            tracing::error!(%error, "a page doesn't render");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        (_, Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Register and bank: look up by numbers, then pay.
struct Counter {
    lang: Language,
    t: &'static Texts,
    switch: String,
    said: Option<&'static str>,
    slip: Option<Slip>,
    payable: bool,
    payable_late: bool,
    number: String,
    confirmation: String,
    agency: String,
}

impl Counter {
    fn of(desk: &Desk, network: Network, asked: Asked, headers: &HeaderMap) -> Self {
        let lang = asked.language(headers);
        let said = asked.said(lang.texts());
        let Asked { number, confirmation, agency, .. } = asked;
        let (number, confirmation) = (number.unwrap_or_default(), confirmation.unwrap_or_default());
        let agency = agency.unwrap_or_default();
        let kept = desk.keeper.read();
        let entry = named(&kept, network, &number, &confirmation, &agency).map(|(_, entry)| entry);
        let asked_for_nothing = number.is_empty();
        let over =
            |entry: &Entry| entry.standing == Standing::Expired || entry.requested.asked.expires_at <= clock::now();
        let open = entry.filter(|entry| matches!(entry.standing, Standing::Waiting | Standing::Expired));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("lang", lang.other().tag()).append_pair("number", &number);
        query.append_pair("confirmation", &confirmation).append_pair("agency", &agency);
        Self {
            lang,
            t: lang.texts(),
            switch: format!("/{}?{}", network.as_str(), query.finish()),
            said: said.or_else(|| (entry.is_none() && !asked_for_nothing).then_some(lang.texts().not_found)),
            slip: entry.map(|entry| Slip::of(entry, lang)),
            payable: open.is_some_and(|entry| !over(entry)),
            payable_late: open.is_some_and(over),
            number,
            confirmation,
            agency,
        }
    }
}

/// The request that these numbers name, all of them.
fn named<'a>(
    kept: &'a super::Deposits,
    network: Network,
    number: &str,
    confirmation: &str,
    agency: &str,
) -> Option<(char, &'a Entry)> {
    let (digit, entry) = kept.find_by_number(network, number)?;
    let fits = match network {
        Network::Konbini => entry.numbers.confirmation == confirmation.trim(),
        Network::Payeasy => entry.numbers.pin == confirmation.trim() && agency.trim() == AGENCY,
        Network::Emoney => false,
    };
    fits.then_some((digit, entry))
}

#[derive(Template)]
#[template(path = "people/konbini.html")]
struct KonbiniPage(Counter);

#[derive(Template)]
#[template(path = "people/payeasy.html")]
struct PayeasyPage(Counter);

// The templates name the fields; a page is its counter.
impl std::ops::Deref for KonbiniPage {
    type Target = Counter;
    fn deref(&self) -> &Counter {
        &self.0
    }
}
impl std::ops::Deref for PayeasyPage {
    type Target = Counter;
    fn deref(&self) -> &Counter {
        &self.0
    }
}

async fn konbini(State(desk): Desked, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    render(&KonbiniPage(Counter::of(&desk, Network::Konbini, asked, &headers)))
}

async fn payeasy(State(desk): Desked, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    render(&PayeasyPage(Counter::of(&desk, Network::Payeasy, asked, &headers)))
}

/// A payer's payment.
#[derive(Debug, Deserialize)]
struct Payment {
    number: String,
    confirmation: String,
    #[serde(default)]
    agency: String,
    #[serde(default)]
    late: bool,
}

async fn konbini_pay(State(desk): Desked, Query(asked): Query<Asked>, Form(payment): Form<Payment>) -> Response {
    pay(&desk, Network::Konbini, &asked, &payment).await
}

async fn payeasy_pay(State(desk): Desked, Query(asked): Query<Asked>, Form(payment): Form<Payment>) -> Response {
    pay(&desk, Network::Payeasy, &asked, &payment).await
}

async fn pay(desk: &Desk, network: Network, asked: &Asked, payment: &Payment) -> Response {
    let Payment { number, confirmation, agency, late } = payment;
    let found = named(&desk.keeper.read(), network, number, confirmation, agency)
        .map(|(digit, entry)| (digit, entry.requested.asked.reference));
    let said = match found {
        None => "",
        Some((digit, reference)) => match desk.pay(reference, Place::of(network, Some(digit)), *late).await {
            Ok(acted) => acted_word(acted),
            Err(failure) => return failure.into_response(),
        },
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("lang", asked.lang.as_deref().unwrap_or("ja")).append_pair("number", number);
    query.append_pair("confirmation", confirmation).append_pair("agency", agency).append_pair("said", said);
    Redirect::to(&format!("/{}?{}", network.as_str(), query.finish())).into_response()
}

pub(super) const fn acted_word(acted: Acted) -> &'static str {
    match acted {
        Acted::Done => "done",
        Acted::Closed => "closed",
        Acted::Expired => "expired",
    }
}

#[derive(Template)]
#[template(path = "people/voucher.html")]
struct VoucherPage {
    lang: Language,
    t: &'static Texts,
    switch: String,
    slip: Option<Slip>,
    stores: Vec<Store>,
}

struct Store {
    name: &'static str,
    number: String,
    confirmation: String,
}

async fn voucher(
    State(desk): Desked,
    headers: HeaderMap,
    Path(secret): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let lang = asked.language(&headers);
    let kept = desk.keeper.read();
    let Some(entry) = kept.find_by_secret(&secret).filter(|entry| entry.requested.network == Network::Konbini) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let stores = CHAINS.iter().map(|(_, digit)| Store {
        name: lang.place(Place::of(Network::Konbini, Some(*digit))),
        number: entry.numbers.payment_number(*digit),
        confirmation: entry.numbers.confirmation.clone(),
    });
    let switch = format!("/konbini/voucher/{}?lang={}", entry.requested.secret, lang.other().tag());
    let page =
        VoucherPage { lang, t: lang.texts(), switch, slip: Some(Slip::of(entry, lang)), stores: stores.collect() };
    render(&page)
}

#[derive(Template)]
#[template(path = "people/wallet.html")]
struct WalletPage {
    lang: Language,
    t: &'static Texts,
    switch: String,
    said: Option<&'static str>,
    slip: Option<Slip>,
    payable: bool,
    action: String,
    return_url: String,
}

async fn wallet(
    State(desk): Desked,
    headers: HeaderMap,
    Path(secret): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let lang = asked.language(&headers);
    let kept = desk.keeper.read();
    let Some(entry) = kept.find_by_secret(&secret).filter(|entry| entry.requested.network == Network::Emoney) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let own = format!("/emoney/wallet/{}", entry.requested.secret);
    let return_url = entry.requested.asked.return_url.clone().unwrap_or_default();
    let origin = url::Url::parse(&return_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let over = entry.requested.asked.expires_at <= clock::now();
    let page = WalletPage {
        lang,
        t: lang.texts(),
        switch: format!("{own}?lang={}", lang.other().tag()),
        said: asked.said(lang.texts()),
        slip: Some(Slip::of(entry, lang)),
        payable: entry.standing == Standing::Waiting && !over,
        action: format!("{own}?lang={}", lang.tag()),
        return_url,
    };
    render_with(&page, &origin)
}

/// The shopper's answer in the wallet.
#[derive(Debug, Deserialize)]
struct WalletAnswer {
    answer: String,
}

async fn wallet_answer(
    State(desk): Desked,
    Path(secret): Path<String>,
    Query(asked): Query<Asked>,
    Form(form): Form<WalletAnswer>,
) -> Response {
    let found = desk.keeper.read().find_by_secret(&secret).map(|entry| {
        (entry.requested.network, entry.requested.asked.reference, entry.requested.asked.return_url.clone())
    });
    let Some((Network::Emoney, reference, return_url)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let acted = match form.answer.as_str() {
        "approve" => desk.pay(reference, Place::Wallet, false).await,
        _ => desk.refuse(reference).await,
    };
    match (acted, return_url) {
        (Ok(Acted::Done), Some(return_url)) => Redirect::to(&return_url).into_response(),
        (Ok(acted), _) => {
            let lang = asked.lang.as_deref().unwrap_or("ja");
            Redirect::to(&format!("/emoney/wallet/{secret}?lang={lang}&said={}", acted_word(acted))).into_response()
        }
        (Err(failure), _) => failure.into_response(),
    }
}

#[derive(Template)]
#[template(path = "people/mail.html")]
struct MailPage {
    lang: Language,
    t: &'static Texts,
    switch: String,
    mails: Vec<Mail>,
}

async fn mail_sink(State(desk): Desked, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let lang = asked.language(&headers);
    let switch = format!("/mail?lang={}", lang.other().tag());
    let page = MailPage { lang, t: lang.texts(), switch, mails: mails(&desk, lang) };
    render(&page)
}

#[derive(Template)]
#[template(path = "people/desk.html")]
struct DeskPage {
    lang: Language,
    t: &'static Texts,
    switch: String,
    knobs: Vec<(u64, &'static str)>,
    rows: Vec<Row>,
    untold: usize,
}

struct Row {
    reference: String,
    network: &'static str,
    amount: String,
    state: &'static str,
    class: &'static str,
    expires_at: String,
}

async fn desk_page(State(desk): Desked, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let lang = asked.language(&headers);
    let kept = desk.keeper.read();
    let rows = kept.last(ROWS).map(|entry| {
        let (state, class) = state_of(&entry.standing, lang);
        Row {
            reference: entry.requested.asked.reference.0.to_string(),
            network: entry.requested.network.as_str(),
            amount: lang.yen(entry.requested.asked.amount_minor),
            state,
            class,
            expires_at: moment(entry.requested.asked.expires_at),
        }
    });
    let page = DeskPage {
        lang,
        t: lang.texts(),
        switch: format!("/deposits?lang={}", lang.other().tag()),
        knobs: KNOBS
            .iter()
            .map(|(ending, _, english, japanese)| {
                (*ending, if lang == Language::English { *english } else { *japanese })
            })
            .collect(),
        rows: rows.collect(),
        untold: kept.untold(),
    };
    render(&page)
}
