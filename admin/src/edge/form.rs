//! Forms: taken only with the token of the session or visit that they were made for. Handlers get a form in no other way.

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use kura_wire::ids::PersonId;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::error::PageError;
use crate::state::App;
use crate::store::audit;

/// The field that carries the token.
pub const FIELD: &str = "form_token";

/// What a form's token is checked against.
pub trait FormSecret {
    /// Whether the token is its own.
    fn accepts_form_token(&self, presented: &str) -> bool;
    /// Who it is, where that is known.
    fn person(&self) -> Option<PersonId>;
}

/// A form, and who sent it. Witness that its token was right.
pub struct Posted<W, T> {
    /// A session or a visit.
    pub by: W,
    /// The fields.
    pub form: T,
}

impl<W, T> FromRequest<App> for Posted<W, T>
where
    W: FormSecret + FromRequestParts<App, Rejection = PageError> + Send,
    T: DeserializeOwned,
{
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let client = Client::from_request_parts(&mut parts, app).await?;
        let by = W::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(request, app).await.map_err(|_| PageError::Request)?;
        if !token_of(&bytes).is_some_and(|token| by.accepts_form_token(&token)) {
            note_forgery(app, client, by.person()).await?;
            return Err(PageError::Form);
        }
        let request = Request::from_parts(parts, bytes.into());
        let Form(form) = Form::<T>::from_request(request, app).await.map_err(|_| PageError::Request)?;
        Ok(Self { by, form })
    }
}

/// The token, if the form has exactly one.
fn token_of(body: &[u8]) -> Option<String> {
    let mut found = url::form_urlencoded::parse(body).filter(|(name, _)| name == FIELD);
    let (_, token) = found.next()?;
    if found.next().is_some() { None } else { Some(token.into_owned()) }
}

/// In the audit where a person's session was used for it; else in the log, which anyone may fill.
async fn note_forgery(app: &App, client: Client, person: Option<PersonId>) -> Result<(), PageError> {
    tracing::warn!(address = %client.address, request_id = %client.request_id, "form without its token");
    if person.is_none() {
        return Ok(());
    }
    let entry = audit::Entry {
        kind: audit::Kind::ForgeryRefused,
        at: kura_platform::clock::now(),
        person,
        origin: Some(client.origin()),
        subject: None,
        detail: Some("form_token"),
    };
    Ok(audit::insert(&app.pool, entry).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form has one token; none or two are refused.
    #[test]
    fn a_form_has_exactly_one_token() {
        assert_eq!(token_of(b"email=a&form_token=x-_").as_deref(), Some("x-_"));
        assert_eq!(token_of(b"email=a"), None);
        assert_eq!(token_of(b"form_token=x&form_token=x"), None);
        assert_eq!(token_of(b"\xff\xfe"), None);
    }
}
