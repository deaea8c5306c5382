//! `GET /`: what this is and how to begin.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::page;
use crate::app::App;

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    base: &'a str,
}

/// Runs it.
pub async fn run(State(app): State<App>) -> Response {
    page(Landing { base: &app.public_url }.render())
}
