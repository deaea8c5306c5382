//! All keys of an unsealed vault. Sealed, there is no keyring, and nothing that would need one is done.

use std::sync::{Arc, PoisonError, RwLock};

use kura_platform::database::PgPool;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keks::tests::{nowhere, open_keks};
    use crate::crypto::key_provider::random_key;

    /// A vault has its keys from unsealing to sealing, and not before and not afterwards.
    #[tokio::test]
    async fn a_sealed_vault_has_no_keyring() {
        let slot = KeyringSlot::default();
        assert!(slot.keyring().is_none());
        let keks = Arc::new(open_keks(1, &[1]));
        let deks = Deks::new(nowhere(), Arc::clone(&keks));
        slot.put(Keyring { keks, deks, fingerprints: Fingerprints::new(random_key()).unwrap() });
        assert!(slot.keyring().is_some());
        slot.seal();
        assert!(slot.keyring().is_none());
    }
}
