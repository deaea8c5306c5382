//! Data encryption keys in use: made on first need, unwrapped once, kept for this process's life; each counted against the
//! number of seals that AES-GCM allows with random nonces.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kura_platform::{clock, random};
use kura_wire::ids::MerchantId;
use kura_wire::sealed_box::length_prefixed;
use sqlx::PgPool;
use tokio::sync::Mutex;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::field::{DataClass, FieldKey};
use super::key_provider::{DEK_LEN, DekBytes, KeyError, KeyProvider};
use crate::store::StoreError;
use crate::store::alerts::{self, AlertKind};
use crate::store::deks::{self, DekRow};

/// Seals reserved at a time. A process that dies wastes what it did not use: a thousandth of the key.
const BLOCK: i64 = 1 << 20;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum DekError {
    /// The database.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// The provider.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A value names a key that this merchant and class don't have.
    #[error("no such key for this merchant and class")]
    Unknown,
}

/// All keys in use.
pub struct Deks {
    pool: PgPool,
    provider: Box<dyn KeyProvider>,
    current: RwLock<HashMap<(MerchantId, DataClass), Arc<InUse>>>,
    by_id: RwLock<HashMap<i64, Owned>>,
    /// One at a time makes, loads or extends a key; the rest use what is there.
    making: Mutex<()>,
}

/// A key, and whose.
type Owned = (MerchantId, DataClass, Arc<FieldKey>);

struct InUse {
    key: Arc<FieldKey>,
    epoch: i32,
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
    pub fn new(pool: PgPool, provider: Box<dyn KeyProvider>) -> Self {
        Self { pool, provider, current: RwLock::default(), by_id: RwLock::default(), making: Mutex::new(()) }
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

    fn usable(&self, merchant: MerchantId, class: DataClass, seals: i64) -> Option<Arc<FieldKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let in_use = current.get(&(merchant, class))?;
        in_use.take_seals(seals).then(|| Arc::clone(&in_use.key))
    }

    /// The newest key with room for a block of seals; a new epoch when it has none left.
    async fn load_or_make(
        &self,
        merchant: MerchantId,
        class: DataClass,
        seals: i64,
    ) -> Result<Arc<FieldKey>, DekError> {
        let owner = Uuid::from_bytes(*merchant.as_bytes());
        let mut epoch = 1;
        // Twice at the most: an old key that is used up, then the one made after it.
        for _ in 0..3 {
            if let Some(row) = deks::find_newest(&self.pool, owner, class.as_str()).await? {
                if deks::reserve_seals(&self.pool, row.id, BLOCK).await? {
                    let key = self.unwrap(merchant, class, &row).await?;
                    let in_use =
                        InUse { key: Arc::clone(&key), epoch: row.epoch, seals_left: AtomicI64::new(BLOCK - seals) };
                    tracing::info!(%merchant, class = class.as_str(), key_id = row.id, epoch = in_use.epoch, "key in use");
                    let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                    current.insert((merchant, class), Arc::new(in_use));
                    return Ok(key);
                }
                epoch = row.epoch + 1;
            }
            let dek: DekBytes = Zeroizing::new(random::bytes::<DEK_LEN>());
            let version = self.provider.kek_version();
            let wrapped = self.provider.wrap(&dek, &binding(merchant, class, epoch))?;
            deks::insert(&self.pool, owner, class.as_str(), epoch, version, &wrapped, clock::now()).await?;
        }
        Err(DekError::Unknown)
    }

    async fn unwrap(&self, merchant: MerchantId, class: DataClass, row: &DekRow) -> Result<Arc<FieldKey>, DekError> {
        let dek = match self.provider.unwrap(row.kek_version, &row.dek_wrapped, &binding(merchant, class, row.epoch)) {
            Err(KeyError::Unwrap) => {
                tracing::error!(alert = AlertKind::WrappedKeyUnopenable.as_str(), %merchant, key_id = row.id, "wrapped key does not open");
                let owner = Uuid::from_bytes(*merchant.as_bytes());
                alerts::insert(&self.pool, clock::now(), AlertKind::WrappedKeyUnopenable, owner, None, None).await?;
                return Err(KeyError::Unwrap.into());
            }
            other => other?,
        };
        let key = Arc::new(FieldKey::new(row.id, &dek).map_err(|_| KeyError::Unwrap)?);
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.insert(row.id, (merchant, class, Arc::clone(&key)));
        Ok(key)
    }
}

fn binding(merchant: MerchantId, class: DataClass, epoch: i32) -> Vec<u8> {
    length_prefixed(&[b"kura dek v1", merchant.as_bytes(), class.as_str().as_bytes(), &epoch.to_be_bytes()])
}
