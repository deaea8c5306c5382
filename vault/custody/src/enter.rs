//! Entering a share from a terminal: the node's custody keys, checked against the pinned identity, and the box.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use kura_wire::custody::{EnteredShare, SharePurpose, custody_signed_bytes, entered_share_aad};
use kura_wire::sealed_box::{HPKE_INFO, SealingKey, SealingKeySet, SignedKeySet, Suite};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as X25519;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};

use super::share::Share;

/// Why there is no box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// The keys are not the pinned vault's: a share must not be sealed to them.
    #[error("the custody keys are not signed by this vault's identity; nothing was sent")]
    Untrusted,
    /// Signed, and of no use now.
    #[error("the node has no custody key for now; look at both clocks")]
    NoKey,
    /// The library would not seal.
    #[error("the share could not be sealed")]
    Seal,
}

/// Checks the signature with the pinned identity (a raw P-256 point, base64url) and gives the X25519 key of now.
///
/// # Errors
/// [`EnterError`].
pub fn trusted_key(signed: &SignedKeySet, identity: &str, now_ms: i64) -> Result<SealingKey, EnterError> {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| EnterError::Untrusted);
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(identity)?);
    let signature = decode(&signed.signature)?;
    key.verify(&custody_signed_bytes(&signed.payload), &signature).map_err(|_| EnterError::Untrusted)?;
    let set: SealingKeySet = serde_json::from_str(&signed.payload).map_err(|_| EnterError::Untrusted)?;
    let usable = |key: &SealingKey| key.suite == Suite::X25519 && now_ms < key.not_after_ms;
    set.keys.into_iter().find(usable).ok_or(EnterError::NoKey)
}

/// Seals a share to a node.
///
/// # Errors
/// [`EnterError::Seal`].
pub fn seal_to_node(
    share: &Share,
    key: &SealingKey,
    purpose: SharePurpose,
    now_ms: i64,
) -> Result<EnteredShare, EnterError> {
    let public = BASE64URL_NOPAD.decode(key.public_key.as_bytes()).map_err(|_| EnterError::Seal)?;
    let aad = entered_share_aad(key.node, purpose, now_ms);
    let text = share.reveal_as_text();
    let sealed = X25519.seal(HPKE_INFO, &aad, text.as_bytes(), &HpkePublicKey(public));
    let (enc, ciphertext) = sealed.map_err(|_| EnterError::Seal)?;
    Ok(EnteredShare {
        purpose,
        key_id: key.key_id.clone(),
        enc: BASE64URL_NOPAD.encode(&enc.0),
        ciphertext: BASE64URL_NOPAD.encode(&ciphertext),
        sealed_at_ms: now_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    const NOW: i64 = 1_800_000_000_000;

    fn key(key_id: &str, suite: Suite, not_after_ms: i64) -> SealingKey {
        SealingKey {
            key_id: key_id.to_owned(),
            node: 3,
            suite,
            public_key: "AA".to_owned(),
            not_before_ms: NOW - 1,
            not_after_ms,
        }
    }

    /// A set, signed by a new identity, and that identity.
    fn signed(keys: Vec<SealingKey>) -> (SignedKeySet, String) {
        let identity = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let payload = serde_json::to_string(&SealingKeySet { keys }).unwrap();
        let signature = identity.sign(&kura_platform::random::source(), &custody_signed_bytes(&payload)).unwrap();
        let set = SignedKeySet { payload, signature: BASE64URL_NOPAD.encode(signature.as_ref()) };
        (set, BASE64URL_NOPAD.encode(identity.public_key().as_ref()))
    }

    /// Of a signed set, the key of our suite whose time is not over is taken; without one there is none to seal to.
    #[test]
    fn the_key_of_now_is_taken() {
        let others = vec![key("p256", Suite::P256, NOW + 1), key("over", Suite::X25519, NOW)];
        let mut all = others.clone();
        all.push(key("now", Suite::X25519, NOW + 1));
        let (set, identity) = signed(all);
        assert_eq!(trusted_key(&set, &identity, NOW).unwrap().key_id, "now");
        assert_eq!(trusted_key(&set, &identity, NOW - 1).unwrap().key_id, "over");
        assert_eq!(trusted_key(&set, &identity, NOW + 1).unwrap_err(), EnterError::NoKey);
        let (set, identity) = signed(others);
        assert_eq!(trusted_key(&set, &identity, NOW).unwrap_err(), EnterError::NoKey);
    }

    /// Keys that another identity signed, or that were changed after they were signed, are not sealed to.
    #[test]
    fn keys_of_another_identity_are_not_trusted() {
        let (set, identity) = signed(vec![key("now", Suite::X25519, NOW + 1)]);
        let (_, other) = signed(Vec::new());
        assert_eq!(trusted_key(&set, &other, NOW).unwrap_err(), EnterError::Untrusted);
        let changed = SignedKeySet { payload: set.payload.replace("now", "own"), ..set };
        assert_eq!(trusted_key(&changed, &identity, NOW).unwrap_err(), EnterError::Untrusted);
    }
}
