//! Data encryption keys in use: made on first need, unwrapped once, kept until they are destroyed; each counted against the
//! number of seals that AES-GCM allows with random nonces. A retired key opens and no longer seals: the database refuses
//! rows sealed under one ([`crate::store::cards::insert_all`]), so a node that has not heard yet learns it there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kura_platform::clock;
use kura_platform::database::PgPool;
use kura_wire::ids::MerchantId;
use kura_wire::sealed_box::length_prefixed;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::field::{DataClass, FieldKey};
use super::keks::{KekError, Keks};
use super::key_provider::{KeyError, random_key};
use crate::store::StoreError;
use crate::store::alerts::{self, AlertKind};
use crate::store::deks::{self, DekRow, NewDek};

/// Seals reserved at a time. A process that dies wastes what it did not use: a thousandth of the key.
const BLOCK: i64 = 1 << 20;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum DekError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The KEK.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// A value names a key that this merchant and class don't have, or that was destroyed.
    #[error("no such key for this merchant and class")]
    Unknown,
}

impl DekError {
    /// Whether the cause is that something sealed or wrapped does not open, as opposed to trouble on the way.
    pub fn is_unopenable(&self) -> bool {
        matches!(self, Self::Unknown | Self::Kek(KekError::Key(KeyError::Unwrap)))
    }
}

/// All keys in use.
pub struct Deks {
    pool: PgPool,
    keks: Arc<Keks>,
    current: RwLock<HashMap<(MerchantId, DataClass), Arc<InUse>>>,
    by_id: RwLock<HashMap<i64, Owned>>,
    /// One at a time makes, loads or extends a key; the rest use what is there.
    making: Mutex<()>,
}

/// A key, and whose.
type Owned = (MerchantId, DataClass, Arc<FieldKey>);

struct InUse {
    key: Arc<FieldKey>,
    seals_left: AtomicI64,
}

impl InUse {
    fn take_seals(&self, count: i64) -> bool {
        let enough = |left: i64| (left >= count).then_some(left - count);
        self.seals_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }
}

impl Deks {
    /// No key yet.
    pub fn new(pool: PgPool, keks: Arc<Keks>) -> Self {
        Self { pool, keks, current: RwLock::default(), by_id: RwLock::default(), making: Mutex::new(()) }
    }

    /// The key that seals for this merchant and class now, with `seals` of its uses taken.
    ///
    /// # Errors
    /// [`DekError`].
    pub async fn for_sealing(
        &self,
        merchant: MerchantId,
        class: DataClass,
        seals: i64,
    ) -> Result<Arc<FieldKey>, DekError> {
        if let Some(key) = self.usable(merchant, class, seals) {
            return Ok(key);
        }
        let _one = self.making.lock().await;
        match self.usable(merchant, class, seals) {
            Some(key) => Ok(key),
            None => self.load_or_make(merchant, class, seals).await,
        }
    }

    /// The database refused a row under this key: it was retired. The next seal looks for its successor.
    pub fn forget(&self, key_id: i64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.retain(|_, in_use| in_use.key.id() != key_id);
    }

    /// The key that a stored value names. It must be this merchant's and class's own: a swapped key is refused here, and a
    /// swapped value in AES-GCM.
    ///
    /// # Errors
    /// [`DekError`].
    pub async fn for_opening(
        &self,
        merchant: MerchantId,
        class: DataClass,
        id: i64,
    ) -> Result<Arc<FieldKey>, DekError> {
        let known = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let (owner, of_class, key) = match known {
            Some(known) => known,
            None => {
                let row = deks::find(&self.pool, id).await?.ok_or(DekError::Unknown)?;
                if row.merchant_id.as_bytes() != merchant.as_bytes() || row.data_class != class.as_str() {
                    return Err(DekError::Unknown);
                }
                (merchant, class, self.unwrap(merchant, class, &row).await?)
            }
        };
        if (owner, of_class) == (merchant, class) { Ok(key) } else { Err(DekError::Unknown) }
    }

    /// Ends the time of the key that seals for a merchant and class, and makes the next epoch's.
    ///
    /// # Errors
    /// [`DekError`]; nothing has changed then.
    pub async fn next_epoch(&self, merchant: MerchantId, class: DataClass, active: i64) -> Result<(), DekError> {
        let owner = Uuid::from_bytes(*merchant.as_bytes());
        let epoch = 1 + deks::last_epoch(&self.pool, owner, class.as_str()).await?;
        let wrapped = self.keks.wrap(&random_key(), &binding(merchant, class, epoch))?;
        let new = NewDek {
            merchant_id: owner,
            class: class.as_str(),
            epoch,
            kek_version: wrapped.kek_version,
            dek_wrapped: &wrapped.bytes,
        };
        let now = clock::now();
        let mut transaction = self.pool.begin().await?;
        deks::retire(&mut *transaction, active, now).await?;
        if deks::insert(&mut *transaction, &new, now).await? {
            transaction.commit().await?;
        } else {
            // Another node was first, or the KEK was rotated in this moment: what is there now is looked at again.
            transaction.rollback().await?;
            self.keks.reload().await?;
        }
        Ok(())
    }

    /// Puts a key under the active KEK.
    ///
    /// # Errors
    /// [`DekError`]; a key that does not open is an alert and stays as it is.
    pub async fn rewrap(&self, row: &DekRow) -> Result<(), DekError> {
        let (merchant, class) = owner_of(row)?;
        let bound = binding(merchant, class, row.epoch);
        let dek = match self.keks.unwrap(row.kek_version, &row.dek_wrapped, &bound).await {
            Err(error) => return Err(self.not_unwrapped(merchant, row, error).await?),
            Ok(dek) => dek,
        };
        let wrapped = self.keks.wrap(&dek, &bound)?;
        Ok(deks::rewrap(&self.pool, row.id, row.kek_version, wrapped.kek_version, &wrapped.bytes).await?)
    }

    /// Drops keys that were destroyed since then, by any node.
    ///
    /// # Errors
    /// [`DekError`].
    pub async fn drop_destroyed(&self, since: time::OffsetDateTime) -> Result<(), DekError> {
        let gone = deks::list_destroyed_since(&self.pool, since).await?;
        if !gone.is_empty() {
            self.by_id.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| !gone.contains(id));
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            current.retain(|_, in_use| !gone.contains(&in_use.key.id()));
        }
        Ok(())
    }

    fn usable(&self, merchant: MerchantId, class: DataClass, seals: i64) -> Option<Arc<FieldKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let in_use = current.get(&(merchant, class))?;
        in_use.take_seals(seals).then(|| Arc::clone(&in_use.key))
    }

    /// The active key with room for a block of seals; a new epoch when it has none left, the first when there is none.
    async fn load_or_make(
        &self,
        merchant: MerchantId,
        class: DataClass,
        seals: i64,
    ) -> Result<Arc<FieldKey>, DekError> {
        let owner = Uuid::from_bytes(*merchant.as_bytes());
        // A few times at the most: used up, rotated by another node in this moment, then the one made after it.
        for _ in 0..5 {
            let Some(row) = deks::find_active(&self.pool, owner, class.as_str()).await? else {
                // No key has the id 0: nothing is retired.
                self.next_epoch(merchant, class, 0).await?;
                continue;
            };
            let block = BLOCK.max(seals);
            if !deks::reserve_seals(&self.pool, row.id, block).await? {
                self.next_epoch(merchant, class, row.id).await?;
                continue;
            }
            let key = self.unwrap(merchant, class, &row).await?;
            let in_use = InUse { key: Arc::clone(&key), seals_left: AtomicI64::new(block - seals) };
            tracing::info!(%merchant, class = class.as_str(), key_id = row.id, epoch = row.epoch, "key in use");
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            current.insert((merchant, class), Arc::new(in_use));
            return Ok(key);
        }
        Err(DekError::Unknown)
    }

    async fn unwrap(&self, merchant: MerchantId, class: DataClass, row: &DekRow) -> Result<Arc<FieldKey>, DekError> {
        let bound = binding(merchant, class, row.epoch);
        let mut unwrapped = self.keks.unwrap(row.kek_version, &row.dek_wrapped, &bound).await;
        if matches!(unwrapped, Err(KekError::Key(KeyError::UnknownVersion(_)))) {
            // A KEK rotation overtook us: since the row was read, it was put under the next KEK, and the old one destroyed.
            let now = deks::find(&self.pool, row.id).await?.ok_or(DekError::Unknown)?;
            unwrapped = self.keks.unwrap(now.kek_version, &now.dek_wrapped, &bound).await;
        }
        let dek = match unwrapped {
            Err(error) => return Err(self.not_unwrapped(merchant, row, error).await?),
            Ok(dek) => dek,
        };
        let key = Arc::new(FieldKey::new(row.id, &dek).map_err(|_| KekError::Key(KeyError::Unwrap))?);
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.insert(row.id, (merchant, class, Arc::clone(&key)));
        Ok(key)
    }

    /// A wrapping that does not open was damaged or swapped: an alert. Other trouble is none.
    async fn not_unwrapped(&self, merchant: MerchantId, row: &DekRow, error: KekError) -> Result<DekError, DekError> {
        if matches!(error, KekError::Key(KeyError::Unwrap)) {
            let kind = AlertKind::WrappedKeyUnopenable;
            tracing::error!(alert = kind.as_str(), %merchant, key_id = row.id, "wrapped key does not open");
            alerts::insert(&self.pool, clock::now(), kind, Some(row.merchant_id), None, None).await?;
        }
        Ok(error.into())
    }
}

/// Whose key a row is.
///
/// # Errors
/// [`DekError::Unknown`] for a class that this program does not know.
pub fn owner_of(row: &DekRow) -> Result<(MerchantId, DataClass), DekError> {
    let class = DataClass::parse(&row.data_class).ok_or(DekError::Unknown)?;
    Ok((MerchantId::from_bytes(row.merchant_id.into_bytes()), class))
}

fn binding(merchant: MerchantId, class: DataClass, epoch: i32) -> Vec<u8> {
    length_prefixed(&[b"kura dek v1", merchant.as_bytes(), class.as_str().as_bytes(), &epoch.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keks::tests::{nowhere, open_keks};

    const HERE: MerchantId = MerchantId::from_bytes([1; 16]);
    const THERE: MerchantId = MerchantId::from_bytes([2; 16]);

    fn key(id: i64) -> Arc<FieldKey> {
        Arc::new(FieldKey::new(id, &random_key()).unwrap())
    }

    /// With a key 7 for cards of one merchant, for three more seals.
    fn deks() -> Deks {
        let deks = Deks::new(nowhere(), Arc::new(open_keks(1, &[1])));
        let key = key(7);
        let in_use = InUse { key: Arc::clone(&key), seals_left: AtomicI64::new(3) };
        deks.current.write().unwrap().insert((HERE, DataClass::Card), Arc::new(in_use));
        deks.by_id.write().unwrap().insert(7, (HERE, DataClass::Card, key));
        deks
    }

    /// A key gives as many seals as were reserved for it, and not one more.
    #[test]
    fn seals_are_counted() {
        let in_use = InUse { key: key(7), seals_left: AtomicI64::new(3) };
        assert!(in_use.take_seals(2));
        assert!(!in_use.take_seals(2));
        assert!(in_use.take_seals(1));
        assert!(!in_use.take_seals(1));
        assert!(in_use.take_seals(0));
    }

    /// The key in use seals for its merchant and class without asking the database, until its seals are used up or it is
    /// forgotten.
    #[tokio::test]
    async fn the_key_in_use_seals() {
        let sealing = |merchant, class, seals| async move { deks().for_sealing(merchant, class, seals).await };
        assert_eq!(sealing(HERE, DataClass::Card, 3).await.unwrap().id(), 7);
        assert!(matches!(sealing(HERE, DataClass::Card, 4).await, Err(DekError::Store(_))));
        assert!(matches!(sealing(THERE, DataClass::Card, 1).await, Err(DekError::Store(_))));
        assert!(matches!(sealing(HERE, DataClass::Konbini, 1).await, Err(DekError::Store(_))));
        let deks = deks();
        deks.forget(8);
        assert_eq!(deks.for_sealing(HERE, DataClass::Card, 1).await.unwrap().id(), 7);
        deks.forget(7);
        assert!(matches!(deks.for_sealing(HERE, DataClass::Card, 1).await, Err(DekError::Store(_))));
        assert_eq!(deks.for_opening(HERE, DataClass::Card, 7).await.unwrap().id(), 7, "it opens on");
    }

    /// A key opens for its own merchant and class; a value that names another's key is refused before AES has it.
    #[tokio::test]
    async fn a_key_opens_for_its_owner_alone() {
        let deks = deks();
        assert_eq!(deks.for_opening(HERE, DataClass::Card, 7).await.unwrap().id(), 7);
        assert!(matches!(deks.for_opening(THERE, DataClass::Card, 7).await, Err(DekError::Unknown)));
        assert!(matches!(deks.for_opening(HERE, DataClass::Konbini, 7).await, Err(DekError::Unknown)));
        assert!(matches!(deks.for_opening(HERE, DataClass::Card, 8).await, Err(DekError::Store(_))));
    }

    /// A wrapped key is bound to its merchant, its class and its epoch.
    #[test]
    fn a_wrapped_key_is_bound() {
        let bound = binding(HERE, DataClass::Card, 1);
        for other in [
            binding(THERE, DataClass::Card, 1),
            binding(HERE, DataClass::Konbini, 1),
            binding(HERE, DataClass::Card, 2),
        ] {
            assert_ne!(bound, other);
        }
    }

    /// What does not open is told apart from trouble on the way: the one is an alert, the other is tried again.
    #[test]
    fn what_does_not_open_is_told_apart() {
        assert!(DekError::Unknown.is_unopenable());
        assert!(DekError::Kek(KekError::Key(KeyError::Unwrap)).is_unopenable());
        assert!(!DekError::Kek(KekError::Key(KeyError::UnknownVersion(2))).is_unopenable());
        assert!(!DekError::Kek(KekError::NoneActive).is_unopenable());
    }
}
