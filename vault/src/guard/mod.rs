//! What limits and watches the vault's own peers: budgets of openings, freezes, canaries.
//!
//! Purpose: an owned gateway, or any other peer, can use no more records than its work needs, and is stopped in the act.
//! What may enter: who asks for what, and how many records. What may leave: a [`Permit`], or the word `PurposeFrozen`.
//! What never does: an opening without a permit. The ledger's writer takes [`Permitted`] rows alone, only the writer makes the
//! receipt that opens a record, and a `Permitted` row is made of a permit: there is no way around.

pub mod budgets;
pub mod frozen;

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_platform::database::{PgPool, is_outage};
use kura_wire::vault::{Context, VaultErrorCode};
use uuid::Uuid;

use crate::config::BudgetConfig;
use crate::crypto::fingerprint::Fingerprints;
use crate::store::alerts::AlertKind;
use crate::store::freezes::NewFreeze;
use crate::store::openings::OpeningRow;
use crate::store::{StoreError, budget_windows, canaries, freezes};
use budgets::{Budgets, Taken};
use frozen::Frozen;

/// How often a node looks at what the others have frozen. In force within a second, with room to spare.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A look that takes longer has failed.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// Without a look for so long nobody knows what is frozen, so nothing is opened.
const BLIND_AFTER: Duration = Duration::from_secs(5);
/// How long windows are kept after their beginning.
const WINDOWS_KEPT: time::Duration = time::Duration::days(2);
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// Witness: these openings are within their budget, and nobody has frozen them. Made by [`Guard::permit`] alone, used up once.
#[derive(Debug)]
pub struct Permit {
    peer: String,
    purpose: String,
    records: i32,
}

impl Permit {
    /// The ledger row that it permits. Who opens, why, and how many records are the permit's, whatever the row says.
    pub fn cover(self, row: OpeningRow) -> Permitted {
        Permitted(OpeningRow { actor: self.peer, purpose: self.purpose, records: self.records, ..row })
    }
}

/// A ledger row that is within its budget.
pub struct Permitted(OpeningRow);

impl Permitted {
    /// The row.
    pub fn row(&self) -> &OpeningRow {
        &self.0
    }
}

/// What a request is about, for the alert.
#[derive(Debug, Clone, Copy, Default)]
pub struct About {
    /// Whose record.
    pub merchant: Option<Uuid>,
    /// The record.
    pub record: Option<Uuid>,
    /// The request.
    pub request: Option<Uuid>,
}

impl About {
    /// A record of the merchant on whose behalf the gateway asks.
    pub fn of(context: &Context, record: [u8; 16]) -> Self {
        Self {
            merchant: Some(Uuid::from_bytes(*context.merchant.as_bytes())),
            record: Some(Uuid::from_bytes(record)),
            request: Some(Uuid::from_bytes(*context.request_id.as_bytes())),
        }
    }
}

/// The guard of a node.
pub struct Guard {
    pool: PgPool,
    node: i16,
    budgets: Budgets,
    frozen: Frozen,
    canaries: RwLock<HashSet<Vec<u8>>>,
    looked: RwLock<Instant>,
}

impl Guard {
    /// With what is frozen and watched at this moment.
    ///
    /// # Errors
    /// [`StoreError`]: a node must not start blind.
    pub async fn start(pool: PgPool, node: i16, configured: &[BudgetConfig]) -> Result<Self, StoreError> {
        let guard = Self {
            budgets: Budgets::new(pool.clone(), configured),
            frozen: Frozen::default(),
            canaries: RwLock::default(),
            looked: RwLock::new(Instant::now()),
            pool,
            node,
        };
        guard.look().await?;
        Ok(guard)
    }

    /// Whether this peer may open so many records for this purpose now. In memory but for one statement now and then, which
    /// takes the next block out of the budget of all nodes.
    ///
    /// # Errors
    /// `PurposeFrozen`; `Overloaded` while what is frozen can't be known; `Internal`.
    pub async fn permit(
        &self,
        peer: &str,
        purpose: &str,
        records: i32,
        about: About,
    ) -> Result<Permit, VaultErrorCode> {
        self.require_unfrozen(peer, purpose)?;
        match self.budgets.take(peer, purpose, i64::from(records)).await {
            Ok(Taken::Within) => Ok(Permit { peer: peer.to_owned(), purpose: purpose.to_owned(), records }),
            Ok(Taken::Beyond) => {
                self.freeze(peer, purpose, AlertKind::BudgetExceeded, about).await;
                Err(VaultErrorCode::PurposeFrozen)
            }
            Err(error) if is_outage(&error) => Err(VaultErrorCode::Overloaded),
            Err(error) => {
                tracing::error!(%error, "no lease of a budget");
                Err(VaultErrorCode::Internal)
            }
        }
    }

    /// For purposes that open nothing and can be frozen all the same.
    ///
    /// # Errors
    /// `PurposeFrozen`; `Overloaded` while what is frozen can't be known.
    pub fn require_unfrozen(&self, peer: &str, purpose: &str) -> Result<(), VaultErrorCode> {
        if self.frozen.holds(peer, purpose) {
            return Err(VaultErrorCode::PurposeFrozen);
        }
        let looked = *self.looked.read().unwrap_or_else(PoisonError::into_inner);
        if looked.elapsed() > BLIND_AFTER { Err(VaultErrorCode::Overloaded) } else { Ok(()) }
    }

    /// Whether this record is a canary. If it is, this purpose is frozen for this peer before this returns, and the alarm is
    /// raised. Ask it first, of every record that a peer names.
    pub async fn trips(
        &self,
        fingerprints: &Fingerprints,
        peer: &str,
        purpose: &str,
        record: &[u8; 16],
        about: About,
    ) -> bool {
        let watched = {
            let canaries = self.canaries.read().unwrap_or_else(PoisonError::into_inner);
            !canaries.is_empty() && canaries.contains(&fingerprints.canary(record))
        };
        if watched {
            self.freeze(peer, purpose, AlertKind::CanaryUsed, about).await;
        }
        watched
    }

    /// Watches a record from now on; on the other nodes with their next look.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn watch(&self, record_hash: Vec<u8>, merchant: Uuid, livemode: bool) -> Result<(), StoreError> {
        canaries::insert(&self.pool, &record_hash, merchant, livemode, clock::now()).await?;
        self.canaries.write().unwrap_or_else(PoisonError::into_inner).insert(record_hash);
        Ok(())
    }

    /// Whether nothing is frozen.
    pub fn is_free(&self) -> bool {
        self.frozen.is_empty()
    }

    /// In force here at once, on disk before this returns if the database is there, on the other nodes with their next look.
    async fn freeze(&self, peer: &str, purpose: &str, reason: AlertKind, about: About) {
        let About { merchant, record, request } = about;
        let (peer, purpose, at) = (peer.to_owned(), purpose.to_owned(), clock::now());
        let freeze = NewFreeze { peer, purpose, reason, node: self.node, at, merchant, record, request };
        tracing::error!(alert = reason.as_str(), peer = freeze.peer, purpose = freeze.purpose, "frozen");
        self.frozen.put(freeze.clone());
        self.write_down(&freeze).await;
    }

    async fn write_down(&self, freeze: &NewFreeze) {
        match freezes::insert(&self.pool, freeze).await {
            Ok(()) => self.frozen.mark_durable(freeze),
            Err(error) => tracing::error!(%error, "a freeze is not on disk yet; it is tried again"),
        }
    }

    /// Learns what is frozen and watched, for as long as the process lives.
    pub async fn keep_looking(&self) {
        let mut tidied = Instant::now();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for freeze in self.frozen.not_durable() {
                self.write_down(&freeze).await;
            }
            match tokio::time::timeout(LOOK_WITHIN, self.look()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "no look at what is frozen"),
                Err(_) => tracing::warn!("a look at what is frozen took too long"),
            }
            if tidied.elapsed() > TIDY_EVERY {
                tidied = Instant::now();
                if let Err(error) = budget_windows::forget_older(&self.pool, clock::now() - WINDOWS_KEPT).await {
                    tracing::warn!(%error, "old budget windows not forgotten");
                }
            }
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        let known = self.frozen.durable();
        self.frozen.learn(freezes::list_in_force(&self.pool).await?, &known);
        let count = usize::try_from(canaries::count(&self.pool).await?).unwrap_or(usize::MAX);
        if count != self.canaries.read().unwrap_or_else(PoisonError::into_inner).len() {
            let hashes = canaries::list_hashes(&self.pool).await?.into_iter().collect();
            *self.canaries.write().unwrap_or_else(PoisonError::into_inner) = hashes;
        }
        *self.looked.write().unwrap_or_else(PoisonError::into_inner) = began;
        Ok(())
    }
}
