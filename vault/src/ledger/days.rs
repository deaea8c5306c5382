//! The ledger's partitions: a week of days is made ahead. A row whose day has none goes into the default partition, which is
//! an alert: its owner moves it, and the day gets its own.

use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::PgPool;

use crate::store::alerts::{self, AlertKind};
use crate::store::openings;

const AHEAD_DAYS: i32 = 7;
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Makes them every hour, for ever.
pub async fn run(pool: PgPool) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut known_stray = 0;
    loop {
        ticks.tick().await;
        let stray = open(&pool).await;
        if stray > known_stray {
            raise(&pool, stray).await;
        }
        known_stray = stray.max(known_stray);
    }
}

/// Makes them now. Gives how many rows have no day of their own. What fails is logged: rows then go into the default partition.
pub async fn open(pool: &PgPool) -> i64 {
    openings::open_days(pool, clock::now().date(), AHEAD_DAYS)
        .await
        .inspect_err(|error| tracing::error!(%error, "the ledger's next days have no partition yet"))
        .unwrap_or_default()
}

async fn raise(pool: &PgPool, rows: i64) {
    let kind = AlertKind::LedgerDayMissing;
    tracing::error!(alert = kind.as_str(), rows, "rows of the ledger stand in the default partition");
    if let Err(error) = alerts::insert(pool, clock::now(), kind, None, None, None).await {
        tracing::error!(%error, "the alert could not be recorded");
    }
}
