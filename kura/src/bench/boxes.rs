//! Sealed boxes as a browser makes them, made before the clock starts.

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use kura_platform::{clock, random};
use kura_wire::sealed_box::{HPKE_INFO, SealedBox, SealingKey, SealingKeySet, SignedKeySet, Suite};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as X25519;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};

/// So many different cards; the load goes round them. Each gives a record of its own every time.
const COUNT: usize = 4000;
const PADDED_LEN: usize = 256;

/// Seals a set of random cards for one publishable key and origin.
pub(super) fn seal_cards(keys: &SignedKeySet, publishable_key: &str, origin: &str) -> Result<Vec<SealedBox>> {
    let set: SealingKeySet = serde_json::from_str(&keys.payload)?;
    let key = set.keys.into_iter().find(|key| key.suite == Suite::X25519).context("no X25519 key")?;
    (0..COUNT).map(|_| seal(&key, publishable_key, origin)).collect()
}

fn seal(key: &SealingKey, publishable_key: &str, origin: &str) -> Result<SealedBox> {
    let card = format!(r#"{{"number":"{}","exp_month":12,"exp_year":2035,"cvc":"123"}}"#, random_visa());
    ensure!(card.len() <= PADDED_LEN, "a card fits its padding");
    let mut sealed = SealedBox {
        key_id: key.key_id.clone(),
        enc: String::new(),
        ciphertext: String::new(),
        origin: origin.to_owned(),
        sealed_at_ms: clock::now_ms(),
    };
    let public = HpkePublicKey(BASE64URL_NOPAD.decode(key.public_key.as_bytes())?);
    let plaintext = format!("{card:<PADDED_LEN$}");
    let (enc, ciphertext) = X25519.seal(HPKE_INFO, &sealed.aad(publishable_key), plaintext.as_bytes(), &public)?;
    sealed.enc = BASE64URL_NOPAD.encode(&enc.0);
    sealed.ciphertext = BASE64URL_NOPAD.encode(&ciphertext);
    Ok(sealed)
}

/// Sixteen digits that pass the check, in a range without special test cards.
fn random_visa() -> String {
    let body = format!("45{:013}", u64::from_be_bytes(random::bytes()) % 10_000_000_000_000);
    (0..10)
        .map(|check| format!("{body}{check}"))
        .find(|number| kura_platform::redact::luhn(number.as_bytes()))
        .unwrap_or(body)
}
