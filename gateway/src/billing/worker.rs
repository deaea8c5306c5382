//! The worker: subscriptions and invoices when they are due, clocks while they are turned. Each is claimed by one worker at a
//! time and done as if nobody else could be at it: its steps look under their locks whether they are still due.

use std::time::Duration;

use kura_platform::clock;
use kura_wire::ids::{CheckoutSessionId, InvoiceId, SubscriptionId, TestClockId};
use tokio::task::JoinSet;

use super::{clocks, subscriptions as steps};
use crate::app::App;
use crate::config::RecoveryConfig;
use crate::edge::call::Context;
use crate::error::ApiResult;
use crate::routes::checkout::sessions::settle::settle;
use crate::store::{Look, Tenant, checkout_sessions, invoices, subscriptions, test_clocks};

/// Of each kind, that one look takes on.
const BATCH: i64 = 16;
/// The pause after the first look at what stays due.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What a worker does. Each kind has its own, for clocks that are turned far take long.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// Subscriptions that are due.
    Subscriptions,
    /// Invoices that are due, or whose payment has moved.
    Invoices,
    /// Clocks that are being turned.
    Clocks,
    /// Checkout sessions that are too late, or whose shopper does not come back.
    Sessions,
}

enum Due {
    Subscription(SubscriptionId),
    Invoice(InvoiceId),
    Clock(TestClockId),
    Session(CheckoutSessionId),
}

/// Works for as long as the process runs.
pub async fn run(app: App, config: RecoveryConfig, what: What) {
    let every = Duration::from_millis(config.every_ms.max(50));
    loop {
        tokio::time::sleep(every).await;
        let claimed = claim(&app, what).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "no look at what is due");
            Vec::new()
        });
        let mut working = JoinSet::new();
        for (tenant, due) in claimed {
            let app = app.clone();
            working.spawn(async move {
                if work(&app, tenant, &due).await.is_err() {
                    tracing::warn!("something that is due could not be done; it stays due");
                }
            });
        }
        while let Some(done) = working.join_next().await {
            if let Err(error) = done {
                tracing::error!(%error, "work that was due ended early");
            }
        }
    }
}

async fn claim(app: &App, what: What) -> sqlx::Result<Vec<(Tenant, Due)>> {
    let pool = app.db.work();
    let look = Look { now: clock::now(), pause: PAUSE, longest: LONGEST_PAUSE, limit: BATCH };
    Ok(match what {
        What::Subscriptions => {
            let claimed = subscriptions::claim_due(pool, look).await?;
            claimed.into_iter().map(|one| (one.tenant, Due::Subscription(one.id))).collect()
        }
        What::Invoices => {
            let claimed = invoices::claim_due(pool, look).await?;
            claimed.into_iter().map(|one| (one.tenant, Due::Invoice(one.id))).collect()
        }
        What::Clocks => {
            let claimed = test_clocks::claim_due(pool, look).await?;
            claimed.into_iter().map(|one| (one.tenant, Due::Clock(one.id))).collect()
        }
        What::Sessions => {
            let claimed = checkout_sessions::claim_due(pool, look).await?;
            claimed.into_iter().map(|one| (one.tenant, Due::Session(one.id))).collect()
        }
    })
}

async fn work(app: &App, tenant: Tenant, due: &Due) -> ApiResult<()> {
    let seed = match due {
        Due::Subscription(id) => *id.as_bytes(),
        Due::Invoice(id) => *id.as_bytes(),
        Due::Clock(id) => *id.as_bytes(),
        Due::Session(id) => *id.as_bytes(),
    };
    let context = Context::working(app.clone(), tenant, seed);
    match due {
        Due::Subscription(id) => steps::turn(&context, *id).await,
        Due::Invoice(id) => steps::turn_invoice(&context, *id).await,
        Due::Clock(id) => clocks::turn(&context, *id).await,
        Due::Session(id) => settle(&context, *id).await.map(drop),
    }
}
