//! What the vault does, one file for each verb. `Vault` holds the parts; every verb takes the peer as a witness.

pub mod account_update;
pub mod attach;
pub mod authenticate;
pub mod authorize;
pub mod canaries;
pub mod custodian_sets;
pub mod customer;
pub mod deposit;
pub mod describe;
pub mod dispute;
pub mod enter_share;
pub mod erase;
pub mod expiry;
pub mod exposed;
pub mod follow_up;
pub mod outcome;
pub mod person;
pub mod resolve;
pub mod retention;
pub mod settlement;
pub mod sweep;
pub mod tokenize;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use kura_platform::clock;
use kura_platform::database::{PgPool, is_outage};
use kura_wire::ids::{AttemptId, AuthenticationId, MerchantId, NodeId, RequestId};
use kura_wire::vault::VaultErrorCode;
use uuid::Uuid;

use crate::acquirer::Acquirer;
use crate::card::Pan;
use crate::commit::{Committer, LedgerReceipt};
use crate::crypto::field::{DataClass, FieldKey, Place, Sealed};
use crate::crypto::identity::Identity;
use crate::crypto::keyring::{Keyring, KeyringSlot};
use crate::crypto::sealing_keys::SealingKeys;
use crate::custody::Custody;
use crate::cvc_store::CvcStore;
use crate::egress::Egress;
use crate::guard::{About, Guard};
use crate::inventory::KeyFiles;
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::store::StoreError;
use crate::store::alerts::{self, AlertKind};
use crate::store::cards;
use crate::store::openings::OpeningRow;

/// The table that all cards are in; part of what their sealed values are bound to.
pub(crate) const CARDS: &str = "cards";
/// How often a record is sealed anew when its key is retired under its hands.
const MAX_RESEALS: usize = 4;

/// All parts of a running vault node.
pub struct Vault {
    /// This node.
    pub node: NodeId,
    /// For reads; writes go through `committer`.
    pub pool: PgPool,
    /// Durable writes.
    pub committer: Committer,
    /// The access ledger's tree.
    pub ledger: Ledger,
    /// Vouches for `sealing_keys`.
    pub identity: Identity,
    /// What browsers seal to.
    pub sealing_keys: SealingKeys,
    /// What seals rows and knows cards again; empty while the vault is sealed.
    pub keys: KeyringSlot,
    /// How the keyring is come by.
    pub custody: Custody,
    /// Security codes until their first use.
    pub cvcs: CvcStore,
    /// The network for test keys.
    pub acquirer_test: Option<Acquirer>,
    /// The network for live keys.
    pub acquirer_live: Option<Acquirer>,
    /// The networks' other services for test keys.
    pub services_test: Option<Egress>,
    /// The networks' other services for live keys.
    pub services_live: Option<Egress>,
    /// Attempts that a task of this process is working on.
    pub in_flight: InFlight,
    /// Budgets, freezes, canaries.
    pub guard: Guard,
    /// How the process's memory is kept off disks.
    pub memory: Memory,
    /// What is known of keys that lie in files.
    pub key_files: KeyFiles,
    /// What is done about exposed cards.
    pub watchlist: exposed::Watchlist,
}

impl Vault {
    fn acquirer(&self, livemode: bool) -> Result<&Acquirer, VaultErrorCode> {
        let acquirer = if livemode { &self.acquirer_live } else { &self.acquirer_test };
        acquirer.as_ref().ok_or(VaultErrorCode::NetworkNotConfigured)
    }

    /// The networks' other services: 3-D Secure, deposits.
    pub fn services(&self, livemode: bool) -> Result<&Egress, VaultErrorCode> {
        let services = if livemode { &self.services_live } else { &self.services_test };
        services.as_ref().ok_or(VaultErrorCode::NetworkNotConfigured)
    }

    /// This node as rows have it.
    fn node_number(&self) -> i16 {
        i16::try_from(self.node.number()).unwrap_or(i16::MAX)
    }

    /// The keys, unless the vault is sealed.
    fn keyring(&self) -> Result<Arc<Keyring>, VaultErrorCode> {
        self.keys.keyring().ok_or(VaultErrorCode::Sealed)
    }

    /// Records an opening that belongs to no attempt, within its budget. The receipt opens that record once.
    async fn record_opening(&self, row: OpeningRow) -> Result<LedgerReceipt, VaultErrorCode> {
        let about =
            About { merchant: Some(row.merchant_id), record: Some(row.record_id), request: Some(row.request_id) };
        let permit = self.guard.permit(&row.actor, &row.purpose, row.records, about).await?;
        self.committer.open(permit.cover(row)).await
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
        let place = Place { table: CARDS, column: "pan_sealed", record: &record, merchant, class: DataClass::Card };
        let mut sealed = Sealed::from_column(pan_sealed);
        let mut key = key_of(keyring, merchant, &sealed).await?;
        if key.is_none()
            && let Some(now) = cards::find_pan(&self.pool, receipt.record()).await.map_err(store_error)?
        {
            // A rotation may have put the row under its next key, and destroyed the old one, since the row was read.
            let now = Sealed::from_column(now);
            if now.key_id() != sealed.key_id() {
                sealed = now;
                key = key_of(keyring, merchant, &sealed).await?;
            }
        }
        let opened = key.and_then(|key| key.open(place, &sealed).ok()).and_then(|digits| Pan::parse(&digits).ok());
        match opened {
            Some(pan) => Ok(pan),
            None => {
                self.raise_unopenable(merchant, receipt.record(), request).await;
                Err(VaultErrorCode::SealedDataCorrupt)
            }
        }
    }

    /// Sealed data that does not open was damaged, moved or swapped: somebody must look.
    pub(crate) async fn raise_unopenable(&self, merchant: MerchantId, record: Uuid, request: RequestId) {
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
        self.custody.upkeep(&self.identity);
        if let Err(error) = self.sealing_keys.rotate(&self.identity, clock::now_ms()) {
            tracing::error!(%error, "sealing keys not rotated");
        }
    }
}

/// The key that a value names; `None` when this merchant has no such key, or it does not unwrap.
async fn key_of(
    keyring: &Keyring,
    merchant: MerchantId,
    sealed: &Sealed,
) -> Result<Option<Arc<FieldKey>>, VaultErrorCode> {
    let Some(key_id) = sealed.key_id() else { return Ok(None) };
    match keyring.deks.for_opening(merchant, DataClass::Card, key_id).await {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.is_unopenable() => Ok(None),
        Err(error) => Err(internal(&error)),
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
fn internal(error: &(dyn std::error::Error + 'static)) -> VaultErrorCode {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.any(|cause| cause.downcast_ref().is_some_and(is_outage)) {
        tracing::warn!(error = error.to_string(), "the database is away");
        return VaultErrorCode::Overloaded;
    }
    tracing::error!(error = error.to_string(), "vault failed");
    VaultErrorCode::Internal
}

fn store_error(error: StoreError) -> VaultErrorCode {
    internal(&error)
}

/// The attempt's id as the database has it.
fn attempt_uuid(attempt: AttemptId) -> Uuid {
    Uuid::from_bytes(*attempt.as_bytes())
}

/// The authentication's id as the database has it.
fn authentication_uuid(authentication: AuthenticationId) -> Uuid {
    Uuid::from_bytes(*authentication.as_bytes())
}

/// The merchant's id as the database has it.
fn merchant_uuid(merchant: MerchantId) -> Uuid {
    Uuid::from_bytes(*merchant.as_bytes())
}
