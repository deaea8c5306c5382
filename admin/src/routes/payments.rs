//! `GET /payments`: the list, newest first. Filters are in the address; paging is by key, so a page never shifts.

pub mod show;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use kura_wire::control::{PaymentPage, PaymentQuery, PaymentSummary};
use kura_wire::ids::{MerchantId, PaymentIntentId};
use serde::Deserialize;

use super::shell::{self, Moment, Section, Shell};
use crate::domain::money::{self, Amount};
use crate::domain::role::Permission;
use crate::edge::error::PageError;
use crate::edge::signed_in::SignedIn;
use crate::state::App;
use crate::text::Texts;

const PAGE_LEN: u32 = 25;
/// The states that can be asked for, in the order of their tabs.
const STATUSES: [&str; 5] = ["succeeded", "processing", "requires_capture", "requires_payment_method", "canceled"];

/// What the address says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    merchant: Option<MerchantId>,
    before: Option<PaymentIntentId>,
}

#[derive(Template)]
#[template(path = "payments.html")]
struct ListPage {
    t: &'static Texts,
    shell: Shell,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    merchant: Option<OneMerchant>,
    filtered: bool,
    older: Option<String>,
    newest: Option<String>,
}

struct Tab {
    name: &'static str,
    path: String,
    current: bool,
}

struct OneMerchant {
    name: String,
    clear: String,
}

/// One payment, as a row or a heading shows it.
struct Row {
    id: String,
    amount: Amount,
    chip: Chip,
    card: Option<Card>,
    merchant_name: String,
    merchant_path: String,
    created: Moment,
    livemode: bool,
}

/// A status, and the colour that goes with it.
struct Chip {
    name: String,
    tone: &'static str,
}

struct Card {
    brand: String,
    last_four: String,
}

/// The list.
pub async fn get(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(query): Query<ListQuery>,
) -> Result<Response, PageError> {
    signed_in.require(&app, Permission::ViewPayments).await?;
    let status = match query.status.as_deref() {
        None | Some("") => None,
        Some(word) => Some(*STATUSES.iter().find(|known| **known == word).ok_or(PageError::Request)?),
    };
    let asked = PaymentQuery {
        limit: Some(PAGE_LEN),
        before: query.before,
        status: status.map(str::to_owned),
        merchant: query.merchant,
    };
    let found = app.control.payments(&asked).await?;
    shell::page(&list_page(&signed_in, status, &query, found))
}

fn list_page(signed_in: &SignedIn, status: Option<&'static str>, query: &ListQuery, found: PaymentPage) -> ListPage {
    let t = signed_in.client().texts();
    let last = found.payments.last().map(|payment| payment.id).filter(|_| found.has_more);
    let merchant_name = found.payments.first().map(|payment| payment.merchant_name.clone());
    ListPage {
        t,
        shell: Shell::of(signed_in, Section::Payments),
        tabs: tabs(t, status, query.merchant),
        merchant: query.merchant.map(|merchant| OneMerchant {
            name: merchant_name.unwrap_or_else(|| merchant.to_string()),
            clear: list_path(status, None, None),
        }),
        filtered: status.is_some() || query.merchant.is_some(),
        older: last.map(|last| list_path(status, query.merchant, Some(last))),
        newest: query.before.map(|_| list_path(status, query.merchant, None)),
        rows: found.payments.into_iter().map(|payment| row(t, payment)).collect(),
    }
}

fn tabs(t: &'static Texts, status: Option<&str>, merchant: Option<MerchantId>) -> Vec<Tab> {
    let all = Tab { name: t.filter_all, path: list_path(None, merchant, None), current: status.is_none() };
    let others = STATUSES.into_iter().map(|word| Tab {
        name: t.status_name(word),
        path: list_path(Some(word), merchant, None),
        current: status == Some(word),
    });
    std::iter::once(all).chain(others).collect()
}

/// The list's address for these filters.
fn list_path(status: Option<&str>, merchant: Option<MerchantId>, before: Option<PaymentIntentId>) -> String {
    let parts: Vec<String> = [
        status.map(|status| format!("status={status}")),
        merchant.map(|merchant| format!("merchant={merchant}")),
        before.map(|before| format!("before={before}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "/payments".to_owned() } else { format!("/payments?{}", parts.join("&")) }
}

fn row(t: &'static Texts, payment: PaymentSummary) -> Row {
    Row {
        id: payment.id.to_string(),
        amount: money::format(payment.amount_minor, &payment.currency),
        chip: chip(t, &payment),
        card: payment.card.map(|card| Card { brand: brand_name(&card.brand), last_four: card.last_four }),
        merchant_path: list_path(None, Some(payment.merchant), None),
        merchant_name: payment.merchant_name,
        created: payment.created_at.into(),
        livemode: payment.livemode,
    }
}

/// What became of a payment in one word: money given back counts for more than that it was received.
fn standing(payment: &PaymentSummary) -> &str {
    match payment.amount_refunded_minor {
        refunded if refunded > 0 && refunded >= payment.amount_received_minor => "refunded",
        refunded if refunded > 0 => "partially_refunded",
        _ => &payment.status,
    }
}

fn chip(t: &'static Texts, payment: &PaymentSummary) -> Chip {
    let word = standing(payment);
    let tone = match word {
        "succeeded" => "good",
        "processing" | "requires_action" | "requires_confirmation" => "busy",
        "requires_capture" => "note",
        "requires_payment_method" if payment.failure_code.is_some() => "bad",
        _ => "calm",
    };
    Chip { name: t.status_name(word).to_owned(), tone }
}

fn brand_name(brand: &str) -> String {
    match brand {
        "amex" => "Amex",
        "diners" => "Diners",
        "discover" => "Discover",
        "jcb" => "JCB",
        "mastercard" => "Mastercard",
        "unionpay" => "UnionPay",
        "visa" => "Visa",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(status: &str, received: i64, refunded: i64) -> PaymentSummary {
        PaymentSummary {
            id: PaymentIntentId::from_bytes([1; 16]),
            merchant: MerchantId::from_bytes([2; 16]),
            merchant_name: "Shop".to_owned(),
            livemode: false,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
            status: status.to_owned(),
            amount_minor: 1000,
            amount_received_minor: received,
            amount_refunded_minor: refunded,
            currency: "jpy".to_owned(),
            card: None,
            failure_code: None,
        }
    }

    /// A payment that was given back says so, wholly or in part; every other says its own status.
    #[test]
    fn refunds_show_in_the_status() {
        assert_eq!(standing(&payment("succeeded", 1000, 0)), "succeeded");
        assert_eq!(standing(&payment("succeeded", 1000, 1)), "partially_refunded");
        assert_eq!(standing(&payment("succeeded", 1000, 1000)), "refunded");
        assert_eq!(standing(&payment("processing", 0, 0)), "processing");
    }

    /// A filter's address carries exactly the filters, so it can be shared and paged.
    #[test]
    fn filters_are_in_the_address() {
        let (merchant, before) = (MerchantId::from_bytes([2; 16]), PaymentIntentId::from_bytes([1; 16]));
        assert_eq!(list_path(None, None, None), "/payments");
        assert_eq!(
            list_path(Some("succeeded"), Some(merchant), Some(before)),
            format!("/payments?status=succeeded&merchant={merchant}&before={before}")
        );
    }

    /// Each tab's status has a name in both languages.
    #[test]
    fn every_status_has_a_name() {
        for language in [crate::text::Language::English, crate::text::Language::Japanese] {
            for word in STATUSES {
                assert_ne!(language.texts().status_name(word), word);
            }
        }
    }
}
