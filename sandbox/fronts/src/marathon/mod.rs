//! The Harbour City Half Marathon: an event's registration page that takes the entry fee by card.
//!
//! May enter: a participant's name and e-mail address, kept in memory and sent nowhere; a single-use token. Every entry is
//! one form, paid at most once, however often it is sent.

mod book;
mod entry;
mod pages;
mod texts;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::gateway::Gateway;
use book::{Book, Full};
use entry::{Entry, Form as EntryForm};
use texts::Language;

/// What the pages share.
#[derive(Clone)]
pub(crate) struct Marathon {
    gateway: Arc<Gateway>,
    publishable_key: Arc<str>,
    book: Arc<Book>,
}

/// The event's pages, `/` being the registration.
pub(crate) fn router(gateway: Arc<Gateway>, publishable_key: String) -> Router {
    let marathon = Marathon { gateway, publishable_key: publishable_key.into(), book: Arc::new(Book::default()) };
    Router::new()
        .route("/", get(registration))
        .route("/entries", post(enter))
        .route("/entries/{reference}", get(entry_page))
        .route("/entries/{reference}/retry", post(retry))
        .route(
            "/assets/marathon.css",
            get(|| asset("text/css; charset=utf-8", include_str!("../../assets/marathon.css"))),
        )
        .route(
            "/assets/marathon.js",
            get(|| asset("text/javascript; charset=utf-8", include_str!("../../assets/marathon.js"))),
        )
        .route("/assets/favicon.svg", get(|| asset("image/svg+xml", include_str!("../../assets/favicon.svg"))))
        .fallback(missing)
        .with_state(marathon)
}

async fn asset(content_type: &'static str, body: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], body)
}

#[derive(Deserialize)]
struct Wish {
    lang: Option<String>,
}

impl Wish {
    /// The query's language, else the browser's, else Japanese.
    fn language(&self, headers: &HeaderMap) -> Language {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Language::choose(self.lang.as_deref(), accepted)
    }
}

async fn registration(State(marathon): State<Marathon>, Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    pages::form(&marathon, wish.language(&headers), &EntryForm::default(), None)
}

/// Takes a form, pays, and shows how it went on a page of its own, so that reloading it never sends the form again.
async fn enter(State(marathon): State<Marathon>, Form(form): Form<EntryForm>) -> Response {
    let language = form.language();
    let application = match form.read() {
        Ok(application) => application,
        Err(problem) => {
            let page = pages::form(&marathon, language, &form, Some(pages::Notice::Problem(problem)));
            return (StatusCode::UNPROCESSABLE_ENTITY, page).into_response();
        }
    };
    match marathon.book.enter(application) {
        Ok(entry) => settle(marathon, entry).await,
        Err(Full) => {
            (StatusCode::SERVICE_UNAVAILABLE, pages::form(&marathon, language, &form, Some(pages::Notice::Busy)))
                .into_response()
        }
    }
}

/// Asks the gateway again about an entry whose first try did not reach it, with the same idempotency key.
async fn retry(State(marathon): State<Marathon>, Path(reference): Path<String>) -> Response {
    match marathon.book.find(&reference) {
        Some(entry) => settle(marathon, entry).await,
        None => missing(Query(Wish { lang: None }), HeaderMap::new()).await,
    }
}

/// Pays in a task of its own: a participant who closes the page must not cut a payment in half.
async fn settle(marathon: Marathon, entry: Arc<Entry>) -> Response {
    let path = format!("/entries/{}#outcome", entry.reference());
    let paying = tokio::spawn(async move { entry.settle(&marathon.gateway, &marathon.book).await });
    if let Err(error) = paying.await {
        tracing::error!(%error, "payment task failed");
    }
    Redirect::to(&path).into_response()
}

async fn entry_page(
    State(marathon): State<Marathon>,
    Path(reference): Path<String>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Response {
    let Some(entry) = marathon.book.find(&reference) else { return missing(Query(wish), headers).await };
    let language = if wish.lang.is_some() { wish.language(&headers) } else { entry.application().language };
    let payment = entry.refresh(&marathon.gateway, &marathon.book).await;
    pages::entry(&marathon, language, &entry, &payment)
}

async fn missing(Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    (StatusCode::NOT_FOUND, pages::missing(wish.language(&headers))).into_response()
}
