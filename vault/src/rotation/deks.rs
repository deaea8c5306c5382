//! DEK rotation: the next epoch seals from now on, and every row under the epochs before it is resealed, in passes over the
//! tables until none is left; then those keys are destroyed.
//!
//! Why no write is lost: a pass takes only keys that are settled (nobody can be writing a row under them any more), so a row
//! that still names its old key is as it was read.

use std::collections::HashSet;
use std::time::Duration;

use uuid::Uuid;

use super::destroy::{self, Named};
use super::pass::{self, Known};
use super::tables::Table;
use super::{RotationError, Work};
use crate::crypto::dek::owner_of;
use crate::store::{deks, rotations};

/// Between two looks whether keys have settled.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn rotate(work: &mut Work) -> Result<(), RotationError> {
    for class in classes(work) {
        begin_epochs(work, class).await?;
    }
    if work.rotation.items_total == 0 {
        let keys = list_retired(work).await?;
        let total: i64 = destroy::count_rows(work.pool(), &keys).await?.values().sum();
        rotations::set_total(&mut work.connection, work.rotation.id, total).await?;
    }
    let mut known = Known::default();
    loop {
        let retired = list_retired(work).await?;
        let keys = deks::list_settled(work.pool(), &retired).await?;
        if keys.is_empty() && !retired.is_empty() {
            work.check_unsealed()?;
            tokio::time::sleep(SETTLE_EVERY).await;
            continue;
        }
        known.damaged.clear();
        pass::run(work, &keys, &mut known).await?;
        let Named { rows_left } = destroy::destroy_unnamed(work, &keys).await?;
        rotations::finish_pass(&mut work.connection, work.rotation.id, count(&known.damaged)).await?;
        // What is left are rows that don't open; anything else (rows that moved, were locked, or lay before the place where a
        // crash left off) is for the next pass.
        if keys.len() == retired.len() && rows_left == count(&known.damaged) {
            return Ok(());
        }
    }
}

fn count(rows: &HashSet<Uuid>) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}

/// Only classes whose tables are known are rotated: the others' old keys could never be destroyed.
fn classes(work: &Work) -> Vec<&'static str> {
    let mut classes: Vec<&str> = Table::ALL.iter().map(|table| table.class().as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.retain(|class| work.rotation.data_class.as_deref().is_none_or(|wanted| wanted == *class));
    classes
}

/// Each key that was active when the rotation began gets its successor, once: a successor's id is above all of theirs.
async fn begin_epochs(work: &mut Work, class: &'static str) -> Result<(), RotationError> {
    loop {
        let mut keys = deks::list_active(work.pool(), work.rotation.merchant_id, Some(class)).await?;
        keys.retain(|row| row.id <= work.rotation.last_key);
        if keys.is_empty() {
            return Ok(());
        }
        work.check_unsealed()?;
        for row in keys {
            let (merchant, class) = owner_of(&row)?;
            work.keyring.deks.next_epoch(merchant, class, row.id).await?;
            work.keyring.deks.forget(row.id);
        }
    }
}

async fn list_retired(work: &Work) -> Result<Vec<i64>, RotationError> {
    let mut keys = Vec::new();
    for class in classes(work) {
        keys.extend(deks::list_retired(work.pool(), work.rotation.merchant_id, Some(class)).await?);
    }
    Ok(keys)
}
