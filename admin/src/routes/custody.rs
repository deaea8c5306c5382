//! `/custody`: how custody stands, and the form in which a custodian enters a share. The browser seals the share to a vault
//! node; this console sees and passes on the box.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kura_wire::control::ControlCode;
use kura_wire::custody::{CustodianSet, CustodyStatus, EnteredShare, SharePurpose};
use serde::Deserialize;

use super::shell::{self, Moment, Section, Shell};
use crate::domain::role::Permission;
use crate::edge::error::PageError;
use crate::edge::form::Posted;
use crate::edge::signed_in::SignedIn;
use crate::state::App;
use crate::store::audit::{self, Kind};
use crate::text::Texts;

/// What the form sends. The field that the share is typed into has no name.
#[derive(Deserialize)]
pub struct ShareForm {
    sealed: String,
}

#[derive(Template)]
#[template(path = "custody.html")]
struct CustodyPage {
    t: &'static Texts,
    shell: Shell,
    notice: Option<Notice>,
    vault: Option<VaultCustody>,
}

struct Notice {
    text: String,
    is_problem: bool,
}

struct VaultCustody {
    node: u16,
    chip: &'static str,
    tone: &'static str,
    provider: String,
    sets: Vec<Set>,
    form: Option<Form>,
}

struct Set {
    title: &'static str,
    rule: String,
    made: Moment,
    /// Each with whether their share waits now.
    custodians: Vec<(String, bool)>,
    /// How many more shares are needed, once one waits.
    missing: Option<String>,
}

struct Form {
    purpose: &'static str,
    lead: &'static str,
    keys: String,
    identity: String,
    fingerprint: String,
}

/// The page.
pub async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response, PageError> {
    signed_in.require(&app, Permission::EnterShares).await?;
    let status = app.control.custody().await.inspect_err(|error| tracing::error!(%error, "custody")).ok();
    page(&app, &signed_in, StatusCode::OK, status, None)
}

/// Passes a box on.
pub async fn post(
    State(app): State<App>,
    Posted { by: signed_in, form }: Posted<SignedIn, ShareForm>,
) -> Result<Response, PageError> {
    signed_in.require(&app, Permission::EnterShares).await?;
    let entered: EnteredShare = serde_json::from_str(&form.sealed).map_err(|_| PageError::Request)?;
    // First the row, then the share: what was done here is known even if the vault never answers.
    audit::insert(&app.pool, signed_in.entry(Kind::ShareEntered, None, Some(entered.purpose.as_str()))).await?;
    let t = signed_in.client().texts();
    let outcome = app.control.enter_share(&entered).await;
    let (status, notice) = match outcome {
        Ok(Ok(status)) => (StatusCode::OK, Notice { text: taken(t, entered.purpose, &status), is_problem: false }),
        Ok(Err(code)) => {
            audit::insert(&app.pool, signed_in.entry(Kind::ShareRefused, None, Some(word(code)))).await?;
            (StatusCode::UNPROCESSABLE_ENTITY, Notice { text: refusal(t, code).to_owned(), is_problem: true })
        }
        Err(error) => {
            tracing::error!(%error, "custody");
            (StatusCode::BAD_GATEWAY, Notice { text: t.custody_away.to_owned(), is_problem: true })
        }
    };
    let custody = app.control.custody().await.ok();
    page(&app, &signed_in, status, custody, Some(notice))
}

fn page(
    app: &App,
    signed_in: &SignedIn,
    status: StatusCode,
    custody: Option<CustodyStatus>,
    notice: Option<Notice>,
) -> Result<Response, PageError> {
    let t = signed_in.client().texts();
    let vault = custody.map(|custody| render(t, &app.vault_identity, &custody));
    let page = CustodyPage { t, shell: Shell::of(signed_in, Section::Custody), notice, vault };
    shell::page_with(status, &page)
}

fn render(t: &'static Texts, identity: &str, status: &CustodyStatus) -> VaultCustody {
    let (chip, tone) = if status.sealed { (t.custody_sealed, "bad") } else { (t.custody_unsealed, "good") };
    let set = |title, set: &Option<CustodianSet>| set.as_ref().map(|set| render_set(t, title, set, status));
    let sets = [set(t.custody_active, &status.active), set(t.custody_pending, &status.pending)];
    let purpose = if status.wants_shares && (status.active.is_some() || status.pending.is_some()) {
        Some((SharePurpose::Unseal, t.custody_unseal_lead))
    } else if !status.sealed && status.active.is_some() && status.pending.is_some() {
        Some((SharePurpose::Reshare, t.custody_reshare_lead))
    } else {
        None
    };
    VaultCustody {
        node: status.node,
        chip,
        tone,
        provider: status.provider.clone(),
        sets: sets.into_iter().flatten().collect(),
        form: purpose.map(|(purpose, lead)| Form {
            purpose: purpose.as_str(),
            lead,
            keys: serde_json::to_string(&status.keys).unwrap_or_default(),
            identity: identity.to_owned(),
            fingerprint: fingerprint(identity),
        }),
    }
}

fn render_set(t: &'static Texts, title: &'static str, set: &CustodianSet, status: &CustodyStatus) -> Set {
    let entered = status.entered.iter().find(|entered| entered.set == set.id);
    let waits = |name: &String| entered.is_some_and(|entered| entered.custodians.contains(name));
    Set {
        title,
        rule: t
            .custody_rule
            .replace("{k}", &set.threshold.to_string())
            .replace("{n}", &set.custodians.len().to_string()),
        made: set.created_at.into(),
        custodians: set.custodians.iter().map(|name| (name.clone(), waits(name))).collect(),
        missing: entered.map(|entered| t.custody_missing.replace("{n}", &entered.missing.to_string())),
    }
}

/// The first letters of the pinned identity, in fours, to compare by eye with what `kura vault init` and `status` say.
fn fingerprint(identity: &str) -> String {
    let letters: Vec<char> = identity.chars().take(24).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn taken(t: &'static Texts, purpose: SharePurpose, status: &CustodyStatus) -> String {
    let missing =
        status.entered.iter().filter(|entered| entered.purpose == purpose).map(|entered| entered.missing).max();
    match (purpose, missing) {
        (_, Some(missing)) => t.custody_taken.replace("{n}", &missing.to_string()),
        (SharePurpose::Unseal, None) => t.custody_done_unsealed.to_owned(),
        (SharePurpose::Reshare, None) => t.custody_done_replaced.to_owned(),
    }
}

fn refusal(t: &'static Texts, code: ControlCode) -> &'static str {
    match code {
        ControlCode::TooManyTries => t.custody_too_many,
        ControlCode::SharesWrong => t.custody_wrong,
        ControlCode::ShareDuplicate => t.custody_duplicate,
        ControlCode::ShareOfOtherSet => t.custody_other_set,
        ControlCode::ShareRetired => t.custody_retired,
        ControlCode::ShareUnopenable => t.custody_unopenable,
        ControlCode::ShareMalformed => t.custody_known,
        ControlCode::Conflict | ControlCode::Sealed => t.custody_not_wanted,
        _ => t.custody_away,
    }
}

fn word(code: ControlCode) -> &'static str {
    match code {
        ControlCode::TooManyTries => "too_many_tries",
        ControlCode::SharesWrong => "shares_wrong",
        ControlCode::ShareDuplicate => "share_duplicate",
        ControlCode::ShareOfOtherSet => "share_of_other_set",
        ControlCode::ShareRetired => "share_retired",
        ControlCode::ShareUnopenable => "share_unopenable",
        ControlCode::ShareMalformed => "share_malformed",
        ControlCode::Conflict | ControlCode::Sealed => "not_wanted",
        _ => "vault_failed",
    }
}
