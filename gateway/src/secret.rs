//! The gateway's one secret, and the keys derived from it: one for each purpose, so that no hash made for one passes for
//! another. None of them can open card or payer data; that is not in this zone.

use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use kura_platform::sealing::SealingKey;
use kura_wire::sealed_box::length_prefixed;
use zeroize::Zeroizing;

/// The secret file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Missing or unreadable.
    #[error("can't read the secret file {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// Not 32 bytes of base64url.
    #[error("the secret file {0} must hold 32 random bytes as base64url text without padding")]
    Shape(PathBuf),
    /// The key derivation refused.
    #[error("key derivation failed")]
    Derivation,
}

/// One HMAC-SHA-256 key for one purpose. No Debug, Clone or comparison: it is used, never shown.
pub struct PurposeKey(hmac::Key);

impl PurposeKey {
    /// HMAC over the length-prefixed parts.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &length_prefixed(parts));
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }
}

/// All the keys of this process.
pub struct Secrets {
    /// Hashes API keys for storage.
    pub api_keys: PurposeKey,
    /// Hashes a request's parameters for its idempotency row.
    pub idempotency: PurposeKey,
    /// Derives the ids that a request makes from its seed.
    pub ids: PurposeKey,
    /// Makes the client secrets of payments and set-ups from their ids.
    pub client_secrets: PurposeKey,
    /// Seals the signing secrets of webhook endpoints.
    pub webhooks: SealingKey,
    /// Seals the answers that are kept for repeated requests: some hold a secret that is shown this once.
    pub answers: SealingKey,
}

impl Secrets {
    /// Reads the file and derives.
    ///
    /// # Errors
    /// [`SecretError`] when the file is missing or is not 32 bytes.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|error| SecretError::Read(path.to_owned(), error))?;
        let secret = BASE64URL_NOPAD
            .decode(text.trim_end().as_bytes())
            .ok()
            .map(Zeroizing::new)
            .filter(|bytes| bytes.len() == 32)
            .ok_or_else(|| SecretError::Shape(path.to_owned()))?;
        Self::derive(&secret)
    }

    /// Derives every purpose's key (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// [`SecretError::Derivation`], which does not happen for lengths of a hash.
    pub fn derive(secret: &[u8]) -> Result<Self, SecretError> {
        let key = |purpose| derive_key(secret, purpose);
        Ok(Self {
            api_keys: key(b"kura gateway api keys v1")?,
            idempotency: key(b"kura gateway idempotency v1")?,
            ids: key(b"kura gateway ids v1")?,
            client_secrets: key(b"kura gateway client secrets v1")?,
            webhooks: derive_sealing_key(secret, b"kura gateway webhook secrets v1")?,
            answers: derive_sealing_key(secret, b"kura gateway kept answers v1")?,
        })
    }
}

struct HashLen;

impl KeyType for HashLen {
    fn len(&self) -> usize {
        32
    }
}

fn derive_key(secret: &[u8], purpose: &[u8]) -> Result<PurposeKey, SecretError> {
    derive_bytes(secret, purpose).map(|bytes| PurposeKey(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice())))
}

fn derive_sealing_key(secret: &[u8], purpose: &[u8]) -> Result<SealingKey, SecretError> {
    derive_bytes(secret, purpose).and_then(|bytes| SealingKey::new(&bytes).map_err(|_| SecretError::Derivation))
}

fn derive_bytes(secret: &[u8], purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    Salt::new(HKDF_SHA256, b"kura gateway")
        .extract(secret)
        .expand(&[purpose], HashLen)
        .and_then(|okm| okm.fill(bytes.as_mut_slice()))
        .map_err(|_| SecretError::Derivation)?;
    Ok(bytes)
}

#[cfg(test)]
pub(crate) fn for_tests() -> Secrets {
    Secrets::derive(&[7; 32]).unwrap()
}

#[cfg(test)]
mod tests {
    /// Two purposes give two keys, and moving a byte between parts changes the tag.
    #[test]
    fn purposes_and_parts_are_kept_apart() {
        let secrets = super::for_tests();
        assert_ne!(secrets.api_keys.tag(&[b"a"]), secrets.ids.tag(&[b"a"]));
        assert_ne!(secrets.ids.tag(&[b"ab", b"c"]), secrets.ids.tag(&[b"a", b"bc"]));
    }
}
