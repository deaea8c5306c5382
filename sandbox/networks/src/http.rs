//! The books over HTTP, to be read: JSON for programs, a page for people. Nothing here changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use kura_iso8583::Reference;
use serde::{Deserialize, Serialize};

use crate::acquirer::Acquirer;
use crate::books::{Booked, Entry, Totals};
use crate::cards::TEST_CARDS;
use crate::text::Text;

const DEFAULT_LIMIT: usize = 1000;
const MAX_LIMIT: usize = 5000;
const ENTRIES_ON_PAGE: usize = 50;
const STYLE: &str = include_str!("../templates/style.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The books' routes, and the pages of the other services. A page that needs more than [`POLICY`] allows brings its own.
pub fn router(acquirer: Arc<Acquirer>, pages: Router) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/style.css", get(style))
        .route("/healthz", get(|| async { "ok" }))
        .route("/acquirer/books", get(books))
        .route("/acquirer/totals", get(totals))
        .with_state(acquirer)
        .merge(pages)
        .layer(middleware::map_response(harden))
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Which entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BooksQuery {
    /// Only the one of this reference.
    reference: Option<String>,
    /// Only those behind the one with this sequence.
    after: Option<u64>,
    /// 1 to [`MAX_LIMIT`].
    limit: Option<usize>,
}

/// One page of the books, oldest first.
#[derive(Debug, Serialize)]
struct BooksPage {
    entries: Vec<EntryView>,
    /// Whether there are more; ask for those `after` the last one's `sequence`.
    has_more: bool,
}

/// An entry as JSON.
#[derive(Debug, Serialize)]
struct EntryView {
    sequence: u64,
    #[serde(flatten)]
    booked: Booked,
    reversed: bool,
    captured: bool,
    captured_minor: u64,
    refunded_minor: u64,
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> Self {
        Self {
            sequence: entry.sequence,
            booked: entry.booked,
            reversed: entry.reversed,
            captured: entry.captured_minor > 0,
            captured_minor: entry.captured_minor,
            refunded_minor: entry.refunded_minor,
        }
    }
}

async fn books(
    State(acquirer): State<Arc<Acquirer>>,
    query: Result<Query<BooksQuery>, QueryRejection>,
) -> Result<Json<BooksPage>, (StatusCode, &'static str)> {
    let usage = (StatusCode::BAD_REQUEST, "use ?reference=REFERENCE, or ?after=SEQUENCE&limit=1 to 5000\n");
    let Query(query) = query.map_err(|_| usage)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(usage);
    }
    let books = acquirer.books();
    if let Some(reference) = query.reference {
        let reference = Reference::new(&reference).ok_or(usage)?;
        let entries = books.find(reference).map(EntryView::from).into_iter().collect();
        return Ok(Json(BooksPage { entries, has_more: false }));
    }
    let entries: Vec<Entry> = books.page(query.after.unwrap_or(0), limit).to_vec();
    let len = u64::try_from(books.len()).unwrap_or(u64::MAX);
    drop(books);
    let has_more = entries.last().is_some_and(|last| last.sequence < len);
    Ok(Json(BooksPage { entries: entries.iter().map(EntryView::from).collect(), has_more }))
}

async fn totals(State(acquirer): State<Arc<Acquirer>>) -> Json<BTreeMap<Text<3>, Totals>> {
    Json(acquirer.books().totals().collect())
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// What the page shows.
#[derive(Template)]
#[template(path = "index.html")]
struct Page {
    cards: Vec<CardRow>,
    totals: Vec<TotalsRow>,
    entries: Vec<EntryRow>,
    count: usize,
}

struct CardRow {
    number: String,
    what: &'static str,
}

struct TotalsRow {
    currency: String,
    sums: [(&'static str, String); 4],
}

struct EntryRow {
    sequence: u64,
    at: String,
    kind: &'static str,
    reference: String,
    original: String,
    merchant: String,
    amount: String,
    last_four: String,
    outcome: String,
    approved: bool,
    reversed: bool,
}

async fn page(State(acquirer): State<Arc<Acquirer>>) -> Response {
    let (entries, totals, count) = {
        let books = acquirer.books();
        let after = u64::try_from(books.len().saturating_sub(ENTRIES_ON_PAGE)).unwrap_or_default();
        let totals: BTreeMap<_, _> = books.totals().collect();
        (books.page(after, ENTRIES_ON_PAGE).to_vec(), totals, books.len())
    };
    let page = Page {
        cards: TEST_CARDS.iter().map(|card| CardRow { number: grouped(card.number), what: card.what }).collect(),
        totals: totals.iter().map(|(currency, totals)| totals_row(*currency, totals)).collect(),
        entries: entries.iter().rev().map(entry_row).collect(),
        count,
    };
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page doesn't render");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn totals_row(currency: Text<3>, totals: &Totals) -> TotalsRow {
    let sum = |amount_minor| money(amount_minor, currency);
    TotalsRow {
        currency: currency.as_str().to_ascii_uppercase(),
        sums: [
            ("Authorized", sum(totals.authorized)),
            ("Captured", sum(totals.captured)),
            ("Refunded", sum(totals.refunded)),
            ("Reversed", sum(totals.reversed)),
        ],
    }
}

fn entry_row(entry: &Entry) -> EntryRow {
    let booked = &entry.booked;
    let approved = booked.is_approved();
    let outcome = match (entry.reversed, approved, &booked.approval_code) {
        _ if booked.is_foreseen() => "ahead of its original".to_owned(),
        (true, ..) => "reversed".to_owned(),
        (false, true, Some(approval_code)) => format!("approved {approval_code}"),
        (false, true, None) => "approved".to_owned(),
        (false, false, _) => format!("declined {}", booked.response_code),
    };
    let at = booked.at;
    EntryRow {
        sequence: entry.sequence,
        at: format!("{} {:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second()),
        kind: booked.kind.as_str(),
        reference: booked.reference.0.to_string(),
        original: booked.original().map(|original| original.to_string()).unwrap_or_default(),
        merchant: booked.merchant.to_string(),
        amount: money(booked.amount_minor, booked.currency),
        last_four: booked.last_four.map(|last_four| format!("•••• {last_four}")).unwrap_or_default(),
        outcome,
        approved,
        reversed: entry.reversed,
    }
}

/// `JPY 1,000`, `USD 10.00`.
pub(crate) fn money(amount_minor: u64, currency: Text<3>) -> String {
    let code = currency.as_str().to_ascii_uppercase();
    let decimals = iso_currency::Currency::from_code(&code).and_then(|currency| currency.exponent()).unwrap_or(0);
    let unit = 10_u64.saturating_pow(u32::from(decimals));
    let whole = thousands(amount_minor / unit);
    match decimals {
        0 => format!("{code} {whole}"),
        decimals => format!("{code} {whole}.{:0width$}", amount_minor % unit, width = usize::from(decimals)),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `4242 4242 4242 4242`, and `3782 822463 10005` as American Express has it.
fn grouped(number: &str) -> String {
    let ends: &[usize] = if number.len() == 15 { &[4, 10] } else { &[4, 8, 12] };
    let mut out = String::with_capacity(number.len() + ends.len());
    for (place, digit) in number.chars().enumerate() {
        if ends.contains(&place) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amounts read as people write them, in currencies with and without decimals.
    #[test]
    fn amounts_are_written_for_people() {
        let written = |amount_minor, currency| money(amount_minor, Text::new(currency).unwrap());
        assert_eq!(written(0, "jpy"), "JPY 0");
        assert_eq!(written(1_234_567, "jpy"), "JPY 1,234,567");
        assert_eq!(written(100_005, "usd"), "USD 1,000.05");
        assert_eq!(grouped("4242424242424242"), "4242 4242 4242 4242");
        assert_eq!(grouped("378282246310005"), "3782 822463 10005");
    }
}
