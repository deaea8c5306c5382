//! The sealed box that carries a card from the shopper's browser to the vault, and the keys that it is sealed to.
//!
//! HPKE base mode (RFC 9180). The associated data is the length-prefixed list (purpose, publishable key, origin, time),
//! so a box that was sealed for one merchant, page or purpose does not open for another. The browser's side of this file
//! is `gateway/checkout/src/seal.ts`; `tests/vectors/sealed_box.json` holds both to the same bytes.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;

/// The purpose that stands first in the associated data of a card's box.
pub const PURPOSE_CARD: &str = "kura card v1";
/// HPKE's `info` for all boxes.
pub const HPKE_INFO: &[u8] = b"kura sealed box v1";
/// How old a box may be when the vault opens it, in milliseconds: as long as the key that it was sealed to may still live.
pub const MAX_AGE_MS: i64 = 75 * 60 * 1000;
/// How far ahead of the vault's clock a browser's may be, in milliseconds.
pub const MAX_CLOCK_SKEW_MS: i64 = 10 * 60 * 1000;
/// Bytes of ciphertext that a box may hold at most.
pub const MAX_CIPHERTEXT_LEN: usize = 1024;

/// The HPKE suites that the vault publishes keys for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
    #[serde(rename = "x25519-sha256-aes256gcm")]
    X25519,
    /// DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: for browsers whose WebCrypto has no X25519.
    #[serde(rename = "p256-sha256-aes256gcm")]
    P256,
}

/// One public key of one vault node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKey {
    /// Names the key inside boxes: `hk`, the node in three hexadecimal digits ([`node_of_key`]), random letters.
    pub key_id: String,
    /// The node that can open boxes sealed to it.
    pub node: u16,
    /// What to seal with.
    pub suite: Suite,
    /// The serialized public key, base64url without padding.
    pub public_key: String,
    /// Unix milliseconds.
    pub not_before_ms: i64,
    /// Unix milliseconds. Seal nothing to it from then on.
    pub not_after_ms: i64,
}

/// The node that can open boxes sealed to the key of this id, if it is the id of a key at all.
pub fn node_of_key(key_id: &str) -> Option<NodeId> {
    let digits = key_id.strip_prefix("hk")?.get(..3)?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(digits, 16).ok()).flatten().and_then(NodeId::new)
}

/// The signed text: what the vault identity vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingKeySet {
    /// The keys that are current, every suite once.
    pub keys: Vec<SealingKey>,
}

/// A key set as it is published. The signature covers the bytes of `payload` exactly as they stand, so nobody has to
/// agree on a canonical form of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedKeySet {
    /// A [`SealingKeySet`] as JSON text.
    pub payload: String,
    /// ECDSA P-256 over SHA-256 of [`signed_bytes`], r and s of 32 bytes each (as WebCrypto has it), base64url without padding.
    pub signature: String,
}

/// The bytes under a key set's signature: a domain, then the payload, so that the identity key's signature on anything
/// else can never pass for one on keys.
pub fn signed_bytes(payload: &str) -> Vec<u8> {
    length_prefixed(&[b"kura sealing keys v1", payload.as_bytes()])
}

/// A card's sealed box and what it was bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedBox {
    /// The [`SealingKey`] that it was sealed to.
    pub key_id: String,
    /// HPKE's encapsulated key, base64url without padding.
    pub enc: String,
    /// AES-256-GCM ciphertext and tag, base64url without padding.
    pub ciphertext: String,
    /// The origin of the merchant's page, such as `https://shop.example`.
    pub origin: String,
    /// Unix milliseconds at sealing, by the browser's clock.
    pub sealed_at_ms: i64,
}

impl SealedBox {
    /// The associated data of this box for a publishable key.
    pub fn aad(&self, publishable_key: &str) -> Vec<u8> {
        card_aad(publishable_key, &self.origin, self.sealed_at_ms)
    }
}

/// The associated data of a card's box.
pub fn card_aad(publishable_key: &str, origin: &str, sealed_at_ms: i64) -> Vec<u8> {
    length_prefixed(&[
        PURPOSE_CARD.as_bytes(),
        publishable_key.as_bytes(),
        origin.as_bytes(),
        sealed_at_ms.to_string().as_bytes(),
    ])
}

/// Each part behind its length in four bytes, big-endian: two different lists never give the same bytes.
pub fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // Saturation is unreachable: no part comes near 4 GiB, every caller's is bounded by a request limit.
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key's id names its node; what is no key's id names none.
    #[test]
    fn key_ids_name_their_node() {
        assert_eq!(node_of_key("hk003AAAA"), NodeId::new(3));
        assert_eq!(node_of_key("hk3ff"), NodeId::new(1023));
        for text in ["", "hk", "hk00", "hk+01AAAA", "hk400AAAA", "xx001AAAA", "hké01"] {
            assert_eq!(node_of_key(text), None, "{text}");
        }
    }

    /// Moving a byte from one part to the next changes the whole.
    #[test]
    fn length_prefixes_keep_parts_apart() {
        assert_ne!(length_prefixed(&[b"ab", b"c"]), length_prefixed(&[b"a", b"bc"]));
        assert_ne!(length_prefixed(&[b"a"]), length_prefixed(&[b"a", b""]));
        assert_eq!(length_prefixed(&[b"ab"]), [0, 0, 0, 2, b'a', b'b']);
    }
}
