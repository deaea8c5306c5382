//! 3-D Secure in a payment: the issuer is asked who uses the card, perhaps asks the shopper, and the payment goes on or ends.
//!
//! An authentication is written down before the issuer is asked ([`begin`], in the caller's transaction), and every end of it is
//! settled once: by the request that began it, by the shopper who comes back, or by the worker, whoever is first. Who is second
//! finds it settled and changes nothing. What follows, the authorization, gets its ids from the authentication, so it is the
//! same attempt whoever sets it going.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{AuthenticationId, CardToken, PaymentIntentId};
use kura_wire::money::{Money, parse_currency};
use kura_wire::three_d_secure::{self as wire, AuthenticationEnd, ChallengePreference, FindAuthentication};
use kura_wire::vault::{CvcRule, VaultErrorCode};
use time::OffsetDateTime;

use crate::app::App;
use crate::codes::Code;
use crate::domain::payment_intent::{CaptureMethod, Event, InFlight, Progress, Status};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::money_path::{self, Charged};
use crate::render::payment_intent::payment_intent;
use crate::request_ids::RequestIds;
use crate::routes::payment_intents::render_in;
use crate::routes::setup_intents::flow;
use crate::store::attempts::{self, Attempt, Kind, State as AttemptState};
use crate::store::authentications::{self, Authentication, Owner, State};
use crate::store::cards::{self, Card};
use crate::store::methods::{Method, MethodRef};
use crate::store::payment_intents::{self, Intent, LastError, ThreeDSecure};
use crate::store::timeline::{self, Entry};
use crate::store::{Tenant, merchants};
use crate::vault_client::VaultFailure;

/// Where the issuer's page sends the shopper back to, before the id and `/return`.
pub const PATH: &str = "/3d_secure";
/// Outages that one request goes through at the most.
const MAX_OUTAGES: u32 = 100;
/// How long a shopper has on the issuer's page before somebody looks whether an answer got lost.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// A new authentication of a payment's card, under this id.
pub fn of_payment(id: AuthenticationId, intent: &Intent, card: payment_intents::NamedCard) -> Authentication {
    let preference = match intent.three_d_secure {
        ThreeDSecure::Challenge => ChallengePreference::Challenge,
        ThreeDSecure::Automatic | ThreeDSecure::Any => ChallengePreference::None,
    };
    Authentication {
        id,
        owner: Owner::Payment(intent.id),
        card,
        preference,
        state: State::Asked,
        created_at: clock::now(),
    }
}

/// Writes an authentication down. Part of the transaction that sets the payment going.
///
/// # Errors
/// The database's.
pub async fn begin(app: &App, conn: &mut PgConnection, tenant: Tenant, new: &Authentication) -> ApiResult<()> {
    authentications::insert(conn, tenant, new, new.created_at + app.recover_after).await?;
    Ok(())
}

/// The page of ours that sends the shopper to the issuer's.
pub fn page(app: &App, id: AuthenticationId) -> String {
    format!("{}{PATH}/{id}", app.public_url)
}

/// How a payment goes on after its authentication.
enum Next {
    /// It waits: for the shopper, or for an answer.
    Waits(Box<Intent>),
    /// It is over.
    Over(Box<Intent>),
    /// The money is asked for.
    Authorize(Box<(Attempt, Intent, Charged)>),
}

/// Asks the issuer, and goes on with the payment as far as it goes.
///
/// # Errors
/// The database's; then the worker goes on. 402 where the card was refused.
pub async fn carry_out(context: &Context, authentication: &Authentication, intent: Intent) -> ApiResult<Gone> {
    let (token, money) = (token_of(context, authentication).await?, money_of(&intent)?);
    let answer = ask(context, authentication, token, Some(money)).await;
    go_on(context, authentication, answer, intent).await
}

/// Asks the issuer, by way of the vault. Asked again, it is the same question.
///
/// # Errors
/// [`VaultFailure`].
pub async fn ask(
    context: &Context,
    authentication: &Authentication,
    token: CardToken,
    money: Option<Money>,
) -> Result<wire::Authentication, VaultFailure> {
    let name = match context.db().await {
        Ok(mut db) => merchants::find_name(&mut db, context.tenant()).await.ok(),
        Err(_) => None,
    };
    let ask = wire::Authenticate {
        context: context.vault_context(),
        merchant_name: name,
        authentication: authentication.id,
        token,
        money,
        preference: authentication.preference,
        return_url: format!("{}/return", page(&context.app, authentication.id)),
    };
    context.app.vault.authenticate(&ask).await
}

/// Looks what became of an authentication, and goes on with the payment or the set-up as far as it goes.
///
/// # Errors
/// As [`carry_out`].
pub async fn look(context: &Context, authentication: &Authentication) -> ApiResult<()> {
    match authentication.owner {
        Owner::Payment(id) => look_for_payment(context, authentication, id).await.map(drop),
        Owner::Setup(_) => look_for_setup(context, authentication).await,
    }
}

async fn look_for_setup(context: &Context, authentication: &Authentication) -> ApiResult<()> {
    let find = FindAuthentication { context: context.vault_context(), authentication: authentication.id };
    let answer = match context.app.vault.find_authentication(&find).await {
        Err(VaultFailure::Refused(VaultErrorCode::AuthenticationUnknown)) => {
            let token = token_of(context, authentication).await?;
            ask(context, authentication, token, None).await
        }
        answer => answer,
    };
    let setup = flow::heard(context, authentication, answer).await?;
    flow::go_on(context, setup).await.map(drop)
}

async fn look_for_payment(context: &Context, authentication: &Authentication, id: PaymentIntentId) -> ApiResult<Gone> {
    let intent = payment_intents::find(&mut *context.db().await?, context.tenant(), id).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an authentication without its payment"))?;
    let ask = FindAuthentication { context: context.vault_context(), authentication: authentication.id };
    let answer = match context.app.vault.find_authentication(&ask).await {
        // It never got there: it is asked now, under the same id.
        Err(VaultFailure::Refused(VaultErrorCode::AuthenticationUnknown)) => {
            return carry_out(context, authentication, intent).await;
        }
        answer => answer,
    };
    go_on(context, authentication, answer, intent).await
}

/// Where a payment got to.
#[derive(Debug)]
pub enum Gone {
    /// It waits for the shopper or an answer.
    Waits(Box<Intent>),
    /// The card was refused: by its issuer, in the authentication.
    Refused(Box<Intent>),
    /// The money was asked for.
    Asked(Box<money_path::Carried>),
}

async fn go_on(
    context: &Context,
    authentication: &Authentication,
    answer: Result<wire::Authentication, VaultFailure>,
    intent: Intent,
) -> ApiResult<Gone> {
    let next = match answer {
        Ok(wire::Authentication::Challenge { url, transaction_id }) => {
            challenged(context, authentication, &url, &transaction_id).await?
        }
        Ok(wire::Authentication::Ended(end)) => ended(context, authentication, &end).await?,
        Ok(wire::Authentication::Unknown) => Next::Waits(Box::new(intent)),
        // The directory can't be asked: the payment goes on without its word.
        Err(failure) if is_about_the_directory(&failure) => ended(context, authentication, &not_found_out()).await?,
        Err(failure) if failure.surely_unsent() => {
            not_asked(context, authentication).await?;
            return Err(failure.into());
        }
        Err(_) => Next::Waits(Box::new(intent)),
    };
    match next {
        Next::Waits(intent) => Ok(Gone::Waits(intent)),
        Next::Over(intent) => Ok(Gone::Refused(intent)),
        Next::Authorize(attempt) => {
            let (attempt, intent, charged) = *attempt;
            let (cause, vault) = (context.cause(), context.vault_context());
            let carried = money_path::carry_out(&context.app, &cause, vault, &attempt, Some(&charged), intent).await?;
            Ok(Gone::Asked(Box::new(carried)))
        }
    }
}

/// Nobody answers for the issuer: what is asked goes on without its word.
pub const fn is_about_the_directory(failure: &VaultFailure) -> bool {
    matches!(failure, VaultFailure::Refused(VaultErrorCode::NetworkNotConfigured | VaultErrorCode::NetworkUnavailable))
}

/// The end of an authentication that nobody answered.
pub const fn not_found_out() -> AuthenticationEnd {
    AuthenticationEnd {
        result: wire::AuthenticationResult::Unavailable,
        flow: wire::AuthenticationFlow::Frictionless,
        eci: None,
        transaction_id: None,
    }
}

/// The payment under its lock, with what is known to be under way.
async fn lock(conn: &mut PgConnection, tenant: Tenant, authentication: &Authentication) -> ApiResult<Intent> {
    let Owner::Payment(id) = authentication.owner else { return Err(ApiError::internal("not of a payment")) };
    let intent = payment_intents::lock(conn, tenant, id).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an authentication without its payment"))?;
    let under_way =
        if intent.progress.status == Status::RequiresAction { InFlight::Challenge } else { InFlight::Authenticate };
    Ok(intent.with_in_flight(Some(under_way)))
}

/// The issuer asks the shopper: `requires_action`.
async fn challenged(
    context: &Context,
    authentication: &Authentication,
    url: &str,
    transaction_id: &str,
) -> ApiResult<Next> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let intent = lock(&mut tx, tenant, authentication).await?;
    let look_at = at + LOOK_AFTER;
    if !authentications::mark_challenge(&mut tx, tenant, authentication.id, url, transaction_id, look_at).await? {
        return Ok(Next::Waits(Box::new(intent)));
    }
    let progress = intent.progress.after(Event::Challenged).map_err(ApiError::internal)?;
    let intent = Intent { progress, ..intent };
    payment_intents::update(&mut tx, tenant, &intent).await?;
    let entries = [Entry::of("requires_action")];
    timeline::append(&mut tx, tenant, intent.id, context.cause().request, at, &entries).await?;
    let shown = render_in(&mut tx, &context.app, tenant, &intent).await?;
    let told = Happened::to(&shown, events::Kind::PaymentIntentRequiresAction)?;
    events::tell(&mut tx, &context.cause(), at, [told]).await?;
    tx.commit().await?;
    Ok(Next::Waits(Box::new(intent)))
}

/// Nobody was asked: the same confirmation may be asked for again.
async fn not_asked(context: &Context, authentication: &Authentication) -> ApiResult<()> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let intent = lock(&mut tx, tenant, authentication).await?;
    if !authentications::mark_ended(&mut tx, tenant, authentication.id, &not_found_out(), at).await? {
        return Ok(());
    }
    let progress = intent.progress.after(Event::NotAsked).map_err(ApiError::internal)?;
    payment_intents::update(&mut tx, tenant, &Intent { progress, ..intent }).await?;
    tx.commit().await?;
    Ok(())
}

/// The issuer has said what it has to say: the payment goes on, or it is over.
async fn ended(context: &Context, authentication: &Authentication, end: &AuthenticationEnd) -> ApiResult<Next> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let intent = lock(&mut tx, tenant, authentication).await?;
    if !authentications::mark_ended(&mut tx, tenant, authentication.id, end, at).await? {
        return Ok(Next::Waits(Box::new(intent)));
    }
    let card = cards::find(&mut tx, tenant, authentication.card.record).await?;
    let card = card.ok_or_else(|| ApiError::internal("an authentication without its card"))?;
    // Called off meanwhile.
    if intent.progress.status == Status::Canceled {
        tx.commit().await?;
        return Ok(Next::Over(Box::new(intent)));
    }
    let said = Entry { code: Some(end.result.as_str().to_owned()), ..Entry::of("authentication") };
    if end.result.is_refusal() {
        let progress = intent.progress.after(Event::AuthenticationFailed).map_err(ApiError::internal)?;
        let intent = Intent {
            progress,
            card: None,
            last_error: Some(LastError {
                code: Code::AuthenticationFailed.as_str().to_owned(),
                decline_code: None,
                charge: None,
                method: MethodRef::Card(authentication.card.record),
            }),
            ..intent
        };
        payment_intents::update(&mut tx, tenant, &intent).await?;
        timeline::append(&mut tx, tenant, intent.id, context.cause().request, at, &[said]).await?;
        let shown = payment_intent(tenant, &intent, Some(&Method::Card(card.clone())), None);
        let told = Happened::to(&shown, events::Kind::PaymentIntentPaymentFailed)?;
        events::tell(&mut tx, &context.cause(), at, [told]).await?;
        tx.commit().await?;
        return Ok(Next::Over(Box::new(intent)));
    }
    let progress = intent.progress.after(Event::Authenticated).map_err(ApiError::internal)?;
    let intent = Intent { progress, ..intent };
    let attempt = attempt_after(context, authentication, &intent, at);
    payment_intents::update(&mut tx, tenant, &intent).await?;
    money_path::open(&context.app, &mut tx, tenant, &attempt).await?;
    let entries = [said, money_path::entry("processing", &attempt, None)];
    timeline::append(&mut tx, tenant, intent.id, context.cause().request, at, &entries).await?;
    let cvc = cvc_rule(&mut tx, tenant, &intent, &card).await?;
    tx.commit().await?;
    let charged = Charged { card, allows: authentication.card.allows, cvc };
    Ok(Next::Authorize(Box::new((attempt, intent, charged))))
}

/// The merchant's policy, whoever goes on with the payment. A code that went along with the question that asked for the proof
/// was checked, and is gone.
async fn cvc_rule(conn: &mut PgConnection, tenant: Tenant, intent: &Intent, card: &Card) -> ApiResult<CvcRule> {
    let is_first = card.charged_at.is_none();
    let wanted = is_first
        && merchants::requires_cvc(conn, tenant).await?
        && !attempts::is_stepped_up(conn, tenant, intent.id, &card.record).await?;
    Ok(if wanted { CvcRule::Require } else { CvcRule::Proceed })
}

/// The id of the request's next authentication: one that nobody could be asked under is not used again.
///
/// # Errors
/// The database's; 503 after too many outages.
pub async fn next_id(context: &Context, conn: &mut PgConnection) -> ApiResult<AuthenticationId> {
    for number in 0..MAX_OUTAGES {
        let id = context.ids().nth(number);
        if authentications::find(conn, context.tenant(), id).await?.is_none() {
            return Ok(id);
        }
    }
    Err(ApiError::new(Code::VaultUnavailable).retry_after(5))
}

/// Whether an earlier run of this request asked the issuer, or may have. What ended because nobody could be asked led to nothing.
///
/// # Errors
/// The database's.
pub async fn was_asked(context: &Context, conn: &mut PgConnection) -> ApiResult<bool> {
    for number in 0..MAX_OUTAGES {
        let id: AuthenticationId = context.ids().nth(number);
        let Some(met) = authentications::find(conn, context.tenant(), id).await? else { return Ok(false) };
        let ids = RequestIds::new(&context.app.secrets.ids, *id.as_bytes()).attempt(0);
        let in_vain = met.state == State::Ended(not_found_out())
            && attempts::find(conn, context.tenant(), ids.attempt).await?.is_none();
        if !in_vain {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The authorization that an authentication leads to. Its ids follow from the authentication.
fn attempt_after(context: &Context, authentication: &Authentication, intent: &Intent, at: OffsetDateTime) -> Attempt {
    let ids = RequestIds::new(&context.app.secrets.ids, *authentication.id.as_bytes()).attempt(0);
    Attempt {
        id: ids.attempt,
        intent: intent.id,
        kind: Kind::Authorize,
        original: None,
        charge: ids.charge,
        refund: None,
        network_reference: ids.network_reference,
        amount_minor: intent.progress.amount,
        currency: intent.currency.clone(),
        method: MethodRef::Card(authentication.card.record),
        capture: intent.progress.capture_method == CaptureMethod::Automatic,
        authentication: Some(authentication.id),
        off_session: false,
        stepped_up: false,
        state: AttemptState::Unresolved,
        request: context.request_id,
        created_at: at,
    }
}

async fn token_of(context: &Context, authentication: &Authentication) -> ApiResult<CardToken> {
    let card = cards::find(&mut *context.db().await?, context.tenant(), authentication.card.record).await?;
    let card = card.ok_or_else(|| ApiError::internal("an authentication without its card"))?;
    Ok(card.token(authentication.card.allows))
}

fn money_of(intent: &Intent) -> ApiResult<Money> {
    let currency = parse_currency(&intent.currency).map_err(ApiError::internal)?;
    Money::new(intent.progress.amount, currency).map_err(ApiError::internal)
}

/// The id of the authentication that an attempt's decline asks for.
pub fn after_decline(app: &App, attempt: &Attempt) -> AuthenticationId {
    RequestIds::new(&app.secrets.ids, *attempt.id.as_bytes()).one()
}

/// Whether a payment is at this point, and how far.
pub fn stepping_up(progress: Progress) -> ApiResult<Progress> {
    let authorizing = Progress { in_flight: Some(InFlight::Authorize), ..progress };
    authorizing.after(Event::StepUp).map_err(ApiError::internal)
}
