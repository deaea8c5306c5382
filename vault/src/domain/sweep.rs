//! The sweeper: erases what is past its time, in small batches, throttled, one node at a time. Its place is in the database,
//! in the same transaction as what it erased, so any node goes on where another stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kura_platform::{clock, random};
use uuid::Uuid;

use super::Vault;
use super::erase::{AGE, Act, Cover, EraseError};
use crate::config::SweeperConfig;
use crate::store::held::{self, HeldRow, Table};
use crate::store::{erasures, sweeps};

/// How often a node looks whether there is something to sweep, and whether keys were destroyed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Keys destroyed up to so long before the last look are dropped again: clocks differ, and a look may fail.
const OVERLAP: time::Duration = time::Duration::minutes(1);

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There is more in this table.
    More,
    /// Nothing to do here now.
    Rest,
}

/// Sweeps for as long as the process runs.
pub async fn run(vault: Arc<Vault>, config: SweeperConfig) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        for table in Table::ALL {
            loop {
                match vault.sweep(table, &config).await {
                    Ok(Step::More) => tokio::time::sleep(Duration::from_millis(config.pause_ms)).await,
                    Ok(Step::Rest) => break,
                    Err(error) => {
                        tracing::error!(%error, table = table.as_str(), "the sweeper rests; it tries again");
                        break;
                    }
                }
            }
        }
    }
}

/// Drops keys that any node destroyed, and looks after the watchlist, every second.
pub async fn follow_other_nodes(vault: Arc<Vault>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut since = clock::now();
    loop {
        ticks.tick().await;
        let now = clock::now();
        vault.refresh_watchlist().await;
        let Some(keyring) = vault.keys.keyring() else { continue };
        match keyring.deks.drop_destroyed(since - OVERLAP).await {
            Ok(()) => since = now,
            Err(error) => tracing::warn!(%error, "whether keys were destroyed could not be looked up"),
        }
    }
}

impl Vault {
    async fn sweep(&self, table: Table, config: &SweeperConfig) -> Result<Step, EraseError> {
        let mut transaction = self.pool.begin().await?;
        let Some(place) = sweeps::lock(&mut transaction, table).await? else { return Ok(Step::Rest) };
        let now = clock::now();
        let pause = time::Duration::seconds(i64::from(config.pass_every_s));
        let rested = place.last_finished_at.is_none_or(|at| now - at >= pause);
        let Some(began) = place.pass_started_at.or(rested.then_some(now)) else { return Ok(Step::Rest) };
        let rows = held::list(&mut transaction, table, place.next_id, i64::from(config.rows_per_step)).await?;
        let last = rows.last().map_or(place.next_id, |row| row.id);
        let whole = usize::try_from(config.rows_per_step).is_ok_and(|most| rows.len() < most);
        let erased_merchants: BTreeSet<Uuid> =
            erasures::list_erased_merchants(&mut transaction).await?.into_iter().collect();
        let cover = Cover::Due { now, erased_merchants };
        let due: Vec<HeldRow> = rows.into_iter().filter(|row| cover.covers(row)).collect();
        let act = Act {
            scope: AGE,
            actor: format!("sweeper of vault node {}", self.node.number()),
            request_id: Uuid::from_bytes(random::bytes()),
        };
        let erased = self.erase_rows(&mut transaction, &act, table, due).await?;
        let count = erased.values().sum::<u64>();
        sweeps::advance(&mut transaction, table, last, began, i64::try_from(count).unwrap_or(i64::MAX)).await?;
        if whole {
            sweeps::finish(&mut transaction, table, clock::now()).await?;
        }
        transaction.commit().await?;
        if count > 0 {
            tracing::info!(table = table.as_str(), count, "records past their time erased");
        }
        Ok(if whole { Step::Rest } else { Step::More })
    }
}
