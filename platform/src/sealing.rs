//! Sealing of a service's own operational secrets at rest: a webhook's signing secret, an answer that is kept to be replayed.
//!
//! AES-256-GCM with a random 96-bit nonce. What is sealed is bound to where it stands (table, row, owner): put anywhere else
//! it does not open. Card and payer data are not for this: they never leave the vault.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Stands first in what is sealed, so that another form can be told from this one.
const FORM: u8 = 1;

/// It could not be sealed or opened: another key, another place, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed data that does not open")]
pub struct SealError;

/// A key of a service for its own secrets. No Debug, Clone or comparison: it is used, never shown.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Of these bytes.
    ///
    /// # Errors
    /// [`SealError`], which does not happen for 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, SealError> {
        UnboundKey::new(&AES_256_GCM, bytes).map(|key| Self(LessSafeKey::new(key))).map_err(|_| SealError)
    }

    /// Seals, bound to this place.
    ///
    /// # Errors
    /// [`SealError`] for what is too long for one seal.
    pub fn seal(&self, place: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = crate::random::bytes();
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(named(place)), &mut sealed)
            .map_err(|_| SealError)?;
        Ok([&[FORM], nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (form, rest) = sealed.split_first().ok_or(SealError)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().filter(|_| *form == FORM).ok_or(SealError)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = self.0.open_in_place(nonce, Aad::from(named(place)), &mut plain).map_err(|_| SealError)?.len();
        plain.truncate(len);
        Ok(plain)
    }
}

/// Length-prefixed, so that no two places have one name.
fn named(place: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in place {
        out.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sealed opens in its own place under its own key, and nowhere else, and not when a bit of it was changed.
    #[test]
    fn what_is_sealed_opens_only_where_it_stands() {
        let (key, other) = (SealingKey::new(&[1; 32]).unwrap(), SealingKey::new(&[2; 32]).unwrap());
        let sealed = key.seal(&[b"table", b"row"], b"secret").unwrap();
        assert_eq!(key.open(&[b"table", b"row"], &sealed).unwrap().as_slice(), b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        for place in [&[b"table".as_slice(), b"rowx"][..], &[b"tabler", b"ow"], &[b"table"]] {
            assert_eq!(key.open(place, &sealed).unwrap_err(), SealError);
        }
        assert!(other.open(&[b"table", b"row"], &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(&[b"table", b"row"], &damaged).is_err(), "byte {at}");
        }
        assert!(key.open(&[b"table", b"row"], b"").is_err());
        assert_ne!(sealed, key.seal(&[b"table", b"row"], b"secret").unwrap(), "each seal has its nonce");
    }
}
