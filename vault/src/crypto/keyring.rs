//! All keys of an unsealed vault. Sealed, there is no keyring, and nothing that would need one is done.

use std::sync::{Arc, PoisonError, RwLock};

use sqlx::PgPool;

use super::dek::Deks;
use super::fingerprint::Fingerprints;
use super::keks::{KekError, Keks};
use super::key_provider::KeyProvider;

/// The secret that fingerprints are keyed with. It outlives KEK rotation.
const LOOKUP_SECRET: &str = "lookup";

/// The place for the keyring: empty while the vault is sealed.
#[derive(Default)]
pub struct KeyringSlot(RwLock<Option<Arc<Keyring>>>);

impl KeyringSlot {
    /// The keyring, if the vault is unsealed.
    pub fn keyring(&self) -> Option<Arc<Keyring>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Unseals.
    pub fn put(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keyring));
    }

    /// Seals: the keys are dropped once whoever uses them at this moment is done.
    pub fn seal(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What an unsealed vault has.
pub struct Keyring {
    /// What wraps.
    pub keks: Arc<Keks>,
    /// What seals.
    pub deks: Deks,
    /// What knows cards again.
    pub fingerprints: Fingerprints,
}

impl Keyring {
    /// Of the providers that are at hand: the configured one first.
    ///
    /// # Errors
    /// [`KekError`].
    pub async fn load(pool: &PgPool, providers: Vec<Arc<dyn KeyProvider>>) -> Result<Self, KekError> {
        let keks = Arc::new(Keks::load(pool.clone(), providers).await?);
        let fingerprints = Fingerprints::new(keks.secret(LOOKUP_SECRET).await?)?;
        Ok(Self { deks: Deks::new(pool.clone(), Arc::clone(&keks)), keks, fingerprints })
    }
}
