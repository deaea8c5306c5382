//! `GET /docs/errors`: every code, from the one list that the program itself uses.

use askama::Template;
use axum::response::Response;

use super::page;
use crate::codes::Code;

#[derive(Template)]
#[template(path = "errors.html")]
struct Errors {
    codes: &'static [Code],
}

/// Runs it.
pub async fn run() -> Response {
    page(Errors { codes: Code::ALL }.render())
}
