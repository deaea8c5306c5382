//! KEK rotation: a new KEK, by another provider if that is wanted; everything is wrapped anew under it; then the old one is
//! destroyed, if nothing is left under it. Rows of cards are not touched.

use std::time::Instant;

use kura_platform::clock;

use super::{RotationError, Work, pace};
use crate::crypto::key_provider::ProviderKind;
use crate::store::rotations::Progress;
use crate::store::{deks, keks, rotations};

/// Keys wrapped anew between two reports.
const PAGE: i64 = 200;

pub(super) async fn rotate(work: &mut Work) -> Result<(), RotationError> {
    let keyring = std::sync::Arc::clone(&work.keyring);
    keyring.keks.reload().await?;
    // After a crash the new one may be there already.
    if Some(keyring.keks.active_version()) == work.rotation.old_kek_version {
        keyring.keks.rotate(work.rotation.provider.as_deref().and_then(ProviderKind::parse)).await?;
    }
    let version = keyring.keks.active_version();
    let left = deks::count_under_others(work.pool(), version).await?;
    rotations::set_total(&mut work.connection, work.rotation.id, work.rotation.items_done + left).await?;
    let damaged = rewrap_deks(work, version).await?
        + keyring.keks.rewrap_secrets().await?
        + crate::import::rewrap_secrets(&work.vault, &keyring).await?;
    rotations::finish_pass(&mut work.connection, work.rotation.id, damaged).await?;
    let destroyed = keks::destroy_unused(work.pool(), clock::now()).await?;
    tracing::info!(version, ?destroyed, damaged, "everything that opens is under the new KEK");
    Ok(keyring.keks.reload().await?)
}

/// Gives how many don't open: each is an alert, and stays where it is, and so does the KEK that it names.
async fn rewrap_deks(work: &mut Work, version: i32) -> Result<i64, RotationError> {
    let (mut after, mut damaged) = (0, 0);
    loop {
        work.check_unsealed()?;
        let began = Instant::now();
        let page = deks::list_under_others(work.pool(), version, after, PAGE.min(work.pace.batch())).await?;
        let Some(last) = page.last() else { return Ok(damaged) };
        after = last.id;
        let mut done = 0;
        for row in &page {
            match work.keyring.deks.rewrap(row).await {
                Ok(()) => done += 1,
                Err(error) if error.is_unopenable() => damaged += 1,
                Err(error) => return Err(error.into()),
            }
        }
        let progress =
            Progress { id: work.rotation.id, done, worked_ms: work.pace.lap_ms(), next_table: None, next_page: after };
        let limit = rotations::advance(&mut work.connection, progress).await?;
        work.pace.set(limit);
        pace::rest(work, done, began).await?;
    }
}
