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
