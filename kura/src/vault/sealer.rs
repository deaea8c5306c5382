//! Sealing an operator's batches to the vault: numbers leave this process in HPKE boxes only, and its buffers are wiped.

use anyhow::{Context, Result};
use data_encoding::BASE64URL_NOPAD;
use kura_platform::clock;
use kura_shopper::checked_key;
use kura_wire::exposed::BatchDone;
use kura_wire::operator_box::{OperatorBox, PATH_OPERATOR_KEYS, batch_aad};
use kura_wire::sealed_box::{HPKE_INFO, SealingKey, SignedKeySet, Suite};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use serde::Serialize;
use zeroize::Zeroizing;

use super::control::Control;

/// A key is not used in the last minute of its time.
const MARGIN_MS: i64 = 60_000;

/// Seals for one purpose and subject.
pub(super) struct Sealer<'a> {
    control: &'a Control,
    identity: String,
    purpose: &'static str,
    subject: String,
    key: Option<SealingKey>,
}

impl<'a> Sealer<'a> {
    /// To the vault whose identity is pinned.
    pub(super) fn new(control: &'a Control, purpose: &'static str, subject: String) -> Result<Self> {
        Ok(Self { control, identity: control.vault_identity().to_owned(), purpose, subject, key: None })
    }

    /// What the boxes are bound to.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Seals a batch of lines.
    pub(super) async fn seal(&mut self, lines: &[impl Serialize]) -> Result<OperatorBox> {
        let sealed_at_ms = clock::now_ms();
        let fresh = self.key.take().filter(|key| sealed_at_ms < key.not_after_ms - MARGIN_MS);
        let key = match fresh {
            Some(key) => key,
            None => {
                let set: SignedKeySet = self.control.get(PATH_OPERATOR_KEYS, &()).await?;
                checked_key(&set, &self.identity, Suite::X25519)?
            }
        };
        let plaintext = Zeroizing::new(serde_json::to_vec(lines)?);
        let public = HpkePublicKey(BASE64URL_NOPAD.decode(key.public_key.as_bytes()).context("a malformed key")?);
        let aad = batch_aad(self.purpose, &self.subject, sealed_at_ms);
        let suite: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_256;
        let (enc, ciphertext) = suite.seal(HPKE_INFO, &aad, &plaintext, &public)?;
        let sealed = OperatorBox {
            key_id: key.key_id.clone(),
            enc: BASE64URL_NOPAD.encode(&enc.0),
            ciphertext: BASE64URL_NOPAD.encode(&ciphertext),
            sealed_at_ms,
        };
        self.key = Some(key);
        Ok(sealed)
    }
}

/// Adds what another batch did.
pub(super) fn add(sum: &mut BatchDone, part: BatchDone) {
    sum.done = sum.done.saturating_add(part.done);
    sum.unchanged = sum.unchanged.saturating_add(part.unchanged);
    sum.refused.extend(part.refused);
}

/// The sum in words; refused lines by number.
pub(super) fn text(done: &BatchDone) -> String {
    let mut text = format!("{} done, {} unchanged, {} refused", done.done, done.unchanged, done.refused.len());
    for line in &done.refused {
        text.push_str(&format!("\n  line {}: {}", line.line, line.code));
    }
    text
}
