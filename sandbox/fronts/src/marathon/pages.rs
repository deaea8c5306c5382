//! Pages out of what the handlers decided.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use time::UtcOffset;
use time::macros::format_description;

use super::Marathon;
use super::entry::{Entry, Form, Payment, Problem, Race, draw_nonce};
use super::texts::{Language, Texts};

/// What a form has to say before it is filled in once more.
pub(super) enum Notice<'a> {
    Declined(&'a str),
    Refused,
    Busy,
    Problem(Problem),
}

struct Choice {
    value: &'static str,
    title: &'static str,
    detail: &'static str,
    fee: String,
    checked: bool,
}

#[derive(Template)]
#[template(path = "marathon/form.html")]
struct FormPage<'a> {
    t: &'static Texts,
    lang: &'static str,
    other_lang: &'static str,
    form: &'a Form,
    nonce: String,
    races: Vec<Choice>,
    total: String,
    notice: Option<(&'static str, &'static str, bool)>,
    publishable_key: &'a str,
    script: Option<(String, &'a str)>,
}

#[derive(Template)]
#[template(path = "marathon/outcome.html")]
struct OutcomePage<'a> {
    t: &'static Texts,
    lang: &'static str,
    other_lang: &'static str,
    kind: &'static str,
    title: &'static str,
    lead: &'static str,
    reference: &'a str,
    name: &'a str,
    email: &'a str,
    race: &'static str,
    fee: String,
    bib: Option<u32>,
    payment: Option<&'a str>,
    paid_at: Option<String>,
}

#[derive(Template)]
#[template(path = "marathon/missing.html")]
struct MissingPage {
    t: &'static Texts,
    lang: &'static str,
    other_lang: &'static str,
}

/// The registration with its form, empty or as it was sent.
pub(super) fn form(marathon: &Marathon, language: Language, form: &Form, notice: Option<Notice<'_>>) -> Response {
    let t = language.texts();
    let chosen = Race::ALL.into_iter().find(|race| race.as_str() == form.race).unwrap_or(Race::Half);
    let races = Race::ALL.into_iter().map(|race| {
        let (title, detail) = words(race, t);
        Choice { value: race.as_str(), title, detail, fee: language.yen(race.fee_yen()), checked: race == chosen }
    });
    let gateway = &marathon.gateway;
    render(&FormPage {
        t,
        lang: language.tag(),
        other_lang: language.other().tag(),
        form,
        nonce: draw_nonce(),
        races: races.collect(),
        total: language.yen(chosen.fee_yen()),
        notice: notice.map(|notice| notice.words(t)),
        publishable_key: &marathon.publishable_key,
        script: gateway.script_integrity().map(|integrity| (gateway.script_url(), integrity)),
    })
}

/// An entry, by how its payment stands: the receipt, the wait, the way on, or the form with the reason.
pub(super) fn entry(marathon: &Marathon, language: Language, entry: &Entry, payment: &Payment) -> Response {
    let t = language.texts();
    match payment {
        Payment::Paid { payment, bib, at } => {
            let page = outcome(language, entry, ("paid", t.paid_title, t.paid_lead));
            let tokyo = UtcOffset::from_hms(9, 0, 0).map_or(*at, |tokyo| at.to_offset(tokyo));
            let paid_at = tokyo.format(format_description!("[year]-[month]-[day] [hour]:[minute] JST")).ok();
            render(&OutcomePage { bib: Some(*bib), payment: Some(payment), paid_at, ..page })
        }
        Payment::Processing { payment } => {
            let page = outcome(language, entry, ("processing", t.processing_title, t.processing_lead));
            render(&OutcomePage { payment: Some(payment), ..page })
        }
        Payment::Pending | Payment::Unreachable => {
            render(&outcome(language, entry, ("away", t.away_title, t.away_lead)))
        }
        Payment::Declined { code } => form(marathon, language, &sent(entry), Some(Notice::Declined(code))),
        Payment::Refused => form(marathon, language, &sent(entry), Some(Notice::Refused)),
    }
}

/// For an address that leads nowhere.
pub(super) fn missing(language: Language) -> Response {
    render(&MissingPage { t: language.texts(), lang: language.tag(), other_lang: language.other().tag() })
}

fn outcome<'a>(
    language: Language,
    entry: &'a Entry,
    says: (&'static str, &'static str, &'static str),
) -> OutcomePage<'a> {
    let (kind, title, lead) = says;
    let t = language.texts();
    let application = entry.application();
    OutcomePage {
        t,
        lang: language.tag(),
        other_lang: language.other().tag(),
        kind,
        title,
        lead,
        reference: entry.reference(),
        name: &application.name,
        email: &application.email,
        race: words(application.race, t).0,
        fee: language.yen(application.race.fee_yen()),
        bib: None,
        payment: None,
        paid_at: None,
    }
}

/// The form of an entry, to be filled in again: all but the card and the nonce.
fn sent(entry: &Entry) -> Form {
    let application = entry.application();
    Form {
        race: application.race.as_str().to_owned(),
        name: application.name.clone(),
        email: application.email.clone(),
        ..Form::default()
    }
}

const fn words(race: Race, t: &Texts) -> (&'static str, &'static str) {
    match race {
        Race::Half => (t.half, t.half_detail),
        Race::Ten => (t.ten, t.ten_detail),
        Race::Family => (t.family, t.family_detail),
    }
}

impl Notice<'_> {
    /// Title, text, and whether the form below is to be tried again.
    fn words(&self, t: &Texts) -> (&'static str, &'static str, bool) {
        match self {
            Self::Declined(code) => (t.declined_title, t.decline(code), true),
            Self::Refused => (t.refused_title, t.refused, false),
            Self::Busy => (t.refused_title, t.busy, false),
            Self::Problem(problem) => (t.problem_title, problem.words(t), false),
        }
    }
}

impl Problem {
    const fn words(self, t: &Texts) -> &'static str {
        match self {
            Self::Name => t.problem_name,
            Self::Email => t.problem_email,
            Self::Race => t.problem_race,
            Self::Card => t.problem_card,
            Self::Form => t.problem_form,
        }
    }
}

fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "page can't be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
