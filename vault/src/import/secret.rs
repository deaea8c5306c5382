//! An import's secret: what its records' ids are derived with, and what its batches are known again by. Wrapped under the
//! KEK while the import is open, and gone when it is finished.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use kura_wire::sealed_box::length_prefixed;
use zeroize::Zeroizing;

use super::ImportError;
use crate::crypto::keks::{KekError, Wrapped};
use crate::crypto::key_provider::{DekBytes, KeyError, random_key};
use crate::crypto::keyring::Keyring;
use crate::domain::Vault;
use crate::store::imports::{self, ImportRow};

/// The keys that an import's secret gives.
pub(super) struct ImportKeys {
    records: hmac::Key,
    contents: hmac::Key,
}

impl ImportKeys {
    fn of(secret: &DekBytes) -> Result<Self, ImportError> {
        Ok(Self { records: derive(secret, b"record ids")?, contents: derive(secret, b"batch contents")? })
    }

    /// The id of a row's record: random to everyone without the secret.
    pub(super) fn record(&self, row: u32) -> [u8; 16] {
        let tag = hmac::sign(&self.records, &row.to_be_bytes());
        let mut id = [0; 16];
        id.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        id
    }

    /// What a batch is known again by.
    pub(super) fn content_hash(&self, plaintext: &[u8]) -> Vec<u8> {
        hmac::sign(&self.contents, plaintext).as_ref().to_vec()
    }
}

fn derive(secret: &DekBytes, purpose: &[u8]) -> Result<hmac::Key, ImportError> {
    let failed = |_| ImportError::Internal("HKDF");
    let mut key = Zeroizing::new([0; 32]);
    let info = [purpose];
    let prk = Salt::new(HKDF_SHA256, b"kura import v1").extract(secret.as_slice());
    prk.expand(&info, HKDF_SHA256).map_err(failed)?.fill(key.as_mut_slice()).map_err(failed)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
}

/// A new secret for the import of this id, wrapped.
pub(super) fn make(keyring: &Keyring, id: [u8; 16]) -> Result<Wrapped, ImportError> {
    Ok(keyring.keks.wrap(&random_key(), &binding(&id))?)
}

/// The keys of an open import.
pub(super) async fn open(keyring: &Keyring, import: &ImportRow) -> Result<ImportKeys, ImportError> {
    let bound = binding(import.id.as_bytes());
    let opened = keyring.keks.unwrap(import.kek_version, &import.secret_wrapped, &bound).await;
    if matches!(opened, Err(KekError::Key(KeyError::Unwrap))) {
        keyring.keks.raise_unopenable(Some(import.merchant_id)).await?;
    }
    ImportKeys::of(&opened?)
}

/// Puts the secrets of all open imports under the active KEK. Gives how many don't open: each is an alert.
///
/// # Errors
/// [`KekError`].
pub(crate) async fn rewrap_secrets(vault: &Vault, keyring: &Keyring) -> Result<i64, KekError> {
    let keks = &keyring.keks;
    let mut damaged = 0;
    for row in imports::list_under_others(&vault.pool, keks.active_version()).await? {
        let bound = binding(row.id.as_bytes());
        let secret = match keks.unwrap(row.kek_version, &row.secret_wrapped, &bound).await {
            Err(KekError::Key(KeyError::Unwrap)) => {
                keks.raise_unopenable(Some(row.merchant_id)).await?;
                damaged += 1;
                continue;
            }
            other => other?,
        };
        let wrapped = keks.wrap(&secret, &bound)?;
        imports::rewrap(&vault.pool, row.id, row.kek_version, wrapped.kek_version, &wrapped.bytes).await?;
    }
    Ok(damaged)
}

fn binding(id: &[u8; 16]) -> Vec<u8> {
    length_prefixed(&[b"kura import secret v1", id])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids and hashes are an import's own, and the same every time.
    #[test]
    fn ids_and_hashes_are_the_imports_own() {
        let keys = |byte| ImportKeys::of(&Box::new(Zeroizing::new([byte; 32]))).unwrap();
        let (one, other) = (keys(1), keys(2));
        assert_eq!(one.record(7), keys(1).record(7));
        assert_ne!(one.record(7), one.record(8));
        assert_ne!(one.record(7), other.record(7));
        assert_eq!(one.content_hash(b"rows"), keys(1).content_hash(b"rows"));
        assert_ne!(one.content_hash(b"rows"), one.content_hash(b"row"));
        assert_ne!(one.content_hash(b"rows"), other.content_hash(b"rows"));
        assert_ne!(one.content_hash(&7_u32.to_be_bytes()).get(..16), Some(one.record(7).as_slice()));
    }
}
