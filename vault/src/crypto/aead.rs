//! AES-256-GCM as everything here uses it: a random 96-bit nonce in front, the tag behind (NIST SP 800-38D).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use kura_platform::random;
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of a tag.
pub const TAG_LEN: usize = 16;

/// Bytes of what sealing makes of so many.
pub const fn sealed_len(plaintext_len: usize) -> usize {
    NONCE_LEN + plaintext_len + TAG_LEN
}

/// It does not open, or AES-GCM refused to seal, which it has no reason to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("AES-256-GCM")]
pub struct AeadError;

/// A key, ready for use. The library wipes its schedule when it is dropped.
pub struct Aead(LessSafeKey);

impl Aead {
    /// Of 32 bytes.
    ///
    /// # Errors
    /// [`AeadError`] for any other length.
    pub fn new(key: &[u8]) -> Result<Self, AeadError> {
        UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map(Self).map_err(|_| AeadError)
    }

    /// Appends nonce, ciphertext and tag to `out`. Sealed where it lies: no other copy of the plaintext is made, as long as
    /// `out` has the capacity.
    ///
    /// # Errors
    /// [`AeadError`]; `out` is then as it was.
    pub fn seal_onto(&self, out: &mut Vec<u8>, aad: &[u8], plaintext: &[u8]) -> Result<(), AeadError> {
        self.seal_with(random::bytes(), out, aad, plaintext)
    }

    fn seal_with(
        &self,
        nonce: [u8; NONCE_LEN],
        out: &mut Vec<u8>,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<(), AeadError> {
        let before = out.len();
        out.reserve(sealed_len(plaintext.len()));
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let sealed = out.get_mut(before + NONCE_LEN..).ok_or(AeadError).and_then(|body| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| AeadError)
        });
        match &sealed {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            Err(_) => out.truncate(before),
        }
        sealed.map(drop)
    }

    /// Nonce, ciphertext and tag as a new vector.
    ///
    /// # Errors
    /// [`AeadError`].
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, AeadError> {
        let mut out = Vec::with_capacity(sealed_len(plaintext.len()));
        self.seal_onto(&mut out, aad, plaintext)?;
        Ok(out)
    }

    /// Opens nonce, ciphertext and tag.
    ///
    /// # Errors
    /// [`AeadError`] for anything that was not sealed under this key with this `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AeadError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(AeadError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| AeadError)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let len = self.0.open_in_place(nonce, Aad::from(aad), &mut buffer).map_err(|_| AeadError)?.len();
        buffer.truncate(len);
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was sealed opens with its own associated data; a changed byte, another key or other data don't open it.
    #[test]
    fn sealed_is_bound_to_its_data() {
        let key = Aead::new(&[7; 32]).unwrap();
        let sealed = key.seal(b"here", b"secret").unwrap();
        assert_eq!((sealed.len(), sealed.capacity()), (12 + 6 + 16, 12 + 6 + 16), "sized at once");
        assert_eq!(key.open(b"here", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(key.open(b"there", &sealed), Err(AeadError));
        assert_eq!(Aead::new(&[8; 32]).unwrap().open(b"here", &sealed), Err(AeadError));
        for place in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[place] ^= 1;
            assert_eq!(key.open(b"here", &damaged), Err(AeadError), "byte {place}");
            assert_eq!(key.open(b"here", &sealed[..place]), Err(AeadError), "cut at {place}");
        }
        assert!(Aead::new(&[7; 16]).is_err());
    }

    /// A nonce is never used twice: two seals of the same thing differ in all of it.
    #[test]
    fn nonces_are_random() {
        let key = Aead::new(&[7; 32]).unwrap();
        let [one, other] = [key.seal(b"", b"same").unwrap(), key.seal(b"", b"same").unwrap()];
        assert_ne!(one[..NONCE_LEN], other[..NONCE_LEN]);
        assert_ne!(one[NONCE_LEN..], other[NONCE_LEN..]);
    }

    /// Project Wycheproof's vectors for AES-GCM, as far as they have our sizes (256-bit key, 96-bit nonce, 128-bit tag):
    /// what is valid opens to its plaintext and is what sealing makes with that nonce; nothing invalid opens.
    #[test]
    fn wycheproof_agrees() {
        use wycheproof::TestResult;
        use wycheproof::aead::{TestName, TestSet};

        let set = TestSet::load(TestName::AesGcm).unwrap();
        let groups = set.test_groups.iter();
        let ours = groups.filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
        let (mut valid, mut invalid) = (0, 0);
        for test in ours.flat_map(|group| &group.tests) {
            let key = Aead::new(&test.key).unwrap();
            let sealed = [test.nonce.as_slice(), &test.ct, &test.tag].concat();
            let opened = key.open(&test.aad, &sealed);
            if test.result == TestResult::Invalid {
                assert_eq!(opened, Err(AeadError), "test {}: {}", test.tc_id, test.comment);
                invalid += 1;
                continue;
            }
            assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "test {}", test.tc_id);
            let mut out = b"before".to_vec();
            key.seal_with(test.nonce.as_slice().try_into().unwrap(), &mut out, &test.aad, &test.pt).unwrap();
            assert_eq!(out, [b"before".as_slice(), &sealed].concat(), "test {}", test.tc_id);
            valid += 1;
        }
        assert!(valid >= 20 && invalid >= 20, "{valid} valid and {invalid} invalid vectors are too few to say much");
    }
}
