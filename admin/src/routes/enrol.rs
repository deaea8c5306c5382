//! `/enrol/{token}`: an invited person chooses a password; the passkey comes next.

pub mod passkey;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use kura_platform::clock;
use serde::Deserialize;

use super::shell;
use crate::domain::password::{MAX_CHARS, MIN_CHARS, Password, Weakness};
use crate::domain::secret::{Secret, SecretHash};
use crate::edge::client::Client;
use crate::edge::error::PageError;
use crate::edge::form::Posted;
use crate::edge::visit::Visit;
use crate::state::{App, CEREMONY};
use crate::store::ceremonies::{self, Purpose, Visitor};
use crate::store::invitations::{self, Invited};
use crate::text::Texts;

/// What the form says.
#[derive(Deserialize)]
pub struct PasswordForm {
    password: Password,
    password_again: Password,
}

/// What the address may say.
#[derive(Deserialize)]
pub struct EnrolQuery {
    notice: Option<String>,
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    t: &'static Texts,
    form_token: String,
    token: String,
    name: String,
    email: String,
    problem: Option<&'static str>,
}

/// An invitation that stands, and the link that leads to it. Witness that it was looked up.
struct Link {
    token: Secret,
    hash: SecretHash,
    invited: Invited,
}

impl Link {
    async fn find(app: &App, token: &str) -> Result<Self, PageError> {
        let token = Secret::parse(token).ok_or(PageError::LinkGone)?;
        let hash = token.hash();
        let invited = invitations::find_open(&app.pool, &hash, clock::now()).await?.ok_or(PageError::LinkGone)?;
        Ok(Self { token, hash, invited })
    }

    fn page(self, client: Client, visit: &Visit, problem: Option<&'static str>) -> EnrolPage {
        EnrolPage {
            t: client.texts(),
            form_token: visit.form_token(),
            token: self.token.reveal().to_string(),
            name: self.invited.name,
            email: self.invited.email,
            problem,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/enrol/{}{rest}", *self.token.reveal())
    }
}

/// The form.
pub async fn get(
    State(app): State<App>,
    Path(token): Path<String>,
    axum::extract::Query(query): axum::extract::Query<EnrolQuery>,
    client: Client,
    visit: Visit,
) -> Result<Response, PageError> {
    let link = Link::find(&app, &token).await?;
    let problem = match query.notice.as_deref() {
        Some("refused") => Some(client.texts().enrol_refused),
        Some("expired") => Some(client.texts().enrol_expired),
        _ => None,
    };
    Ok(visit.with(shell::page(&link.page(client, &visit, problem))?))
}

/// The password step.
pub async fn post(
    State(app): State<App>,
    Path(token): Path<String>,
    client: Client,
    Posted { by: visit, form }: Posted<Visit, PasswordForm>,
) -> Result<Response, PageError> {
    let link = Link::find(&app, &token).await?;
    if let Err(problem) = check(&form, &link.invited, client.texts()) {
        return shell::page_with(StatusCode::UNPROCESSABLE_ENTITY, &link.page(client, &visit, Some(problem)));
    }
    let password_hash = app.hasher.hash(form.password).await?;
    let (visit, now) = (Visit::begin(), clock::now());
    let visitor = Visitor { visit_hash: &visit.hash(), user_agent_hash: &client.user_agent_hash, now };
    let purpose = Purpose::Enrolment { invitation_hash: link.hash.to_vec(), password_hash };
    ceremonies::insert(&app.pool, visitor, link.invited.person_id, &purpose, now + CEREMONY).await?;
    Ok(visit.with(Redirect::to(&link.path("/passkey"))))
}

fn check(form: &PasswordForm, invited: &Invited, t: &'static Texts) -> Result<(), &'static str> {
    form.password.check_for(&[&invited.email, &invited.name]).map_err(|weakness| match weakness {
        Weakness::TooShort => t.weak_short,
        Weakness::TooLong => t.weak_long,
        Weakness::TooCommon => t.weak_common,
    })?;
    if form.password.is_repeated_by(&form.password_again) { Ok(()) } else { Err(t.weak_mismatch) }
}
