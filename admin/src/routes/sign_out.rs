//! `POST /sign-out`.

use axum::extract::State;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use crate::edge::error::PageError;
use crate::edge::form::Posted;
use crate::edge::signed_in::SignedIn;
use crate::state::App;

/// Nothing but the token.
#[derive(Deserialize)]
pub struct SignOut {}

/// Ends the session, here and in the browser.
pub async fn post(State(app): State<App>, posted: Posted<SignedIn, SignOut>) -> Result<Response, PageError> {
    posted.by.sign_out(&app, Redirect::to("/sign-in?notice=signed_out")).await
}
