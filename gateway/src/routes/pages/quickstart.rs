//! `GET /docs/quickstart`: `docs/quickstart.md`, whose snippets are run by a test.

use askama::Template;
use axum::response::Response;
use pulldown_cmark::{Options, Parser, html};

use super::page;

/// Its path.
pub const PATH: &str = "/docs/quickstart";

const TEXT: &str = include_str!("../../../../docs/quickstart.md");

#[derive(Template)]
#[template(path = "quickstart.html")]
struct Quickstart {
    body: String,
}

/// Runs it.
pub async fn run() -> Response {
    let mut body = String::with_capacity(TEXT.len() * 2);
    // It is our own text: there is nothing in it to be escaped but what Markdown does.
    html::push_html(&mut body, Parser::new_ext(TEXT, Options::empty()));
    page(Quickstart { body }.render())
}
