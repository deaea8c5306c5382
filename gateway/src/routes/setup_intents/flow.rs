//! How a set-up goes on: the issuer is asked who it is where that is wanted, then the network whether the card is good. Each
//! question is written down before it is asked and settled once, by its asker, by the shopper who comes back, or by the worker.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::{PgConnection, PgTransaction};
use kura_wire::card::DeclineCode;
use kura_wire::ids::AuthenticationId;
use kura_wire::three_d_secure::{self as wire, AuthenticationEnd, ChallengePreference};
use kura_wire::vault::{Outcome, Resolve, Verify};
use time::OffsetDateTime;

use super::render_in;
use crate::codes::Code;
use crate::domain::setup_intent::{Event, Status};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::request_ids::RequestIds;
use crate::store::authentications::{self, Authentication, Owner, State};
use crate::store::cards::{self, Card};
use crate::store::payment_intents::ThreeDSecure;
use crate::store::setup_intents::{self, Question, Setup, SetupError};
use crate::three_d_secure;
use crate::vault_client::VaultFailure;

/// How long a shopper has on the issuer's page before somebody looks whether an answer got lost.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// What is asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The issuer: who is it?
    Authenticate,
    /// The network: is the card good?
    Verify,
}

/// Writes the next question down. Part of the transaction that sets it going.
///
/// # Errors
/// The database's.
pub async fn begin(
    context: &Context,
    conn: &mut PgConnection,
    setup: Setup,
    step: Step,
    at: OffsetDateTime,
) -> ApiResult<Setup> {
    let tenant = context.tenant();
    let card = setup.card.ok_or_else(|| ApiError::internal("a confirmed set-up without a card"))?;
    let setup = match step {
        Step::Authenticate => {
            // The first by the request, the one that the network asked for by its question.
            let id: AuthenticationId = match &setup.question {
                Some(question) => RequestIds::new(&context.app.secrets.ids, *question.attempt.as_bytes()).one(),
                None => three_d_secure::next_id(context, conn).await?,
            };
            let preference = match setup.three_d_secure {
                ThreeDSecure::Challenge => ChallengePreference::Challenge,
                ThreeDSecure::Automatic | ThreeDSecure::Any => ChallengePreference::None,
            };
            let owner = Owner::Setup(setup.id);
            let new = Authentication { id, owner, card, preference, state: State::Asked, created_at: at };
            three_d_secure::begin(&context.app, conn, tenant, &new).await?;
            Setup { authentication: Some(id), question: None, resolve_at: None, ..setup }
        }
        Step::Verify => {
            let ids = match setup.authentication {
                Some(id) => RequestIds::new(&context.app.secrets.ids, *id.as_bytes()).attempt(0),
                None => context.ids().attempt(0),
            };
            let question = Question { attempt: ids.attempt, network_reference: ids.network_reference };
            Setup { question: Some(question), resolve_at: Some(at + context.app.recover_after), ..setup }
        }
    };
    setup_intents::update(conn, tenant, &setup).await?;
    Ok(setup)
}

/// Asks what is to be asked next, until nothing is.
///
/// # Errors
/// The database's; then the worker goes on. The vault's, where nothing was asked.
pub async fn go_on(context: &Context, mut setup: Setup) -> ApiResult<Setup> {
    // Authenticate, verify, and once more where the network wants to know who it is.
    for _ in 0..4 {
        if setup.status != Status::Processing {
            break;
        }
        let before = (setup.question.clone(), setup.authentication);
        setup = match &setup.question {
            Some(question) => verify(context, &setup, question).await?,
            None => authenticate(context, &setup).await?,
        };
        if (setup.question.clone(), setup.authentication) == before {
            break;
        }
    }
    Ok(setup)
}

async fn card_of(context: &Context, setup: &Setup) -> ApiResult<Card> {
    let named = setup.card.ok_or_else(|| ApiError::internal("a set-up without its card"))?;
    let card = cards::find(&mut *context.db().await?, context.tenant(), named.record).await?;
    card.ok_or_else(|| ApiError::internal("a set-up without its card"))
}

async fn authenticate(context: &Context, setup: &Setup) -> ApiResult<Setup> {
    let id = setup.authentication.ok_or_else(|| ApiError::internal("nothing to ask"))?;
    let found = authentications::find(&mut *context.db().await?, context.tenant(), id).await?;
    let authentication = found.ok_or_else(|| ApiError::internal("a set-up without its authentication"))?;
    let card = card_of(context, setup).await?;
    let token = card.token(authentication.card.allows);
    let answer = three_d_secure::ask(context, &authentication, token, None).await;
    heard(context, &authentication, answer).await
}

/// Settles what the issuer said, and gives the set-up as it then is.
///
/// # Errors
/// The database's; the vault's, where nothing was asked.
pub async fn heard(
    context: &Context,
    authentication: &Authentication,
    answer: Result<wire::Authentication, VaultFailure>,
) -> ApiResult<Setup> {
    match answer {
        Ok(wire::Authentication::Challenge { url, transaction_id }) => {
            challenged(context, authentication, &url, &transaction_id).await
        }
        Ok(wire::Authentication::Ended(end)) => ended(context, authentication, &end).await,
        Err(failure) if three_d_secure::is_about_the_directory(&failure) => {
            ended(context, authentication, &three_d_secure::not_found_out()).await
        }
        Err(failure) if failure.surely_unsent() => {
            let (mut tx, setup) = lock(context, authentication).await?;
            let (tenant, end) = (context.tenant(), three_d_secure::not_found_out());
            if authentications::mark_ended(&mut tx, tenant, authentication.id, &end, clock::now()).await? {
                let setup = Setup { status: after(&setup, Event::NotAsked)?, authentication: None, ..setup };
                setup_intents::update(&mut tx, tenant, &setup).await?;
                tx.commit().await?;
            }
            Err(failure.into())
        }
        Ok(wire::Authentication::Unknown) | Err(_) => Ok(lock(context, authentication).await?.1),
    }
}

type Tx = PgTransaction<'static>;

async fn lock(context: &Context, authentication: &Authentication) -> ApiResult<(Tx, Setup)> {
    let Owner::Setup(id) = authentication.owner else { return Err(ApiError::internal("not of a set-up")) };
    let mut tx = context.begin().await?;
    let setup = setup_intents::lock(&mut tx, context.tenant(), id).await?;
    Ok((tx, setup.ok_or_else(|| ApiError::internal("an authentication without its set-up"))?))
}

fn after(setup: &Setup, event: Event) -> ApiResult<Status> {
    setup.status.after(event).ok_or_else(|| ApiError::internal("a set-up in another status"))
}

async fn challenged(
    context: &Context,
    authentication: &Authentication,
    url: &str,
    transaction_id: &str,
) -> ApiResult<Setup> {
    let (tenant, at) = (context.tenant(), clock::now());
    let (mut tx, setup) = lock(context, authentication).await?;
    let look_at = at + LOOK_AFTER;
    if !authentications::mark_challenge(&mut tx, tenant, authentication.id, url, transaction_id, look_at).await? {
        return Ok(setup);
    }
    let setup = Setup { status: after(&setup, Event::Challenged)?, ..setup };
    setup_intents::update(&mut tx, tenant, &setup).await?;
    let shown = render_in(&mut tx, &context.app, tenant, &setup).await?;
    let told = Happened::to(&shown, events::Kind::SetupIntentRequiresAction)?;
    events::tell(&mut tx, &context.cause(), at, [told]).await?;
    tx.commit().await?;
    Ok(setup)
}

async fn ended(context: &Context, authentication: &Authentication, end: &AuthenticationEnd) -> ApiResult<Setup> {
    let (tenant, at) = (context.tenant(), clock::now());
    let (mut tx, setup) = lock(context, authentication).await?;
    if !authentications::mark_ended(&mut tx, tenant, authentication.id, end, at).await? {
        return Ok(setup);
    }
    if setup.status == Status::Canceled {
        tx.commit().await?;
        return Ok(setup);
    }
    let setup = if end.result.is_refusal() {
        let code = Code::SetupAuthenticationFailed;
        refuse(context, &mut tx, setup, code, None, at).await?
    } else {
        let setup = Setup { status: after(&setup, Event::Authenticated)?, ..setup };
        begin(context, &mut tx, setup, Step::Verify, at).await?
    };
    tx.commit().await?;
    Ok(setup)
}

async fn refuse(
    context: &Context,
    conn: &mut PgConnection,
    setup: Setup,
    code: Code,
    decline_code: Option<&str>,
    at: OffsetDateTime,
) -> ApiResult<Setup> {
    let record = setup.card.map(|card| card.record).ok_or_else(|| ApiError::internal("a set-up without its card"))?;
    let setup = Setup {
        status: after(&setup, Event::Refused)?,
        card: None,
        last_error: Some(SetupError {
            code: code.as_str().to_owned(),
            decline_code: decline_code.map(str::to_owned),
            record,
        }),
        question: None,
        authentication: None,
        resolve_at: None,
        ..setup
    };
    setup_intents::update(conn, context.tenant(), &setup).await?;
    let shown = render_in(conn, &context.app, context.tenant(), &setup).await?;
    let told = Happened::to(&shown, events::Kind::SetupIntentSetupFailed)?;
    events::tell(conn, &context.cause(), at, [told]).await?;
    Ok(setup)
}

async fn verify(context: &Context, setup: &Setup, question: &Question) -> ApiResult<Setup> {
    let card = card_of(context, setup).await?;
    let named = setup.card.ok_or_else(|| ApiError::internal("a set-up without its card"))?;
    let ask = Verify {
        context: context.vault_context(),
        attempt: question.attempt,
        network_reference: question.network_reference.clone(),
        token: card.token(named.allows),
        authentication: setup.authentication,
    };
    let answer = context.app.vault.verify(&ask).await;
    settle(context, setup, question, answer).await
}

/// Finds out what became of a question, and settles it.
///
/// # Errors
/// The database's.
pub async fn resolve(context: &Context, setup: Setup) -> ApiResult<Setup> {
    let Some(question) = setup.question.clone() else { return Ok(setup) };
    let ask = Resolve { context: context.vault_context(), attempt: question.attempt };
    match context.app.vault.resolve(&ask, None).await {
        // Here a failure is about the question, not about the card.
        Err(_) => Ok(setup),
        answer => {
            let setup = settle(context, &setup, &question, answer).await?;
            go_on(context, setup).await
        }
    }
}

/// Settles what the network said; settling twice changes nothing.
async fn settle(
    context: &Context,
    seen: &Setup,
    question: &Question,
    answer: Result<Outcome, VaultFailure>,
) -> ApiResult<Setup> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let setup = setup_intents::lock(&mut tx, tenant, seen.id).await?;
    let setup = setup.ok_or_else(|| ApiError::internal("a set-up that is gone"))?;
    if setup.question.as_ref() != Some(question) || setup.status != Status::Processing {
        return Ok(setup);
    }
    let setup = match answer {
        Ok(Outcome::Approved { .. }) => keep(context, &mut tx, setup, at).await?,
        Ok(Outcome::Declined { decline_code: DeclineCode::AuthenticationRequired, .. })
            if setup.authentication.is_none() =>
        {
            let setup = Setup { status: after(&setup, Event::StepUp)?, ..setup };
            begin(context, &mut tx, setup, Step::Authenticate, at).await?
        }
        Ok(Outcome::Declined { decline_code, .. }) => {
            let code = Code::of_decline(decline_code.as_str());
            refuse(context, &mut tx, setup, code, Some(decline_code.as_str()), at).await?
        }
        Ok(Outcome::Reversed) => refuse(context, &mut tx, setup, Code::ProcessingError, None, at).await?,
        Ok(Outcome::Unknown) => return Ok(setup),
        Err(failure) if failure.surely_unsent() => {
            let status = after(&setup, Event::NotAsked)?;
            let setup = Setup { status, question: None, authentication: None, resolve_at: None, ..setup };
            setup_intents::update(&mut tx, tenant, &setup).await?;
            tx.commit().await?;
            return Err(failure.into());
        }
        Err(_) => return Ok(setup),
    };
    tx.commit().await?;
    Ok(setup)
}

/// The card is good: it is the customer's now.
async fn keep(context: &Context, conn: &mut PgConnection, setup: Setup, at: OffsetDateTime) -> ApiResult<Setup> {
    let tenant = context.tenant();
    let setup = Setup { status: after(&setup, Event::Approved)?, question: None, resolve_at: None, ..setup };
    setup_intents::update(conn, tenant, &setup).await?;
    let mut told = Vec::new();
    if let (Some(customer), Some(named)) = (setup.customer, setup.card)
        && let Some(card) = cards::find(conn, tenant, named.record).await?
        && card.customer.is_none()
        && cards::attach(conn, tenant, card.record, customer).await?
    {
        let attached = render::card::payment_method(tenant, &Card { customer: Some(customer), ..card });
        told.push(Happened::to(&attached, events::Kind::PaymentMethodAttached)?);
    }
    let shown = render_in(conn, &context.app, tenant, &setup).await?;
    told.push(Happened::to(&shown, events::Kind::SetupIntentSucceeded)?);
    events::tell(conn, &context.cause(), at, told).await?;
    Ok(setup)
}
