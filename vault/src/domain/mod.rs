//! What the vault does, one file for each verb. `Vault` holds the parts; every verb takes the peer as a witness.

pub mod attach;
pub mod authorize;
pub mod canaries;
pub mod follow_up;
pub mod outcome;
pub mod resolve;
pub mod tokenize;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use kura_platform::clock;
use kura_wire::ids::{AttemptId, MerchantId, NodeId, RequestId};
use kura_wire::vault::VaultErrorCode;
use sqlx::PgPool;
use uuid::Uuid;

use crate::acquirer::Acquirer;
use crate::card::Pan;
use crate::commit::{Committer, LedgerReceipt};
use crate::crypto::field::{DataClass, Place, Sealed};
use crate::crypto::identity::Identity;
use crate::crypto::keyring::{Keyring, KeyringSlot};
use crate::crypto::sealing_keys::SealingKeys;
use crate::cvc_store::CvcStore;
use crate::guard::Guard;
use crate::memory::Memory;
use crate::store::StoreError;
use crate::store::alerts::{self, AlertKind};

/// The table that all cards are in; part of what their sealed values are bound to.
const CARDS: &str = "cards";

/// All parts of a running vault node.
pub struct Vault {
    /// This node.
    pub node: NodeId,
    /// For reads; writes go through `committer`.
    pub pool: PgPool,
    /// Durable writes.
    pub committer: Committer,
    /// Vouches for `sealing_keys`.
    pub identity: Identity,
    /// What browsers seal to.
    pub sealing_keys: SealingKeys,
    /// What seals rows and knows cards again; empty while the vault is sealed.
    pub keys: KeyringSlot,
    /// Security codes until their first use.
    pub cvcs: CvcStore,
    /// The network for test keys.
    pub acquirer_test: Option<Acquirer>,
    /// The network for live keys.
    pub acquirer_live: Option<Acquirer>,
    /// Attempts that a task of this process is working on.
    pub in_flight: InFlight,
    /// Budgets, freezes, canaries.
    pub guard: Guard,
    /// How the process's memory is kept off disks.
    pub memory: Memory,
}

impl Vault {
    fn acquirer(&self, livemode: bool) -> Result<&Acquirer, VaultErrorCode> {
        let acquirer = if livemode { &self.acquirer_live } else { &self.acquirer_test };
        acquirer.as_ref().ok_or(VaultErrorCode::NetworkNotConfigured)
    }

    /// This node as rows have it.
    fn node_number(&self) -> i16 {
        i16::try_from(self.node.number()).unwrap_or(i16::MAX)
    }

    /// The keys, unless the vault is sealed.
    fn keyring(&self) -> Result<Arc<Keyring>, VaultErrorCode> {
        self.keys.keyring().ok_or(VaultErrorCode::Sealed)
    }

    /// Opens a card's number. The receipt says that the opening is on disk already; it is used up by it.
    async fn open_pan(
        &self,
        keyring: &Keyring,
        receipt: LedgerReceipt,
        merchant: MerchantId,
        request: RequestId,
        pan_sealed: Vec<u8>,
    ) -> Result<Pan, VaultErrorCode> {
        let record = *receipt.record().as_bytes();
        let sealed = Sealed::from_column(pan_sealed);
        let place = Place { table: CARDS, column: "pan_sealed", record: &record, merchant, class: DataClass::Card };
        let opened = match sealed.key_id() {
            Some(key_id) => match keyring.deks.for_opening(merchant, DataClass::Card, key_id).await {
                Ok(key) => key.open(place, &sealed).ok().and_then(|digits| Pan::parse(&digits).ok()),
                Err(error) if error.is_unopenable() => None,
                Err(error) => return Err(internal(&error)),
            },
            None => None,
        };
        match opened {
            Some(pan) => Ok(pan),
            None => {
                self.raise_unopenable(merchant, receipt.record(), request).await;
                Err(VaultErrorCode::SealedDataCorrupt)
            }
        }
    }

    /// Sealed data that does not open was damaged, moved or swapped: somebody must look.
    async fn raise_unopenable(&self, merchant: MerchantId, record: Uuid, request: RequestId) {
        let kind = AlertKind::SealedDataUnopenable;
        let owner = Uuid::from_bytes(*merchant.as_bytes());
        let request = Uuid::from_bytes(*request.as_bytes());
        if let Err(error) =
            alerts::insert(&self.pool, clock::now(), kind, Some(owner), Some(record), Some(request)).await
        {
            tracing::error!(%error, "the alert could not be recorded");
        }
    }

    /// What must be done every few seconds, whether or not anybody asks.
    pub fn upkeep(&self) {
        if let Err(error) = self.sealing_keys.rotate(&self.identity, clock::now_ms()) {
            tracing::error!(%error, "sealing keys not rotated");
        }
    }
}

/// The attempts that are being worked on, so that nobody resolves one under the hands of its own task.
#[derive(Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<AttemptId>>>);

/// Marks an attempt for as long as it lives.
struct Working {
    attempt: AttemptId,
    all: InFlight,
}

impl InFlight {
    /// `None` when another task has it.
    fn begin(&self, attempt: AttemptId) -> Option<Working> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt);
        fresh.then(|| Working { attempt, all: self.clone() })
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.attempt);
    }
}

/// Logs what can't cross the boundary, and gives the word that can.
fn internal(error: &dyn std::error::Error) -> VaultErrorCode {
    tracing::error!(error = error.to_string(), "vault failed");
    VaultErrorCode::Internal
}

fn store_error(error: StoreError) -> VaultErrorCode {
    match error {
        sqlx::Error::PoolTimedOut => VaultErrorCode::Overloaded,
        other => internal(&other),
    }
}

/// The attempt's id as the database has it.
fn attempt_uuid(attempt: AttemptId) -> Uuid {
    Uuid::from_bytes(*attempt.as_bytes())
}

/// The merchant's id as the database has it.
fn merchant_uuid(merchant: MerchantId) -> Uuid {
    Uuid::from_bytes(*merchant.as_bytes())
}
