//! Where a shopper without a card looks and comes back to: the voucher with the numbers to pay by, and the page after the wallet's.
//! Each brings the id of a deposit alone, drawn by us and told to nobody else; it can be looked at, and paid.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use kura_wire::deposit::{Instructions, StoreChain, StoreCode};
use kura_wire::ids::AttemptId;
use time::UtcOffset;
use time::macros::{format_description, offset};
use url::Url;

use super::pages::page;
use super::shopper::{Done, outcome_of};
use crate::app::App;
use crate::deposits::{self as flow, VOUCHER_PATH, WALLET_PATH};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::Cause;
use crate::store::deposits::{self, Deposit, State as Stage};
use crate::store::payment_intents::Intent;
use crate::store::{attempts, merchants, payment_intents};

/// What stands on a voucher.
#[derive(Template)]
#[template(path = "voucher.html")]
struct Voucher {
    shop: String,
    amount: String,
    until: String,
    state: &'static str,
    stores: Vec<StoreShown>,
    payeasy: Option<Payeasy>,
    network_page: Option<String>,
}

struct StoreShown {
    name: &'static str,
    code: StoreCode,
}

struct Payeasy {
    agency: String,
    customer: String,
    confirmation: String,
}

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(&format!("{VOUCHER_PATH}/{{id}}"), get(show))
        .route(&format!("{WALLET_PATH}/{{id}}/return"), get(come_back))
}

/// The deposit that a shopper brings, its payment, and the merchant's own context for it.
async fn brought(app: &App, id: &str) -> ApiResult<(Context, Deposit, Intent)> {
    let missing = || ApiError::missing("voucher", "id");
    let id: AttemptId = id.parse().map_err(|_| missing())?;
    let tenant = deposits::find_tenant(app.db.work(), id).await?.ok_or_else(missing)?;
    let context = Context::working(app.clone(), tenant, *id.as_bytes());
    let mut db = context.db().await?;
    let deposit = deposits::find(&mut db, tenant, id).await?.ok_or_else(missing)?;
    let intent = payment_intents::find(&mut db, tenant, deposit.intent).await?.ok_or_else(missing)?;
    drop(db);
    Ok((context, deposit, intent))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Response> {
    let (context, deposit, intent) = brought(&app, &id).await?;
    let merchant = merchants::find_name(&mut *context.db().await?, context.tenant()).await?;
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let until = deposit.expires_at.to_offset(japan()).format(format).map_err(ApiError::internal)?;
    let (mut stores, mut payeasy, mut network_page) = (Vec::new(), None, None);
    match deposit.instructions {
        Some(Instructions::Konbini { stores: codes, voucher_url }) => {
            stores = codes.into_iter().map(|code| StoreShown { name: name_of(code.chain), code }).collect();
            network_page = Some(voucher_url);
        }
        Some(Instructions::Payeasy { collecting_agency, customer_number, confirmation_number }) => {
            payeasy = Some(Payeasy {
                agency: collecting_agency,
                customer: grouped(&customer_number),
                confirmation: confirmation_number,
            });
        }
        Some(Instructions::Emoney { url }) => network_page = Some(url),
        None => {}
    }
    let state = match deposit.state {
        Stage::Asked => "asked",
        Stage::Waiting => "waiting",
        Stage::Paid | Stage::Unapplied => "paid",
        Stage::Ended => "ended",
    };
    let shown = Voucher {
        shop: merchant,
        amount: with_commas(intent.progress.amount),
        until,
        state,
        stores,
        payeasy,
        network_page,
    };
    Ok(unkept(page(shown.render())))
}

/// Back from the wallet: what came of it is asked of the wallet itself, not of the browser.
async fn come_back(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Response> {
    let (context, deposit, mut intent) = brought(&app, &id).await?;
    let tenant = context.tenant();
    if deposit.state.is_under_way() {
        let attempt = attempts::find(&mut *context.db().await?, tenant, deposit.id).await?;
        let attempt = attempt.ok_or_else(|| ApiError::internal("a deposit without its attempt"))?;
        let heard = flow::look(&app, &Cause::ours(tenant), context.vault_context(), &attempt).await?;
        intent = heard.unwrap_or(intent);
    }
    let outcome = outcome_of(intent.progress.status);
    match intent.return_url.as_deref().map(Url::parse) {
        Some(Ok(mut url)) => {
            let id = intent.id.to_string();
            url.query_pairs_mut().append_pair("payment_intent", &id).append_pair("redirect_status", outcome);
            Ok(unkept(Redirect::to(url.as_str()).into_response()))
        }
        Some(Err(_)) | None => Ok(unkept(page(Done { outcome }.render()))),
    }
}

const fn japan() -> UtcOffset {
    offset!(+9)
}

const fn name_of(chain: StoreChain) -> &'static str {
    match chain {
        StoreChain::Familymart => "ファミリーマート FamilyMart",
        StoreChain::Lawson => "ローソン LAWSON",
        StoreChain::Ministop => "ミニストップ MINISTOP",
        StoreChain::Seicomart => "セイコーマート Seicomart",
    }
}

/// Digits in fours, as people read and type them.
fn grouped(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    digits.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// `12,345`.
fn with_commas(yen: i64) -> String {
    let digits = yen.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Addresses with ids in them are nobody else's: no cache keeps them and no page is told of them.
pub(super) fn unkept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are written as people read them.
    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped("12345678901"), "1234 5678 901");
        assert_eq!(
            (with_commas(980), with_commas(1_980), with_commas(1_234_567)),
            ("980".into(), "1,980".into(), "1,234,567".into())
        );
    }
}
