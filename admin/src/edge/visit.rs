//! A visit: a browser that isn't signed in yet. Its cookie gives the sign-in and enrolment forms their token, and names the
//! ceremony once a password is settled.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::cookie;
use super::error::PageError;
use super::form::FormSecret;
use crate::domain::secret::Secret;

/// A browser's visit.
pub struct Visit {
    secret: Secret,
    fresh: bool,
}

impl Visit {
    /// The browser's visit, or a new one for a browser without.
    pub fn resume_or_begin(headers: &HeaderMap) -> Self {
        cookie::read(headers, cookie::VISIT).map_or_else(Self::begin, |secret| Self { secret, fresh: false })
    }

    /// A new one: no id that the browser had before is of any use after this.
    pub fn begin() -> Self {
        Self { secret: Secret::random(), fresh: true }
    }

    /// What the database knows it by.
    pub fn hash(&self) -> [u8; 32] {
        self.secret.hash()
    }

    /// The token for its forms.
    pub fn form_token(&self) -> String {
        self.secret.form_token()
    }

    /// The answer, with the cookie if it is a new one.
    pub fn with(&self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        if self.fresh
            && let Some(value) = cookie::set(cookie::VISIT, &self.secret)
        {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
        answer
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, PageError> {
        Ok(Self::resume_or_begin(&parts.headers))
    }
}

impl FormSecret for Visit {
    fn accepts_form_token(&self, presented: &str) -> bool {
        !self.fresh && self.secret.accepts_form_token(presented)
    }

    fn person(&self) -> Option<kura_wire::ids::PersonId> {
        None
    }
}
