//! `GET /checkout/pay/{id}`: the page that a shopper pays on, in Japanese or English. The card fields on it are the same frame that
//! merchants' own pages have; the page itself never has a card.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use kura_platform::clock;
use kura_wire::ids::CheckoutSessionId;

use super::settle::settle;
use super::{PATH, find, lines};
use crate::api_key::ApiKey;
use crate::app::App;
use crate::billing::lines::price;
use crate::codes::Code;
use crate::domain::checkout::{Mode, Status};
use crate::edge::auth::look_up;
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::keys;
use crate::store::api_keys::{self, KeyRow};
use crate::store::checkout_sessions::{self, Session as Row};
use crate::store::merchants;

#[derive(Template)]
#[template(path = "checkout.html")]
struct Page<'a> {
    ja: bool,
    open: bool,
    merchant: &'a str,
    key: &'a str,
    action: String,
    cancel_url: Option<&'a str>,
    lines: Vec<Line>,
    total: Option<String>,
    trial_days: Option<i64>,
    mode: &'static str,
    asks_email: bool,
}

struct Line {
    name: String,
    quantity: i64,
    amount: String,
    every: Option<String>,
}

/// The session that a shopper brings, and its merchant's own context for it.
///
/// # Errors
/// 404.
pub async fn brought(app: &App, id: &str) -> ApiResult<Context> {
    let missing = || ApiError::missing("checkout session", "id");
    let id: CheckoutSessionId = id.parse().map_err(|_| missing())?;
    let tenant = checkout_sessions::find_tenant(app.db.work(), id).await?.ok_or_else(missing)?;
    Ok(Context::working(app.clone(), tenant, *id.as_bytes()))
}

/// Runs it.
pub async fn run(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> ApiResult<Response> {
    let context = brought(&app, &id).await?;
    let row = find(&context, &id).await?.ok_or_else(|| ApiError::missing("checkout session", "id"))?;
    if row.status == Status::Complete {
        return Ok(unkept(Redirect::to(&done_url(&row)).into_response()));
    }
    let key = publishable_key(&context).await?;
    let key = key.publishable_text().unwrap_or_default().to_owned();
    let merchant = merchants::name(&mut *context.db().await?, context.tenant()).await?.unwrap_or_default();
    let ja = is_japanese(&row, &headers);
    let currency = row.currency.clone().unwrap_or_default();
    let shown = lines(&context, &row).await?;
    let line = |(item, (at, name)): (&checkout_sessions::SessionItem, _)| {
        let at: crate::store::prices::Price = at;
        Line {
            name,
            quantity: item.quantity,
            amount: price(at.unit_amount.saturating_mul(item.quantity), &at.currency),
            every: at.recurring.map(|recurring| every(recurring, ja)),
        }
    };
    let page = Page {
        ja,
        open: row.status == Status::Open && row.expires_at > clock::now(),
        merchant: &merchant,
        key: &key,
        action: format!("{PATH}/{}", row.id),
        cancel_url: row.cancel_url.as_deref(),
        lines: row.items.iter().zip(shown).map(line).collect(),
        total: row.amount.map(|amount| price(amount, &currency)),
        trial_days: row.data.trial_days,
        mode: row.mode.as_str(),
        asks_email: row.customer.is_none() && row.mode != Mode::Setup,
    };
    let html = page.render().map_err(ApiError::internal)?;
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; \
        img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
        trusted-types 'none'";
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    Ok(unkept((headers, html).into_response()))
}

/// Back from the issuer's page: to the merchant's where the shopper is done, else to the form again.
pub async fn come_back(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Response> {
    let context = brought(&app, &id).await?;
    let id = id.parse().map_err(|_| ApiError::missing("checkout session", "id"))?;
    let row = settle(&context, id).await?;
    let url = if row.status == Status::Complete { done_url(&row) } else { format!("{PATH}/{id}") };
    Ok(unkept(Redirect::to(&url).into_response()))
}

/// The merchant's page for those who are done.
pub fn done_url(row: &Row) -> String {
    row.success_url.replace("{CHECKOUT_SESSION_ID}", &row.id.to_string())
}

/// The publishable key of our own pages for this merchant: it follows from the merchant and our origin, the only one that it is
/// for.
async fn publishable_key(context: &Context) -> ApiResult<ApiKey> {
    let (app, tenant) = (&context.app, context.tenant());
    let merchant = tenant.merchant();
    let parts: [&[u8]; 3] = [b"checkout key", merchant.as_bytes(), app.public_origin.as_bytes()];
    let key = ApiKey::publishable_of(tenant.livemode(), &app.secrets.ids.tag(&parts));
    if look_up(app, &key).await?.is_none() {
        let row = KeyRow { allowed_origins: vec![app.public_origin.clone()], ..keys::fresh(&key, merchant) };
        let mut db = app.db.work().acquire().await?;
        api_keys::insert(&mut db, key.hash(&app.secrets.api_keys), &row, clock::now()).await?;
    }
    Ok(key)
}

fn is_japanese(row: &Row, headers: &HeaderMap) -> bool {
    match row.locale.as_str() {
        "ja" => true,
        "en" => false,
        _ => {
            let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            wished.is_none_or(|wished| wished.trim_start().starts_with("ja"))
        }
    }
}

fn every(recurring: crate::domain::calendar::Recurring, ja: bool) -> String {
    use crate::domain::calendar::Interval;
    let count = recurring.count;
    if !ja {
        let unit = recurring.interval.as_str();
        return if count == 1 { format!("per {unit}") } else { format!("every {count} {unit}s") };
    }
    match (recurring.interval, count) {
        (Interval::Day, 1) => "毎日".to_owned(),
        (Interval::Week, 1) => "毎週".to_owned(),
        (Interval::Month, 1) => "毎月".to_owned(),
        (Interval::Year, 1) => "毎年".to_owned(),
        (Interval::Day, count) => format!("{count}日ごと"),
        (Interval::Week, count) => format!("{count}週間ごと"),
        (Interval::Month, count) => format!("{count}か月ごと"),
        (Interval::Year, count) => format!("{count}年ごと"),
    }
}

/// What went wrong, in words for the shopper.
pub fn words(code: Code, ja: bool) -> &'static str {
    let (japanese, english) = match code {
        Code::CardDeclined | Code::AuthenticationRequired | Code::AuthenticationFailed => (
            "カードが承認されませんでした。別のカードをお試しください。",
            "Your card was declined. Please try another card.",
        ),
        Code::ExpiredCard => ("カードの有効期限が切れています。", "Your card has expired."),
        Code::IncorrectCvc | Code::InvalidCvc | Code::CvcRequired => (
            "セキュリティコードが正しくありません。もう一度ご入力ください。",
            "The security code is not right. Please enter your card again.",
        ),
        Code::CheckoutSessionUnexpectedState => ("このページの有効期限が切れました。", "This page is no longer valid."),
        Code::IdempotencyKeyInUse => {
            ("お支払いを処理しています。しばらくお待ちください。", "Your payment is under way. Please wait a moment.")
        }
        _ => (
            "お支払いを完了できませんでした。もう一度お試しください。",
            "The payment could not be made. Please try again.",
        ),
    };
    if ja { japanese } else { english }
}

/// Addresses with ids in them are nobody else's: no cache keeps them. The card's frame is told the page's origin and no more.
fn unkept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}
