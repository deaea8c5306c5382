//! `/enrol/{token}/passkey`: the passkey of a person who has just chosen a password. Both are kept, or neither.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use kura_platform::clock;
use serde::Deserialize;
use uuid::Uuid;
use webauthn_rs::prelude::{Passkey, PasskeyRegistration, RegisterPublicKeyCredential};

use super::Link;
use crate::edge::client::Client;
use crate::edge::error::PageError;
use crate::edge::form::Posted;
use crate::edge::signed_in;
use crate::edge::visit::Visit;
use crate::routes::sign_in::passkey::into_console;
use crate::routes::{HOME, shell};
use crate::state::App;
use crate::store::ceremonies::{self, Ceremony, Purpose, Visitor};
use crate::store::{Transaction, audit, invitations, passkeys, people, sessions};
use crate::text::Texts;

/// The browser's answer.
#[derive(Deserialize)]
pub struct PasskeyForm {
    credential: String,
}

#[derive(Template)]
#[template(path = "enrol_passkey.html")]
struct PasskeyPage {
    t: &'static Texts,
    form_token: String,
    token: String,
    name: String,
    options: String,
}

/// Gives out a challenge.
pub async fn get(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
    visit: Visit,
) -> Result<Response, PageError> {
    let link = Link::find(&app, &token).await?;
    let (visit_hash, now) = (visit.hash(), clock::now());
    let visitor = Visitor { visit_hash: &visit_hash, user_agent_hash: &client.user_agent_hash, now };
    let person = ceremonies::find_person(&app.pool, visitor, "enrolment").await?;
    let Some(person) = person.filter(|person| person.id == link.invited.person_id) else {
        return Ok(Redirect::to(&link.path("?notice=expired")).into_response());
    };
    let user = Uuid::from_bytes(*person.id.as_bytes());
    let begun = app.webauthn.start_passkey_registration(user, &person.email, &person.name, None);
    let (options, state) = begun.map_err(|error| {
        tracing::error!(%error, "a challenge could not be made");
        PageError::Internal
    })?;
    let state = serde_json::to_value(state).map_err(|_| PageError::Internal)?;
    ceremonies::set_challenge(&app.pool, &visit_hash, state).await?;
    let page = PasskeyPage {
        t: client.texts(),
        form_token: visit.form_token(),
        token,
        name: person.name,
        options: serde_json::to_string(&options).map_err(|_| PageError::Internal)?,
    };
    shell::page(&page)
}

/// Looks at the answer, once.
pub async fn post(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
    Posted { by: visit, form }: Posted<Visit, PasskeyForm>,
) -> Result<Response, PageError> {
    let link = Link::find(&app, &token).await?;
    let (visit_hash, now) = (visit.hash(), clock::now());
    let visitor = Visitor { visit_hash: &visit_hash, user_agent_hash: &client.user_agent_hash, now };
    let Some(ceremony) = ceremonies::take(&app.pool, visitor, "enrolment").await? else {
        return Ok(Redirect::to(&link.path("?notice=expired")).into_response());
    };
    match registered(&app, &ceremony, &form.credential) {
        Ok(passkey) => keep(&app, client, &link, ceremony, &passkey).await,
        Err(reason) => {
            let entry = entry(client, &ceremony, audit::Kind::EnrolmentRefused, Some(reason));
            audit::insert(&app.pool, entry).await?;
            Ok(Redirect::to(&link.path("?notice=refused")).into_response())
        }
    }
}

/// The passkey, if the answer is one to this ceremony's challenge and the authenticator verified its user.
fn registered(app: &App, ceremony: &Ceremony, answer: &str) -> Result<Passkey, &'static str> {
    let challenge = ceremony.challenge.clone().ok_or("no_challenge")?;
    let state: PasskeyRegistration = serde_json::from_value(challenge).map_err(|_| "no_challenge")?;
    let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).map_err(|_| "malformed_attestation")?;
    app.webauthn.finish_passkey_registration(&answer, &state).map_err(|error| {
        tracing::warn!(%error, "registration refused");
        "attestation_refused"
    })
}

/// Link, password, passkey, session and audit, or none of them.
async fn keep(
    app: &App,
    client: Client,
    link: &Link,
    ceremony: Ceremony,
    passkey: &Passkey,
) -> Result<Response, PageError> {
    let now = clock::now();
    let entries = [audit::Kind::Enrolled, audit::Kind::SignedIn].map(|kind| entry(client, &ceremony, kind, None));
    let Purpose::Enrolment { invitation_hash, password_hash } = ceremony.purpose else {
        return Err(PageError::Internal);
    };
    let person_id = ceremony.person_id;
    let mut transaction = Transaction::begin(&app.pool).await?;
    let own_link = invitation_hash == link.hash && person_id == link.invited.person_id;
    if !own_link || !invitations::mark_used(transaction.on(), &invitation_hash, now).await? {
        return Err(PageError::LinkGone);
    }
    if !people::mark_enrolled(transaction.on(), person_id, &password_hash, now).await? {
        return Err(PageError::LinkGone);
    }
    passkeys::replace_all(transaction.on(), person_id, now).await?;
    passkeys::insert(transaction.on(), person_id, passkey, now).await?;
    sessions::end_all(transaction.on(), person_id, now).await?;
    let session = signed_in::begin(transaction.on(), person_id, client).await?;
    for entry in entries {
        audit::insert(transaction.on(), entry).await?;
    }
    transaction.commit().await?;
    Ok(into_console(HOME, session))
}

fn entry(
    client: Client,
    ceremony: &Ceremony,
    kind: audit::Kind,
    detail: Option<&'static str>,
) -> audit::Entry<'static> {
    let (person, origin) = (Some(ceremony.person_id), Some(client.origin()));
    audit::Entry { kind, at: clock::now(), person, origin, subject: None, detail }
}
