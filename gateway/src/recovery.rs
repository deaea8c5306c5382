//! The workers: one asks what became of attempts whose end is not known, one tidies up.
//!
//! An attempt is never sent again. The vault knows its recorded outcome, else asks the network, else takes it back. Of an
//! attempt that it never got it makes a tombstone, which a late message meets, and answers `Reversed`.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::ids::{AttemptId, AuthenticationId, SetupIntentId};
use kura_wire::vault::{Context as VaultContext, Resolve};
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::RecoveryConfig;
use crate::deposits;
use crate::edge::call::Context;
use crate::edge::idempotency::KEPT_FOR;
use crate::error::ApiResult;
use crate::events::{self, Cause};
use crate::money_path::{Ending, settle, tell_processing};
use crate::routes::setup_intents::flow;
use crate::signals;
use crate::store::attempts::{self, Kind, State};
use crate::store::{
    Claimed, Look, Tenant, authentications, cards, events as event_rows, idempotency, request_logs, setup_intents,
    signals as signal_rows, webhook_deliveries,
};
use crate::three_d_secure;

/// Attempts that one look takes on.
const BATCH: i64 = 16;
/// The longest pause between two questions about one attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const TIDY_EVERY: Duration = Duration::from_secs(30);
/// Statements in a row that forget requests.
const MAX_FORGETTING: u32 = 40;

/// Settles attempts, for as long as the process runs.
pub async fn run(app: App, config: RecoveryConfig) {
    let every = Duration::from_millis(config.every_ms.max(50));
    loop {
        tokio::time::sleep(every).await;
        match attempts::claim_due(app.db.work(), look(every)).await {
            Ok(claimed) => {
                let mut asking = JoinSet::new();
                for claim in claimed {
                    let app = app.clone();
                    asking.spawn(async move { resolve(&app, &claim).await });
                }
                // One that ends in a panic is claimed again later, like one that failed; it must not end the others.
                while let Some(asked) = asking.join_next().await {
                    if let Err(error) = asked {
                        tracing::error!(%error, "a question about an attempt ended early");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "no look at unresolved attempts"),
        }
    }
}

fn look(pause: Duration) -> Look {
    Look { now: clock::now(), pause, longest: LONGEST_PAUSE, limit: BATCH }
}

async fn resolve(app: &App, claim: &Claimed<AttemptId>) {
    match try_resolve(app, claim).await {
        Ok(Some(state)) => {
            tracing::info!(attempt = %claim.id, count = claim.count, outcome = state.as_str(), "attempt resolved");
        }
        Ok(None) => tracing::warn!(attempt = %claim.id, count = claim.count, "attempt still unresolved"),
        Err(_) => tracing::warn!(attempt = %claim.id, count = claim.count, "attempt could not be settled"),
    }
}

async fn try_resolve(app: &App, claim: &Claimed<AttemptId>) -> ApiResult<Option<State>> {
    let mut conn = app.db.of(claim.tenant).await?;
    let attempt = attempts::find(&mut conn, claim.tenant, claim.id).await?;
    let Some(attempt) = attempt else { return Ok(None) };
    let context = VaultContext {
        request_id: attempt.request,
        merchant: claim.tenant.merchant(),
        livemode: claim.tenant.livemode(),
    };
    let cause = Cause::ours(claim.tenant);
    if attempt.kind == Kind::Deposit {
        drop(conn);
        deposits::look(app, &cause, context, &attempt).await?;
        let now = attempts::find(&mut *app.db.of(claim.tenant).await?, claim.tenant, claim.id).await?;
        return Ok(now.map(|now| now.state).filter(|state| *state != State::Unresolved));
    }
    let card = match attempt.method.card() {
        Some(record) => cards::find(&mut conn, claim.tenant, record).await?,
        None => None,
    };
    drop(conn);
    tell_processing(app, &cause, &attempt).await?;
    // An authorization went to the card's node, if that was there; it knows best what it has under way.
    let node = card.as_ref().filter(|_| attempt.kind == Kind::Authorize).map(|card| card.node);
    let answer = match deposits::again(&attempt, &context)? {
        Some(ask) => app.vault.give_back(&ask).await.map(deposits::given_back),
        None => app.vault.resolve(&Resolve { context, attempt: attempt.id }, node).await,
    };
    let ending = match answer {
        // Here a failure is about the question, not about the attempt.
        Err(_) => None,
        answer => Ending::of(answer),
    };
    let Some(ending) = ending else { return Ok(None) };
    settle(app, &cause, &attempt, &ending, card.as_ref()).await?;
    Ok(Some(match ending {
        Ending::Approved { .. } => State::Approved,
        Ending::Declined { .. } => State::Declined,
        Ending::Reversed | Ending::Unsent(_) => State::Reversed,
    }))
}

/// Goes on with payments whose authentication nobody goes on with: the gateway died, or the shopper did not come back.
pub async fn authentications(app: App, config: RecoveryConfig) {
    let every = Duration::from_millis(config.every_ms.max(50));
    loop {
        tokio::time::sleep(every).await;
        let due = authentications::claim_due(app.db.work(), look(every)).await;
        let due = due.unwrap_or_else(|error| {
            tracing::warn!(%error, "no look at authentications");
            Vec::new()
        });
        for Claimed { tenant, id, .. } in due {
            if three_d_secure_look(&app, tenant, id).await.is_err() {
                tracing::warn!(authentication = %id, "an authentication could not be looked at");
            }
        }
    }
}

/// Goes on with set-ups whose question to the network nobody goes on with.
pub async fn setups(app: App, config: RecoveryConfig) {
    let every = Duration::from_millis(config.every_ms.max(50));
    loop {
        tokio::time::sleep(every).await;
        let due = setup_intents::claim_due(app.db.work(), look(every)).await;
        let due = due.unwrap_or_else(|error| {
            tracing::warn!(%error, "no look at set-ups");
            Vec::new()
        });
        for Claimed { tenant, id, .. } in due {
            if resolve_setup(&app, tenant, id).await.is_err() {
                tracing::warn!(setup = %id, "a set-up could not be looked at");
            }
        }
    }
}

async fn resolve_setup(app: &App, tenant: Tenant, id: SetupIntentId) -> ApiResult<()> {
    let context = Context::working(app.clone(), tenant, *id.as_bytes());
    let found = setup_intents::find(&mut *context.db().await?, tenant, id).await?;
    match found {
        Some(setup) => flow::resolve(&context, setup).await.map(drop),
        None => Ok(()),
    }
}

async fn three_d_secure_look(app: &App, tenant: Tenant, id: AuthenticationId) -> ApiResult<()> {
    let context = Context::working(app.clone(), tenant, *id.as_bytes());
    let found = authentications::find(&mut *context.db().await?, tenant, id).await?;
    let Some(authentication) = found else { return Ok(()) };
    three_d_secure::look(&context, &authentication).await.map(drop)
}

/// Forgets idle rate-limit buckets, idempotency rows past their day, events past their thirty.
pub async fn tidy(app: App) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        app.limits.forget_idle();
        let work = app.db.work();
        say("idempotency rows", idempotency::forget_older(work, clock::now() - KEPT_FOR).await);
        say("signals", signal_rows::forget_older(work, clock::now() - signals::KEPT_FOR).await);
        say("events", event_rows::forget_older(work, events::kept_since()).await);
        say("webhooks' deliveries", webhook_deliveries::forget_older(work, events::kept_since()).await);
        forget_requests(work).await;
        match webhook_deliveries::end_unwanted(work).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "webhooks that nobody wants are not ended"),
        }
    }
}

/// There is one row for each request, so there may be more to forget than one statement should.
async fn forget_requests(work: &PgPool) {
    for _ in 0..MAX_FORGETTING {
        let forgotten = request_logs::forget_older(work, events::kept_since()).await;
        let more = matches!(forgotten, Ok(rows) if rows > 0);
        say("requests' logs", forgotten);
        if !more {
            return;
        }
    }
}

fn say(what: &str, forgotten: sqlx::Result<u64>) {
    match forgotten {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, what, "forgotten"),
        Err(error) => tracing::warn!(%error, what, "not forgotten"),
    }
}
