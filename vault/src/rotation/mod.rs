//! Rotation of keys, in the background and online.
//!
//! A rotation is a row in the database ([`crate::store::rotations`]). Every node looks for one; the node that holds the lock
//! works on it, and when that node dies another goes on where it was. What others need to know of it they learn from the
//! database: a new KEK when they meet its version, a retired DEK when it no longer seals, a destroyed key within seconds.
//!
//! What may enter: wrapped keys and sealed rows. What may leave: the same under other keys, and counts. What never does: a
//! row opened without its row in the access ledger, and a destroyed key that a row still names.

mod batch;
mod deks;
mod destroy;
mod keks;
mod pace;
mod pass;
pub mod tables;

use std::sync::Arc;
use std::time::Duration;

use kura_platform::clock;
use kura_platform::database::{PgConnection, PgPool};
use kura_wire::vault::VaultErrorCode;
use tokio::time::MissedTickBehavior;

use crate::crypto::dek::DekError;
use crate::crypto::keks::KekError;
use crate::crypto::keyring::Keyring;
use crate::domain::Vault;
use crate::store::StoreError;
use crate::store::rotations::{self, RotationRow};
use pace::Pace;

const LOOK_EVERY: Duration = Duration::from_millis(500);
const FOLLOW_EVERY: Duration = Duration::from_secs(5);
/// How far nodes' clocks may be apart.
const CLOCK_SKEW: time::Duration = time::Duration::minutes(5);

/// Why a rotation does not go on. The next look begins where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// A KEK.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// A DEK.
    #[error(transparent)]
    Dek(#[from] DekError),
    /// The ledger.
    #[error("access ledger: {0}")]
    Ledger(VaultErrorCode),
    /// A thread that opens and seals.
    #[error("a worker thread ended unseen")]
    Thread,
    /// The vault was sealed under its hands.
    #[error("the vault is sealed")]
    Sealed,
}

/// What the node that rotates works with.
struct Work {
    vault: Arc<Vault>,
    keyring: Arc<Keyring>,
    /// It holds the lock. What is written goes through it, so that a node that lost the lock writes nothing more.
    connection: PgConnection,
    rotation: RotationRow,
    pace: Pace,
}

impl Work {
    fn pool(&self) -> &PgPool {
        &self.vault.pool
    }

    /// A vault that is sealed stops at once, though this worker still holds the keys.
    fn check_unsealed(&self) -> Result<(), RotationError> {
        self.vault.keys.keyring().map(drop).ok_or(RotationError::Sealed)
    }
}

/// Looks for rotations and works on them, for as long as the process lives.
pub async fn watch(vault: Arc<Vault>) {
    tokio::spawn(follow(Arc::clone(&vault)));
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = take_turn(&vault).await {
            tracing::warn!(%error, "the rotation will be tried again");
        }
    }
}

async fn take_turn(vault: &Arc<Vault>) -> Result<(), RotationError> {
    let Some(keyring) = vault.keys.keyring() else { return Ok(()) };
    if rotations::find_running(&vault.pool).await?.is_none() {
        return Ok(());
    }
    let mut pooled = vault.pool.acquire().await?;
    if !rotations::lock(&mut pooled).await? {
        return Ok(());
    }
    let mut connection = pooled.detach();
    rotations::give_way(&mut connection).await?;
    // As it is now: between the look and the lock another node may have finished it.
    let Some(rotation) = rotations::find_running(&vault.pool).await? else { return Ok(connection.close().await?) };
    let pace = Pace::new(rotation.rows_per_second);
    let mut work = Work { vault: Arc::clone(vault), keyring, connection, rotation, pace };
    tracing::info!(rotation = %work.rotation.id, kind = work.rotation.kind, "rotating");
    match work.rotation.kind.as_str() {
        "kek" => keks::rotate(&mut work).await?,
        _ => deks::rotate(&mut work).await?,
    }
    rotations::finish(&vault.pool, work.rotation.id, clock::now()).await?;
    tracing::info!(rotation = %work.rotation.id, "rotated");
    // With the connection goes its lock.
    Ok(work.connection.close().await?)
}

/// What other nodes destroyed is dropped here too.
async fn follow(vault: Arc<Vault>) {
    let mut since = clock::now();
    let mut ticks = tokio::time::interval(FOLLOW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(keyring) = vault.keys.keyring() else { continue };
        let now = clock::now();
        match drop_destroyed(&keyring, since - CLOCK_SKEW).await {
            Ok(()) => since = now,
            Err(error) => tracing::warn!(%error, "destroyed keys are not dropped yet"),
        }
    }
}

async fn drop_destroyed(keyring: &Keyring, since: time::OffsetDateTime) -> Result<(), RotationError> {
    keyring.deks.drop_destroyed(since).await?;
    Ok(keyring.keks.reload().await?)
}
