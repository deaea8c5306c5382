//! What shoppers pass through on their way to the issuer's page and back: `/3d_secure/{id}` and `/3d_secure/{id}/return`. The id is
//! random and known to the shopper's browser alone; whoever has it can do with it what the shopper could, and no more.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use kura_wire::ids::AuthenticationId;
use url::Url;

use super::pages::page;
use super::vouchers::unkept;
use crate::app::App;
use crate::domain::payment_intent::Status;
use crate::domain::setup_intent::Status as SetupStatus;
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::store::authentications::{self, Authentication, Owner, State as Stage};
use crate::store::{payment_intents, setup_intents};
use crate::three_d_secure::{self, PATH};

#[derive(Template)]
#[template(path = "shopper.html")]
pub(super) struct Done {
    pub(super) outcome: &'static str,
}

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route(&format!("{PATH}/{{id}}"), get(go))
        .route(&format!("{PATH}/{{id}}/return"), get(come_back).post(come_back))
}

/// The authentication that a shopper brings, and the merchant's own context for it.
async fn brought(app: &App, id: &str) -> ApiResult<(Context, Authentication)> {
    let missing = || ApiError::missing("authentication", "id");
    let id: AuthenticationId = id.parse().map_err(|_| missing())?;
    let tenant = authentications::find_tenant(app.db.work(), id).await?.ok_or_else(missing)?;
    let context = Context::working(app.clone(), tenant, *id.as_bytes());
    let found = authentications::find(&mut *context.db().await?, tenant, id).await?;
    Ok((context, found.ok_or_else(missing)?))
}

/// To the issuer's page, while it waits for the shopper.
async fn go(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Response> {
    let (context, authentication) = brought(&app, &id).await?;
    match &authentication.state {
        Stage::Challenge(url) => Ok(unkept(Redirect::to(url).into_response())),
        Stage::Asked | Stage::Ended(_) => onwards(&context, &authentication).await,
    }
}

/// Back from the issuer's page: what it says is asked of the issuer itself, not of the browser.
async fn come_back(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Response> {
    let (context, authentication) = brought(&app, &id).await?;
    if !matches!(authentication.state, Stage::Ended(_)) {
        three_d_secure::look(&context, &authentication).await?;
    }
    onwards(&context, &authentication).await
}

/// To the merchant's page, or to one of our own where it has none.
async fn onwards(context: &Context, authentication: &Authentication) -> ApiResult<Response> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let gone = || ApiError::internal("an authentication of nothing");
    let (name, id, outcome, return_url) = match authentication.owner {
        Owner::Payment(id) => {
            let intent = payment_intents::find(&mut db, tenant, id).await?.ok_or_else(gone)?;
            ("payment_intent", id.to_string(), outcome_of(intent.progress.status), intent.return_url)
        }
        Owner::Setup(id) => {
            let setup = setup_intents::find(&mut db, tenant, id).await?.ok_or_else(gone)?;
            ("setup_intent", id.to_string(), outcome_of_setup(setup.status), setup.return_url)
        }
    };
    match return_url.as_deref().map(Url::parse) {
        Some(Ok(mut url)) => {
            url.query_pairs_mut().append_pair(name, &id).append_pair("redirect_status", outcome);
            Ok(unkept(Redirect::to(url.as_str()).into_response()))
        }
        Some(Err(_)) | None => Ok(page(Done { outcome }.render())),
    }
}

pub(super) const fn outcome_of(status: Status) -> &'static str {
    match status {
        Status::Succeeded | Status::RequiresCapture => "succeeded",
        Status::Processing | Status::RequiresAction => "pending",
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Canceled => "failed",
    }
}

const fn outcome_of_setup(status: SetupStatus) -> &'static str {
    match status {
        SetupStatus::Succeeded => "succeeded",
        SetupStatus::Processing | SetupStatus::RequiresAction => "pending",
        SetupStatus::RequiresPaymentMethod | SetupStatus::RequiresConfirmation | SetupStatus::Canceled => "failed",
    }
}
