//! `/sign-in/passkey`: the second step, and the only place that makes a session for somebody who is enrolled.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use kura_platform::clock;
use kura_wire::ids::PersonId;
use serde::Deserialize;
use webauthn_rs::prelude::{AuthenticationResult, Passkey, PasskeyAuthentication, PublicKeyCredential, WebauthnError};

use super::HOME;
use crate::edge::client::Client;
use crate::edge::cookie;
use crate::edge::error::PageError;
use crate::edge::form::Posted;
use crate::edge::signed_in;
use crate::edge::visit::Visit;
use crate::routes::shell;
use crate::state::App;
use crate::store::ceremonies::{self, Purpose, Visitor};
use crate::store::sign_in_attempts::{self as attempts, AttemptOutcome};
use crate::store::{Transaction, audit, passkeys, sessions};
use crate::text::Texts;

/// The browser's answer.
#[derive(Deserialize)]
pub struct PasskeyForm {
    credential: String,
}

#[derive(Template)]
#[template(path = "sign_in_passkey.html")]
struct PasskeyPage {
    t: &'static Texts,
    form_token: String,
    email: String,
    options: String,
}

/// Gives out a challenge.
pub async fn get(State(app): State<App>, client: Client, visit: Visit) -> Result<Response, PageError> {
    let (visit_hash, now) = (visit.hash(), clock::now());
    let visitor = Visitor { visit_hash: &visit_hash, user_agent_hash: &client.user_agent_hash, now };
    let Some(person) = ceremonies::find_person(&app.pool, visitor, "sign_in").await? else {
        return Ok(Redirect::to("/sign-in?notice=expired").into_response());
    };
    let keys = passkeys::list_usable(&app.pool, person.id).await?;
    if keys.is_empty() {
        return refuse(&app, client, visitor, "no_usable_passkey").await;
    }
    let (options, state) = app.webauthn.start_passkey_authentication(&keys).map_err(|error| broken(&error))?;
    let state = serde_json::to_value(state).map_err(|_| PageError::Internal)?;
    ceremonies::set_challenge(&app.pool, &visit_hash, state).await?;
    let options = serde_json::to_string(&options).map_err(|_| PageError::Internal)?;
    let page = PasskeyPage { t: client.texts(), form_token: visit.form_token(), email: person.email, options };
    shell::page(&page)
}

/// Looks at the answer, once.
pub async fn post(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    Posted { by: visit, form }: Posted<Visit, PasskeyForm>,
) -> Result<Response, PageError> {
    let (visit_hash, now) = (visit.hash(), clock::now());
    let visitor = Visitor { visit_hash: &visit_hash, user_agent_hash: &client.user_agent_hash, now };
    let Some(ceremony) = ceremonies::take(&app.pool, visitor, "sign_in").await? else {
        return Ok(Redirect::to("/sign-in?notice=expired").into_response());
    };
    let Purpose::SignIn { attempt_id, return_to } = ceremony.purpose else { return Err(PageError::Internal) };
    let failing = Failing { app: &app, client, person_id: ceremony.person_id, attempt_id };
    let Some(challenge) = ceremony.challenge else { return failing.because("no_challenge").await };
    let state: PasskeyAuthentication = serde_json::from_value(challenge).map_err(|_| PageError::Internal)?;
    let Ok(credential) = serde_json::from_str::<PublicKeyCredential>(&form.credential) else {
        return failing.because("malformed_assertion").await;
    };
    match app.webauthn.finish_passkey_authentication(&credential, &state) {
        Ok(result) if result.user_verified() => {
            let old = cookie::read(&headers, cookie::SESSION).map(|cookie| cookie.hash());
            succeed(&failing, &result, return_to.as_deref(), old).await
        }
        Ok(_) | Err(WebauthnError::UserNotVerified) => failing.because("user_not_verified").await,
        Err(WebauthnError::CredentialPossibleCompromise) => failing.suspend(&credential.raw_id).await,
        Err(error) => {
            tracing::warn!(%error, request_id = %client.request_id, "assertion refused");
            failing.because("assertion_refused").await
        }
    }
}

/// The counter, the session and the audit, or none of them.
async fn succeed(
    attempt: &Failing<'_>,
    result: &AuthenticationResult,
    return_to: Option<&str>,
    old_session: Option<[u8; 32]>,
) -> Result<Response, PageError> {
    let Failing { app, client, person_id, attempt_id } = *attempt;
    let now = clock::now();
    let keys = passkeys::list_usable(&app.pool, person_id).await?;
    let used = keys.into_iter().find(|key| key.cred_id() == result.cred_id());
    let Some(mut used): Option<Passkey> = used else { return attempt.because("no_usable_passkey").await };
    used.update_credential(result);
    let mut transaction = Transaction::begin(&app.pool).await?;
    if !passkeys::mark_used(transaction.on(), person_id, &used, result.counter(), now).await? {
        drop(transaction);
        return attempt.suspend(result.cred_id().as_slice()).await;
    }
    if let Some(old) = old_session {
        sessions::end(transaction.on(), &old, now).await?;
    }
    attempts::set_outcome(transaction.on(), attempt_id, AttemptOutcome::Passed).await?;
    let session = signed_in::begin(transaction.on(), person_id, client).await?;
    audit::insert(transaction.on(), attempt.entry(audit::Kind::SignedIn, None)).await?;
    transaction.commit().await?;
    Ok(into_console(return_to.unwrap_or(HOME), session))
}

/// Into the console with a new session, and without the visit that led to it.
pub(crate) fn into_console(path: &str, session: HeaderValue) -> Response {
    let mut answer = Redirect::to(path).into_response();
    let cookies = std::iter::once(session).chain(cookie::clear(cookie::VISIT));
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// An attempt whose password was right and whose passkey may not be.
struct Failing<'a> {
    app: &'a App,
    client: Client,
    person_id: PersonId,
    attempt_id: i64,
}

impl Failing<'_> {
    fn entry(&self, kind: audit::Kind, detail: Option<&'static str>) -> audit::Entry<'static> {
        let (person, origin) = (Some(self.person_id), Some(self.client.origin()));
        audit::Entry { kind, at: clock::now(), person, origin, subject: None, detail }
    }

    /// Counts as a failure, is audited with its reason, and says no more than any other failure.
    async fn because(&self, reason: &'static str) -> Result<Response, PageError> {
        attempts::set_outcome(&self.app.pool, self.attempt_id, AttemptOutcome::Failed).await?;
        audit::insert(&self.app.pool, self.entry(audit::Kind::SignInFailed, Some(reason))).await?;
        Ok(Redirect::to("/sign-in?notice=refused").into_response())
    }

    /// The counter went back: two authenticators have this key. It is worth nothing from now on.
    async fn suspend(&self, credential_id: &[u8]) -> Result<Response, PageError> {
        tracing::warn!(person = %self.person_id, "a passkey's counter went back: it exists twice, and is suspended");
        passkeys::suspend(&self.app.pool, self.person_id, credential_id, clock::now()).await?;
        self.because("cloned_passkey").await
    }
}

async fn refuse(app: &App, client: Client, visitor: Visitor<'_>, reason: &'static str) -> Result<Response, PageError> {
    match ceremonies::take(&app.pool, visitor, "sign_in").await? {
        Some(ceremonies::Ceremony { person_id, purpose: Purpose::SignIn { attempt_id, .. }, .. }) => {
            Failing { app, client, person_id, attempt_id }.because(reason).await
        }
        _ => Ok(Redirect::to("/sign-in?notice=expired").into_response()),
    }
}

fn broken(error: &WebauthnError) -> PageError {
    tracing::error!(%error, "a challenge could not be made");
    PageError::Internal
}
