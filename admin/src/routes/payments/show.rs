//! `GET /payments/{id}`: one payment and all that happened to it, in the gateway, in the vault and at the network.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use kura_wire::control::PaymentDetail;
use kura_wire::ids::PaymentIntentId;
use time::OffsetDateTime;

use super::super::shell::{self, Moment, Section, Shell};
use super::{Row, row};
use crate::domain::money::{self, Amount};
use crate::domain::role::Permission;
use crate::domain::timeline::{self, Event, Zone};
use crate::edge::error::PageError;
use crate::edge::signed_in::SignedIn;
use crate::state::App;
use crate::store::audit;
use crate::text::Texts;

#[derive(Template)]
#[template(path = "payment.html")]
struct PaymentPage {
    t: &'static Texts,
    shell: Shell,
    row: Row,
    received: Amount,
    refunded: Option<Amount>,
    description: Option<String>,
    failure_code: Option<String>,
    entries: Vec<Entry>,
    vault_away: bool,
}

/// One line of the timeline.
struct Entry {
    title: String,
    zone: &'static str,
    zone_name: &'static str,
    tone: &'static str,
    at: Moment,
    /// Since the entry before it.
    after: Option<String>,
    amount: Option<Amount>,
    code: Option<String>,
    facts: Vec<Fact>,
}

/// A name and a value.
struct Fact {
    name: &'static str,
    value: String,
}

/// The page. That it was looked at is written down before it is shown.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path<String>) -> Result<Response, PageError> {
    signed_in.require(&app, Permission::ViewPayments).await?;
    let id: PaymentIntentId = id.parse().map_err(|_| PageError::NotFound)?;
    let detail = app.control.payment(id).await?.ok_or(PageError::NotFound)?;
    let openings = app.control.openings(&timeline::attempts(&detail.timeline)).await;
    let (openings, vault_away) = match openings {
        Ok(openings) => (openings, false),
        Err(error) => {
            tracing::error!(%error, "a payment is shown without the vault's part");
            (Vec::new(), true)
        }
    };
    let subject = id.to_string();
    audit::insert(&app.pool, signed_in.entry(audit::Kind::PaymentViewed, Some(&subject), None)).await?;
    let PaymentDetail { payment, description, timeline } = detail;
    let t = signed_in.client().texts();
    let refunded = payment.amount_refunded_minor;
    shell::page(&PaymentPage {
        t,
        shell: Shell::of(&signed_in, Section::Payments),
        received: money::format(payment.amount_received_minor, &payment.currency),
        refunded: (refunded > 0).then(|| money::format(refunded, &payment.currency)),
        description,
        failure_code: payment.failure_code.clone(),
        entries: entries(t, &payment.currency, timeline::merge(timeline, openings)),
        row: row(t, payment),
        vault_away,
    })
}

fn entries(t: &'static Texts, currency: &str, events: Vec<Event>) -> Vec<Entry> {
    let mut before: Option<OffsetDateTime> = None;
    let one = |event: Event| {
        let after = before.replace(event.at).map(|earlier| elapsed(event.at - earlier));
        entry(t, currency, event, after)
    };
    events.into_iter().map(one).collect()
}

fn entry(t: &'static Texts, currency: &str, event: Event, after: Option<String>) -> Entry {
    let (zone, zone_name) = match event.zone {
        Zone::Gateway => ("gateway", t.zone_gateway),
        Zone::Vault => ("vault", t.zone_vault),
        Zone::Network => ("network", t.zone_network),
    };
    let tone = match event.kind.as_str() {
        "succeeded" | "captured" => "good",
        "declined" | "failed" | "refund_failed" => "bad",
        _ => "calm",
    };
    Entry {
        title: t.kind_name(&event.kind).to_owned(),
        zone,
        zone_name,
        tone,
        at: event.at.into(),
        after,
        amount: event.amount_minor.map(|minor| money::format(minor, currency)),
        code: event.code.clone(),
        facts: facts(t, &event),
    }
}

fn facts(t: &'static Texts, event: &Event) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| Fact { name, value }));
    if let Some(opening) = &event.opening {
        fact(t.purpose, Some(opening.purpose.clone()));
        fact(t.fields, Some(opening.fields.join(", ")));
        fact(t.record, Some(opening.record.clone()));
        fact(t.asked_by, Some(opening.actor.clone()));
        fact(t.ledger_row, Some(format!("{}/{}", opening.node, opening.sequence)));
    }
    fact(t.reference, event.network_reference.clone());
    fact(t.attempt, event.attempt.map(|attempt| attempt.to_string()));
    fact(t.request, event.request_id.map(|request| request.to_string()));
    facts
}

/// `+250 ms`, `+1.2 s`, `+3 min`, `+2 h`, `+4 d`; a clock that went back shows as it is.
fn elapsed(span: time::Duration) -> String {
    let sign = if span.is_negative() { "−" } else { "+" };
    let span = span.unsigned_abs();
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{sign}{} ms", span.as_millis()),
        1..60 => format!("{sign}{}.{} s", seconds, span.subsec_millis() / 100),
        60..3600 => format!("{sign}{} min", seconds / 60),
        3600..86_400 => format!("{sign}{} h", seconds / 3600),
        _ => format!("{sign}{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time between two entries is told in the unit that fits it.
    #[test]
    fn elapsed_time_has_a_fitting_unit() {
        let told = |ms| elapsed(time::Duration::milliseconds(ms));
        assert_eq!(told(0), "+0 ms");
        assert_eq!(told(999), "+999 ms");
        assert_eq!(told(1250), "+1.2 s");
        assert_eq!(told(61_000), "+1 min");
        assert_eq!(told(7_300_000), "+2 h");
        assert_eq!(told(200_000_000), "+2 d");
        assert_eq!(told(-40), "−40 ms");
    }
}
