//! A shopper's browser, as far as cards go: checks the vault's signature on its keys and seals a card to them.
//!
//! Purpose: load and tests that need thousands of boxes without a browser. `gateway/checkout/src/seal.ts` does the same in
//! a real one; `tests/vectors/sealed_box.json` holds both to the same bytes.
//! What may enter: made-up cards. What never does: a real one.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use kura_wire::sealed_box::{HPKE_INFO, SealedBox, SealingKey, SealingKeySet, SignedKeySet, Suite, signed_bytes};
use rustls::crypto::aws_lc_rs::hpke::{DH_KEM_P256_HKDF_SHA256_AES_256, DH_KEM_X25519_HKDF_SHA256_AES_256};
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use serde::Serialize;

const PADDED_LEN: usize = 256;

/// What a shopper types.
#[derive(Debug, Clone, Serialize)]
pub struct TypedCard {
    /// The number.
    pub number: String,
    /// 1 to 12.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
    /// The security code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cvc: Option<String>,
    /// The cardholder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl TypedCard {
    /// A card that has years to go.
    pub fn new(number: &str, cvc: &str) -> Self {
        Self { number: number.to_owned(), exp_month: 12, exp_year: 2035, cvc: Some(cvc.to_owned()), name: None }
    }
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The keys are not the vault's.
    #[error("the key set is not signed by the pinned identity")]
    Signature,
    /// The keys, or their encoding, are not as they should be.
    #[error("the key set is malformed, or lacks the suite")]
    Keys,
    /// HPKE.
    #[error("HPKE: {0}")]
    Hpke(#[from] rustls::Error),
}

/// Checks a key set against the identity, and gives its key of a suite.
///
/// # Errors
/// [`SealError`].
pub fn checked_key(set: &SignedKeySet, identity: &str, suite: Suite) -> Result<SealingKey, SealError> {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| SealError::Keys);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(identity)?)
        .verify(&signed_bytes(&set.payload), &decode(&set.signature)?)
        .map_err(|_| SealError::Signature)?;
    let keys: SealingKeySet = serde_json::from_str(&set.payload).map_err(|_| SealError::Keys)?;
    keys.keys.into_iter().find(|key| key.suite == suite).ok_or(SealError::Keys)
}

/// Seals a card for a publishable key, on a page of this origin, at this moment.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    key: &SealingKey,
    card: &TypedCard,
    publishable_key: &str,
    origin: &str,
    now_ms: i64,
) -> Result<SealedBox, SealError> {
    let card = serde_json::to_string(card).map_err(|_| SealError::Keys)?;
    seal_text(key, &card, publishable_key, origin, now_ms)
}

/// Seals any text in a card's place, for tests of what the vault makes of it.
///
/// # Errors
/// [`SealError`].
pub fn seal_text(
    key: &SealingKey,
    text: &str,
    publishable_key: &str,
    origin: &str,
    now_ms: i64,
) -> Result<SealedBox, SealError> {
    let mut sealed = SealedBox {
        key_id: key.key_id.clone(),
        enc: String::new(),
        ciphertext: String::new(),
        origin: origin.to_owned(),
        sealed_at_ms: now_ms,
    };
    let padded = format!("{text:<PADDED_LEN$}");
    (sealed.enc, sealed.ciphertext) = seal_bound(key, &sealed.aad(publishable_key), padded.as_bytes())?;
    Ok(sealed)
}

/// Seals anything for this associated data. Gives HPKE's encapsulated key and the ciphertext, both in base64url.
///
/// # Errors
/// [`SealError`].
pub fn seal_bound(key: &SealingKey, aad: &[u8], plaintext: &[u8]) -> Result<(String, String), SealError> {
    let public = BASE64URL_NOPAD.decode(key.public_key.as_bytes()).map_err(|_| SealError::Keys)?;
    let (enc, ciphertext) = hpke(key.suite).seal(HPKE_INFO, aad, plaintext, &HpkePublicKey(public))?;
    Ok((BASE64URL_NOPAD.encode(&enc.0), BASE64URL_NOPAD.encode(&ciphertext)))
}

fn hpke(suite: Suite) -> &'static dyn Hpke {
    match suite {
        Suite::X25519 => DH_KEM_X25519_HKDF_SHA256_AES_256,
        Suite::P256 => DH_KEM_P256_HKDF_SHA256_AES_256,
    }
}
