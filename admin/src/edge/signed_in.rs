//! The session check. [`SignedIn`] can be made here alone, and every page but sign-in and enrolment asks for it.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use kura_platform::clock;
use kura_wire::ids::PersonId;

use super::client::Client;
use super::cookie;
use super::error::PageError;
use super::form::FormSecret;
use crate::domain::role::Permission;
use crate::domain::secret::Secret;
use crate::domain::session::{self, Standing};
use crate::state::App;
use crate::store::people::Person;
use crate::store::{Connection, Transaction, audit, sessions};

/// Witness: this request's cookie is that of a session that stands, made after password and passkey.
pub struct SignedIn {
    person: Person,
    client: Client,
    cookie: Secret,
}

/// Witness: the session's person may do this kind of thing.
#[derive(Clone, Copy)]
pub struct Permitted(());

impl SignedIn {
    /// Who.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// On which end.
    pub fn client(&self) -> Client {
        self.client
    }

    /// The token for its forms.
    pub fn form_token(&self) -> String {
        self.cookie.form_token()
    }

    /// Whether the role has the permission; a refusal is audited.
    ///
    /// # Errors
    /// [`PageError::Forbidden`].
    pub async fn require(&self, app: &App, permission: Permission) -> Result<Permitted, PageError> {
        if self.person.role.may(permission) {
            return Ok(Permitted(()));
        }
        let detail = match permission {
            Permission::ViewPayments => "view_payments",
            Permission::ViewSystem => "view_system",
            Permission::EnterShares => "enter_shares",
        };
        audit::insert(&app.pool, self.entry(audit::Kind::PermissionRefused, None, Some(detail))).await?;
        Err(PageError::Forbidden)
    }

    /// An audit row about this person, from this request.
    pub fn entry<'a>(
        &self,
        kind: audit::Kind,
        subject: Option<&'a str>,
        detail: Option<&'static str>,
    ) -> audit::Entry<'a> {
        let origin = Some(self.client.origin());
        audit::Entry { kind, at: clock::now(), person: Some(self.person.id), origin, subject, detail }
    }

    /// Ends the session, here and in the browser.
    ///
    /// # Errors
    /// When the database gives no answer.
    pub async fn sign_out(self, app: &App, answer: impl IntoResponse) -> Result<Response, PageError> {
        let mut transaction = Transaction::begin(&app.pool).await?;
        if sessions::end(transaction.on(), &self.cookie.hash(), clock::now()).await? {
            audit::insert(transaction.on(), self.entry(audit::Kind::SignedOut, None, None)).await?;
        }
        transaction.commit().await?;
        let mut answer = answer.into_response();
        if let Some(value) = cookie::clear(cookie::SESSION) {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(answer)
    }
}

/// Begins a session, inside the transaction that settled the passkey; gives the cookie's line.
///
/// # Errors
/// [`PageError::Internal`] if the person was disabled meanwhile.
pub async fn begin(
    transaction: &mut Connection,
    person_id: PersonId,
    client: Client,
) -> Result<HeaderValue, PageError> {
    let (now, secret) = (clock::now(), Secret::random());
    let binding = sessions::Binding { user_agent_hash: &client.user_agent_hash, address: client.address };
    let expires_at = now + session::WHOLE;
    if !sessions::insert(transaction, &secret.hash(), person_id, binding, now, expires_at).await? {
        return Err(PageError::Internal);
    }
    cookie::set(cookie::SESSION, &secret).ok_or(PageError::Internal)
}

async fn check(parts: &mut Parts, app: &App) -> Result<Option<SignedIn>, PageError> {
    let client = Client::from_request_parts(parts, app).await?;
    let Some(cookie) = cookie::read(&parts.headers, cookie::SESSION) else { return Ok(None) };
    let Some(found) = sessions::find(&app.pool, &cookie.hash(), &client.user_agent_hash).await? else {
        return Ok(None);
    };
    let now = clock::now();
    match session::standing(found.facts, now) {
        Standing::Stands if sessions::touch(&app.pool, &cookie.hash(), now).await? => {
            Ok(Some(SignedIn { person: found.person, client, cookie }))
        }
        Standing::Stands | Standing::Over => Ok(None),
        Standing::End(why) => {
            end(app, client, &found.person, &cookie, why).await?;
            Ok(None)
        }
    }
}

async fn end(app: &App, client: Client, person: &Person, cookie: &Secret, why: &'static str) -> Result<(), PageError> {
    tracing::warn!(person = %person.id, why, request_id = %client.request_id, "session ended");
    let now = clock::now();
    let mut transaction = Transaction::begin(&app.pool).await?;
    if sessions::end(transaction.on(), &cookie.hash(), now).await? {
        let entry = audit::Entry {
            kind: audit::Kind::SessionEnded,
            at: now,
            person: Some(person.id),
            origin: Some(client.origin()),
            subject: None,
            detail: Some(why),
        };
        audit::insert(transaction.on(), entry).await?;
    }
    transaction.commit().await?;
    Ok(())
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let back = (parts.method == Method::GET).then(|| parts.uri.path_and_query().map(ToString::to_string)).flatten();
        check(parts, app).await?.ok_or(PageError::NotSignedIn(back))
    }
}

impl OptionalFromRequestParts<App> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, PageError> {
        check(parts, app).await
    }
}

impl FormSecret for SignedIn {
    fn accepts_form_token(&self, presented: &str) -> bool {
        self.cookie.accepts_form_token(presented)
    }

    fn person(&self) -> Option<PersonId> {
        Some(self.person.id)
    }
}
