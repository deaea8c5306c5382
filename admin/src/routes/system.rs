//! `GET /system`: what the services say of themselves.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use kura_wire::control::ServiceStatus;

use super::shell::{self, Moment, Section, Shell};
use crate::control::ControlError;
use crate::domain::role::Permission;
use crate::edge::error::PageError;
use crate::edge::signed_in::SignedIn;
use crate::state::App;
use crate::store::{StoreError, audit};
use crate::text::Texts;

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    t: &'static Texts,
    shell: Shell,
    services: Vec<Service>,
}

struct Service {
    name: String,
    chip: &'static str,
    tone: &'static str,
    status: Option<Status>,
}

struct Status {
    version: String,
    started: Moment,
    checks: Vec<Check>,
}

struct Check {
    name: String,
    holds: bool,
}

/// Asks all at the same time; one that is away doesn't keep the page from showing the other.
pub async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response, PageError> {
    signed_in.require(&app, Permission::ViewSystem).await?;
    let (gateway, vaults, own) = tokio::join!(app.control.gateway_status(), app.control.vault_statuses(), own(&app));
    let t = signed_in.client().texts();
    let mut services = vec![service(t, t.gateway.to_owned(), gateway)];
    for (number, vault) in vaults.into_iter().enumerate() {
        let name = if number == 0 { t.vault.to_owned() } else { format!("{} {number}", t.vault) };
        services.push(service(t, name, vault));
    }
    services.push(service(t, t.this_console.to_owned(), Ok(own)));
    shell::page(&SystemPage { t, shell: Shell::of(&signed_in, Section::System), services })
}

/// The console's own word: its database answers, and still as a role that can't rewrite the audit.
async fn own(app: &App) -> ServiceStatus {
    let append_only = audit::require_append_only(&app.pool).await;
    let database = !matches!(append_only, Err(StoreError::Sql(_)));
    ServiceStatus {
        service: "admin".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: app.health.started_at(),
        ready: app.health.is_ready() && append_only.is_ok(),
        checks: vec![("database".to_owned(), database), ("audit_append_only".to_owned(), append_only.is_ok())],
    }
}

fn service(t: &'static Texts, name: String, answer: Result<ServiceStatus, ControlError>) -> Service {
    match answer {
        Ok(status) => {
            let (chip, tone) = if status.ready { (t.ready, "good") } else { (t.not_ready, "busy") };
            let checks = status.checks.into_iter().map(|(name, holds)| Check { name: name.replace('_', " "), holds });
            let (version, started) = (status.version, status.started_at.into());
            Service { name, chip, tone, status: Some(Status { version, started, checks: checks.collect() }) }
        }
        Err(error) => {
            tracing::error!(%error, "status");
            Service { name, chip: t.away, tone: "bad", status: None }
        }
    }
}
