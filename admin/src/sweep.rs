//! Removes what no decision looks at any more: old ceremonies, attempts and sessions. The audit is never swept.

use std::time::Duration;

use kura_platform::clock;

use crate::domain::throttle;
use crate::store::{Pool, StoreError, ceremonies, sessions, sign_in_attempts};

const EVERY: Duration = Duration::from_secs(60);

/// Sweeps once a minute, for ever.
pub async fn run(pool: Pool) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = once(&pool).await {
            tracing::error!(%error, "sweep");
        }
    }
}

async fn once(pool: &Pool) -> Result<(), StoreError> {
    let now = clock::now();
    ceremonies::delete_expired(pool, now).await?;
    sign_in_attempts::delete_older_than(pool, now, 2 * throttle::WINDOW).await?;
    sessions::delete_expired(pool, now).await?;
    Ok(())
}
