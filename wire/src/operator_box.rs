//! Batches that an operator seals to a vault node: card numbers of a file on their way through a terminal.
//!
//! HPKE base mode (RFC 9180) to the same signed keys that browsers use. The associated data is the length-prefixed list
//! (purpose, subject, time), so that a batch for one purpose or subject does not open for another.

use serde::{Deserialize, Serialize};

use crate::sealed_box::length_prefixed;

/// Vault, `GET`: a [`crate::sealed_box::SignedKeySet`], for who holds the console's certificate.
pub const PATH_OPERATOR_KEYS: &str = "/control/v1/operator_keys";
/// The purpose of account updates.
pub const PURPOSE_ACCOUNT_UPDATE: &str = "kura account update v1";
/// The purpose of watchlist entries.
pub const PURPOSE_WATCHLIST: &str = "kura watchlist v1";
/// Bytes of ciphertext at the most.
pub const MAX_BATCH_LEN: usize = 10 * 1024;

/// One sealed batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorBox {
    /// The key that it was sealed to.
    pub key_id: String,
    /// HPKE's encapsulated key, base64url without padding.
    pub enc: String,
    /// AES-256-GCM ciphertext and tag, base64url without padding.
    pub ciphertext: String,
    /// Unix milliseconds at sealing.
    pub sealed_at_ms: i64,
}

/// The associated data of a batch.
pub fn batch_aad(purpose: &str, subject: &str, sealed_at_ms: i64) -> Vec<u8> {
    length_prefixed(&[purpose.as_bytes(), subject.as_bytes(), sealed_at_ms.to_string().as_bytes()])
}
