//! HPKE as everything here uses it (RFC 9180): base mode, one message, HKDF-SHA256 and AES-256-GCM over X25519 or P-256.
//!
//! What may enter: boxes sealed to a key of this vault. What leaves: their plaintext, wiped on drop. Never: a private key.

use kura_wire::sealed_box::Suite;
use rustls::crypto::aws_lc_rs::hpke::{DH_KEM_P256_HKDF_SHA256_AES_256, DH_KEM_X25519_HKDF_SHA256_AES_256};
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

/// It does not open, or no key could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("HPKE")]
pub struct HpkeError;

/// A private key and the suite that it belongs to. The library wipes it when it is dropped.
pub struct PrivateKey {
    suite: Suite,
    key: HpkePrivateKey,
}

impl PrivateKey {
    /// A new pair: the public half as RFC 9180 serializes it (32 bytes for X25519, 65 for P-256), and the private one.
    ///
    /// # Errors
    /// [`HpkeError`] when the library can't make one.
    pub fn generate(suite: Suite) -> Result<(Vec<u8>, Self), HpkeError> {
        let (HpkePublicKey(public), key) = hpke(suite).generate_key_pair().map_err(|_| HpkeError)?;
        Ok((public, Self { suite, key }))
    }

    /// Opens one message: `enc` is the sender's encapsulated key, `info` and `aad` are what the sender bound it to.
    ///
    /// # Errors
    /// [`HpkeError`] for anything that was not sealed to this key with this `info` and `aad`.
    pub fn open(
        &self,
        info: &[u8],
        enc: Vec<u8>,
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        let opened = hpke(self.suite).open(&EncapsulatedSecret(enc), info, aad, ciphertext, &self.key);
        opened.map(Zeroizing::new).map_err(|_| HpkeError)
    }

    /// A key of published vectors.
    #[cfg(test)]
    fn from_bytes(suite: Suite, bytes: Vec<u8>) -> Self {
        Self { suite, key: HpkePrivateKey::from(bytes) }
    }
}

/// Seals one message to a public key. Gives the encapsulated key and the ciphertext with its tag.
///
/// # Errors
/// [`HpkeError`] for a public key that is none of this suite's.
pub fn seal(
    suite: Suite,
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), HpkeError> {
    let public = HpkePublicKey(public.to_vec());
    let (EncapsulatedSecret(enc), ciphertext) =
        hpke(suite).seal(info, aad, plaintext, &public).map_err(|_| HpkeError)?;
    Ok((enc, ciphertext))
}

fn hpke(suite: Suite) -> &'static dyn Hpke {
    match suite {
        Suite::X25519 => DH_KEM_X25519_HKDF_SHA256_AES_256,
        Suite::P256 => DH_KEM_P256_HKDF_SHA256_AES_256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    fn hex(value: &Value) -> Vec<u8> {
        HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
    }

    /// The vectors of RFC 9180 for both suites open to their plaintext through our own call; a changed byte of key,
    /// ciphertext, info or associated data makes none of them open.
    #[test]
    fn the_vectors_of_rfc_9180_open() {
        let text = include_str!("../../tests/vectors/rfc9180.json");
        let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
        let mut suites = Vec::new();
        for vector in &vectors {
            let suite = if vector["kem_id"] == 32 { Suite::X25519 } else { Suite::P256 };
            assert_eq!((&vector["mode"], &vector["kdf_id"], &vector["aead_id"]), (&0.into(), &1.into(), &2.into()));
            let key = PrivateKey::from_bytes(suite, hex(&vector["skRm"]));
            let (info, enc) = (hex(&vector["info"]), hex(&vector["enc"]));
            for message in vector["encryptions"].as_array().unwrap() {
                let (aad, ciphertext, plaintext) = (hex(&message["aad"]), hex(&message["ct"]), hex(&message["pt"]));
                assert_eq!(*key.open(&info, enc.clone(), &aad, &ciphertext).unwrap(), plaintext);
                let flipped = |bytes: &[u8], place: usize| {
                    let mut bytes = bytes.to_vec();
                    bytes[place] ^= 1;
                    bytes
                };
                for place in 0..ciphertext.len() {
                    assert_eq!(key.open(&info, enc.clone(), &aad, &flipped(&ciphertext, place)).err(), Some(HpkeError));
                }
                for place in 0..enc.len() {
                    assert_eq!(key.open(&info, flipped(&enc, place), &aad, &ciphertext).err(), Some(HpkeError));
                }
                assert_eq!(key.open(&flipped(&info, 0), enc.clone(), &aad, &ciphertext).err(), Some(HpkeError));
                assert_eq!(key.open(&info, enc.clone(), &flipped(&aad, 0), &ciphertext).err(), Some(HpkeError));
            }
            suites.push(suite);
        }
        assert_eq!(suites, [Suite::X25519, Suite::P256]);
    }

    /// What is sealed to a new key opens with it, and with no other; what is no public key is refused.
    #[test]
    fn new_keys_open_their_own_messages() {
        for suite in [Suite::X25519, Suite::P256] {
            let (public, private) = PrivateKey::generate(suite).unwrap();
            let (_, other) = PrivateKey::generate(suite).unwrap();
            let (enc, ciphertext) = seal(suite, &public, b"info", b"aad", b"secret").unwrap();
            assert_eq!(private.open(b"info", enc.clone(), b"aad", &ciphertext).unwrap().as_slice(), b"secret");
            assert_eq!(other.open(b"info", enc, b"aad", &ciphertext).err(), Some(HpkeError));
            assert_eq!(seal(suite, &public[1..], b"info", b"aad", b"secret").err(), Some(HpkeError));
        }
    }
}
