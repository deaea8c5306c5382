//! `/sign-in`: e-mail and password. The passkey comes next, and only both together make a session.
//!
//! The answer and the work are the same whether the e-mail is anyone's or not.

pub mod passkey;

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use kura_platform::clock;
use kura_wire::ids::PersonId;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{HOME, shell};
use crate::domain::password::Password;
use crate::domain::secret::sha256;
use crate::domain::throttle::{self, Verdict};
use crate::edge::client::Client;
use crate::edge::error::PageError;
use crate::edge::form::Posted;
use crate::edge::signed_in::SignedIn;
use crate::edge::visit::Visit;
use crate::invite::normal_email;
use crate::state::{App, CEREMONY};
use crate::store::ceremonies::{self, Purpose, Visitor};
use crate::store::sign_in_attempts::{self as attempts, AttemptOutcome};
use crate::store::{audit, people};
use crate::text::Texts;

/// What the address may say.
#[derive(Deserialize)]
pub struct SignInQuery {
    next: Option<String>,
    notice: Option<String>,
}

/// What the form says.
#[derive(Deserialize)]
pub struct SignInForm {
    email: String,
    password: Password,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    t: &'static Texts,
    form_token: String,
    email: String,
    next: Option<String>,
    problem: Option<String>,
    notice: Option<&'static str>,
}

/// The form.
pub async fn get(
    signed_in: Option<SignedIn>,
    client: Client,
    visit: Visit,
    Query(query): Query<SignInQuery>,
) -> Result<Response, PageError> {
    let next = query.next.as_deref().and_then(own_path);
    if signed_in.is_some() {
        return Ok(Redirect::to(next.as_deref().unwrap_or(HOME)).into_response());
    }
    let t = client.texts();
    let (problem, notice) = match query.notice.as_deref() {
        Some("signed_out") => (None, Some(t.signed_out)),
        Some("refused") => (Some(t.sign_in_refused.to_owned()), None),
        Some("expired") => (Some(t.sign_in_expired.to_owned()), None),
        _ => (None, None),
    };
    let page = SignInPage { t, form_token: visit.form_token(), email: String::new(), next, problem, notice };
    Ok(visit.with(shell::page(&page)?))
}

/// The password step.
pub async fn post(
    State(app): State<App>,
    client: Client,
    Posted { by: visit, form }: Posted<Visit, SignInForm>,
) -> Result<Response, PageError> {
    let next = form.next.as_deref().and_then(own_path);
    let email = normal_email(&form.email);
    let attempt = Attempt::write_down(&app, client, email.as_deref()).await?;
    let refused = |status, problem| {
        // What was typed goes back into the form only if it is an e-mail; anything else may be a misplaced password.
        let email = email.clone().unwrap_or_default();
        let (t, next) = (client.texts(), next.clone());
        let page = SignInPage { t, form_token: visit.form_token(), email, next, problem: Some(problem), notice: None };
        shell::page_with(status, &page)
    };
    if let Some(wait) = attempt.must_wait(&app).await? {
        let answer = refused(StatusCode::TOO_MANY_REQUESTS, client.texts().wait(wait))?;
        return Ok(with_retry_after(answer, wait));
    }
    match attempt.look_at(&app, email.as_deref(), form.password).await? {
        Some(person_id) => {
            // A new visit: an id that somebody may have planted before is worth nothing after this.
            let visit = Visit::begin();
            let purpose = Purpose::SignIn { attempt_id: attempt.id, return_to: next };
            let now = attempt.at;
            let (visit_hash, user_agent_hash) = (&visit.hash(), &client.user_agent_hash);
            let visitor = Visitor { visit_hash, user_agent_hash, now };
            ceremonies::insert(&app.pool, visitor, person_id, &purpose, now + CEREMONY).await?;
            Ok(visit.with(Redirect::to("/sign-in/passkey")))
        }
        None => refused(StatusCode::UNPROCESSABLE_ENTITY, client.texts().sign_in_refused.to_owned()),
    }
}

/// One attempt, written down before anything of it is looked at.
struct Attempt {
    id: i64,
    at: OffsetDateTime,
    client: Client,
    account_hash: [u8; 32],
}

impl Attempt {
    /// What can't be an e-mail shares one account: it may be a misplaced password, of which not even a hash is kept.
    async fn write_down(app: &App, client: Client, email: Option<&str>) -> Result<Self, PageError> {
        let at = clock::now();
        let account_hash = sha256(email.unwrap_or_default().as_bytes());
        let id = attempts::insert(&app.pool, client.address, &account_hash, at).await?;
        Ok(Self { id, at, client, account_hash })
    }

    /// How long, if the attempt may not be looked at.
    async fn must_wait(&self, app: &App) -> Result<Option<Duration>, PageError> {
        let since = self.at - throttle::WINDOW;
        let a_minute_ago = self.at - Duration::from_secs(60);
        let account = attempts::count_for_account(&app.pool, &self.account_hash, self.id, since).await?;
        let (address, refused_lately) =
            attempts::count_for_address(&app.pool, self.client.address, self.id, since, a_minute_ago).await?;
        let Verdict::Wait(wait) = throttle::decide(account, address, self.at) else { return Ok(None) };
        attempts::set_outcome(&app.pool, self.id, AttemptOutcome::Refused).await?;
        if !refused_lately {
            // One row a minute and address says it; thousands would only fill the audit.
            self.audit(app, None, "throttled").await?;
        }
        Ok(Some(wait))
    }

    /// Whose password it is, if it is somebody's.
    async fn look_at(&self, app: &App, email: Option<&str>, password: Password) -> Result<Option<PersonId>, PageError> {
        let account = people::find_account(&app.pool, email.unwrap_or_default()).await?;
        let (person, stored) = match account {
            Some(account) => (Some(account.person_id), Some(account.password_hash)),
            None => (None, None),
        };
        let right = !password.is_oversized() && app.hasher.verify(password, stored).await?;
        if right {
            return Ok(person);
        }
        attempts::set_outcome(&app.pool, self.id, AttemptOutcome::Failed).await?;
        let reason = if person.is_some() { "wrong_password" } else { "unknown_account" };
        self.audit(app, person, reason).await?;
        Ok(None)
    }

    async fn audit(&self, app: &App, person: Option<PersonId>, reason: &'static str) -> Result<(), PageError> {
        let entry = audit::Entry {
            kind: audit::Kind::SignInFailed,
            at: self.at,
            person,
            origin: Some(self.client.origin()),
            subject: None,
            detail: Some(reason),
        };
        Ok(audit::insert(&app.pool, entry).await?)
    }
}

fn with_retry_after(mut answer: Response, wait: Duration) -> Response {
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
    answer
}

/// A page of this console to go back to, and nothing else: no other host, however it is spelled.
pub(super) fn own_path(path: &str) -> Option<String> {
    let known = ["/payments", "/system"].iter().any(|page| {
        path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'))
    });
    let plain =
        path.len() <= 300 && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/?=&_-.%+".contains(&byte));
    (known && plain && !path.contains("//")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signing in leads back to a page of this console, never to another host.
    #[test]
    fn the_way_back_is_our_own() {
        for path in ["/payments", "/payments?status=succeeded&before=pi_1", "/payments/pi_0123", "/system"] {
            assert_eq!(own_path(path).as_deref(), Some(path));
        }
        for path in [
            "",
            "/",
            "//evil.example",
            "/payments//evil.example",
            "/paymentsx",
            "https://evil.example/payments",
            "/payments\\evil",
            "/payments\r\nSet-Cookie: a=b",
            "/enrol/x",
            "/sign-out",
            &format!("/payments?{}", "a".repeat(300)),
        ] {
            assert_eq!(own_path(path), None, "{path:?}");
        }
    }
}
