//! The issuer's page: the shopper enters the code that was sent, or gives up, and goes back to where the payment is.
//!
//! The way back is an address and nothing else: what became of it, the vault asks for itself.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use time::macros::{format_description, offset};

use super::Directory;
use super::cases::{Case, Status, Tried};
use crate::http::money;
use crate::text::Text;

const STYLE: &str = include_str!("../../templates/three_d_secure/style.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What a shopper may mistype a code with.
const MAX_CODE_LEN: usize = 32;

pub(super) fn routes(directory: Arc<Directory>) -> Router {
    Router::new()
        .route("/3ds/challenge/{transaction_id}", get(show).post(enter))
        .route("/3ds/style.css", get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .with_state(directory)
}

/// The page's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    Ja,
    En,
}

#[derive(Deserialize)]
struct Choice {
    lang: Option<Language>,
}

impl Language {
    /// The chosen one, else the browser's first.
    fn of(choice: &Choice, headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let preferred = accepted.trim_start().get(..2).unwrap_or_default();
        choice.lang.unwrap_or(if preferred.eq_ignore_ascii_case("ja") { Self::Ja } else { Self::En })
    }

    const fn is_ja(self) -> bool {
        matches!(self, Self::Ja)
    }
}

/// What stands on the page.
#[derive(Template)]
#[template(path = "three_d_secure/challenge.html")]
struct Page {
    ja: bool,
    last_four: String,
    amount: Option<String>,
    merchant: String,
    at: String,
    code: String,
    tries_left: Option<u8>,
}

#[derive(Template)]
#[template(path = "three_d_secure/over.html")]
struct Over {
    ja: bool,
    proven: bool,
    return_url: String,
}

#[derive(Template)]
#[template(path = "three_d_secure/missing.html")]
struct Missing {
    ja: bool,
}

async fn show(
    State(directory): State<Arc<Directory>>,
    Path(id): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Response {
    let language = Language::of(&choice, &headers);
    let now = kura_platform::clock::now();
    let id = Text::new(&id);
    let lapsed = directory
        .cases
        .decide(|cases| {
            let case = id.and_then(|id| cases.find_transaction(id));
            (case.and_then(|case| cases.lapse(case, now)), ())
        })
        .await;
    if lapsed.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let case = id.and_then(|id| directory.cases.read().find_transaction(id).cloned());
    answer(case.as_ref(), language, None)
}

#[derive(Deserialize)]
struct Entered {
    #[serde(default)]
    code: String,
    cancel: Option<String>,
}

async fn enter(
    State(directory): State<Arc<Directory>>,
    Path(id): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
    entered: Result<Form<Entered>, FormRejection>,
) -> Response {
    let language = Language::of(&choice, &headers);
    let (Some(transaction_id), Ok(Form(entered))) = (Text::<36>::new(&id), entered) else {
        return answer(None, language, None);
    };
    let code: String = entered.code.chars().take(MAX_CODE_LEN).filter_map(digit).collect();
    let draws = directory.draws();
    let tried = directory.cases.decide(|cases| match entered.cancel {
        Some(_) => cases.cancel(transaction_id, draws.now),
        None => cases.enter(transaction_id, &code, &draws),
    });
    let Ok(tried) = tried.await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    match tried {
        Tried::Missing => answer(None, language, None),
        Tried::Wrong(left) => {
            let case = directory.cases.read().find_transaction(transaction_id).cloned();
            answer(case.as_ref(), language, Some(left))
        }
        // Shown by its own address, so that a reload sends nothing again.
        Tried::Over => {
            let lang = if language.is_ja() { "ja" } else { "en" };
            Redirect::to(&format!("/3ds/challenge/{transaction_id}?lang={lang}")).into_response()
        }
    }
}

/// A digit of any width, as Japanese keyboards have them.
fn digit(letter: char) -> Option<char> {
    match letter {
        '0'..='9' => Some(letter),
        '０'..='９' => char::from_digit(u32::from(letter) - u32::from('０'), 10),
        _ => None,
    }
}

fn answer(case: Option<&Case>, language: Language, tries_left: Option<u8>) -> Response {
    let ja = language.is_ja();
    match case.map(|case| (case, case.status, case.begun.code)) {
        Some((case, Status::C, Some(code))) => {
            let status = if tries_left.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            html(status, Page::of(case, &code, ja, tries_left).render())
        }
        // Only a challenge has a page.
        Some((case, status, Some(_))) => {
            let over = Over { ja, proven: status.is_proof(), return_url: case.begun.return_url.clone() };
            html(StatusCode::OK, over.render())
        }
        _ => html(StatusCode::NOT_FOUND, Missing { ja }.render()),
    }
}

impl Page {
    fn of(case: &Case, code: &Text<6>, ja: bool, tries_left: Option<u8>) -> Self {
        let begun = &case.begun;
        let at = begun.at.to_offset(offset!(+9));
        let at = at.format(format_description!("[year]-[month]-[day] [hour]:[minute]")).unwrap_or_default();
        Self {
            ja,
            last_four: begun.last_four.to_string(),
            amount: begun.amount_minor.zip(begun.currency).map(|(amount, currency)| money(amount, currency)),
            merchant: begun.merchant_name.clone().unwrap_or_else(|| begun.merchant.to_string()),
            at: format!("{at} JST"),
            code: code.to_string(),
            tries_left,
        }
    }
}

fn html(status: StatusCode, page: askama::Result<String>) -> Response {
    let Ok(page) = page.inspect_err(|error| tracing::error!(%error, "the page doesn't render")) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    (status, policy, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chosen language, else the browser's first, else English.
    #[test]
    fn the_language_is_chosen_or_the_browsers() {
        let of = |lang, accepted: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(accepted) = accepted {
                headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accepted));
            }
            Language::of(&Choice { lang }, &headers)
        };
        assert_eq!(of(None, None), Language::En);
        assert_eq!(of(None, Some("ja-JP,en;q=0.5")), Language::Ja);
        assert_eq!(of(None, Some("en,ja")), Language::En);
        assert_eq!(of(Some(Language::Ja), Some("en")), Language::Ja);
    }

    /// Codes may be typed with spaces and with wide digits.
    #[test]
    fn wide_digits_are_digits() {
        assert_eq!("１２3 456".chars().filter_map(digit).collect::<String>(), "123456");
    }
}
