//! The vault's control plane: custody. Who holds shares of the root key, entering shares, sealing.
//!
//! A share crosses only inside of an HPKE box: to its custodian when it is made, to one vault node when it is entered. The
//! browser's side of this file is `admin/custody/src/`; `tests/vectors/custody.json` holds both to the same bytes.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::CustodianSetId;
use crate::sealed_box::{SignedKeySet, length_prefixed};

/// `GET`: [`CustodyStatus`].
pub const PATH_CUSTODY: &str = "/control/v1/custody";
/// `POST` [`NewCustodianSet`], answers [`MadeCustodianSet`].
pub const PATH_CUSTODIAN_SETS: &str = "/control/v1/custody/sets";
/// `POST` [`EnteredShare`], answers [`CustodyStatus`].
pub const PATH_SHARES: &str = "/control/v1/custody/shares";
/// `POST`, answers [`CustodyStatus`].
pub const PATH_SEAL: &str = "/control/v1/custody/seal";

/// Custodians of one set at the most.
pub const MAX_CUSTODIANS: usize = 32;
/// Characters of a custodian's name at the most.
pub const MAX_NAME_LEN: usize = 64;
/// Minutes for which an entered share waits for the others.
pub const SHARE_WAITS_MINUTES: u16 = 15;

const PURPOSE_ENTERED: &str = "kura custody share v1";
const PURPOSE_CUSTODIAN: &str = "kura custodian share v1";
const PURPOSE_KEYS: &str = "kura custody keys v1";

/// What a share is entered for. A box for one purpose does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharePurpose {
    /// To unseal this node.
    Unseal,
    /// To put a pending set of custodians in the place of the active one.
    Reshare,
}

impl SharePurpose {
    /// The word on the wire and in the box's associated data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unseal => "unseal",
            Self::Reshare => "reshare",
        }
    }
}

/// Make a set of custodians with a new root key. It is pending until a threshold of its shares was entered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCustodianSet {
    /// Shares that make the root: 2 at the least.
    pub threshold: u8,
    /// Who gets one share each.
    pub custodians: Vec<Custodian>,
}

/// A person who will hold a share.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custodian {
    /// A name, for people.
    pub name: String,
    /// The custodian's own X25519 public key, base64url without padding.
    pub public_key: String,
}

/// A new set: each share sealed to its own custodian. Nobody can see two of them, and they are told once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MadeCustodianSet {
    /// The set.
    pub set: CustodianSetId,
    /// One for each custodian, in order.
    pub shares: Vec<SealedShare>,
}

/// A share on its way to its custodian: HPKE base mode, X25519.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedShare {
    /// The set.
    pub set: CustodianSetId,
    /// Whose it is.
    pub custodian: String,
    /// Which share, from 1.
    pub index: u8,
    /// HPKE's encapsulated key, base64url without padding.
    pub enc: String,
    /// The share's text form, sealed; base64url without padding.
    pub ciphertext: String,
}

impl SealedShare {
    /// The associated data: this share of this set is this custodian's.
    pub fn aad(&self) -> Vec<u8> {
        length_prefixed(&[
            PURPOSE_CUSTODIAN.as_bytes(),
            self.set.to_string().as_bytes(),
            self.custodian.as_bytes(),
            self.index.to_string().as_bytes(),
        ])
    }
}

/// A share on its way into a vault node, sealed to that node's custody key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnteredShare {
    /// What it is entered for.
    pub purpose: SharePurpose,
    /// The custody key that it was sealed to.
    pub key_id: String,
    /// HPKE's encapsulated key, base64url without padding.
    pub enc: String,
    /// The share's text form, sealed; base64url without padding.
    pub ciphertext: String,
    /// Unix milliseconds at sealing, by the custodian's clock.
    pub sealed_at_ms: i64,
}

/// The associated data of an entered share: one node, one purpose, one moment.
pub fn entered_share_aad(node: u16, purpose: SharePurpose, sealed_at_ms: i64) -> Vec<u8> {
    length_prefixed(&[
        PURPOSE_ENTERED.as_bytes(),
        node.to_string().as_bytes(),
        purpose.as_str().as_bytes(),
        sealed_at_ms.to_string().as_bytes(),
    ])
}

/// The bytes under the signature of a node's custody keys: another domain than the keys for cards.
pub fn custody_signed_bytes(payload: &str) -> Vec<u8> {
    length_prefixed(&[PURPOSE_KEYS.as_bytes(), payload.as_bytes()])
}

/// How custody stands at one node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CustodyStatus {
    /// The node.
    pub node: u16,
    /// Whether the node has no keys.
    pub sealed: bool,
    /// The configured provider: `dev-file`, `shamir` or `pkcs11`.
    pub provider: String,
    /// The provider that the next KEK will be of, while custody is moving.
    pub next_provider: Option<String>,
    /// Whether shares can be entered to unseal this node.
    pub wants_shares: bool,
    /// What shares are sealed to: a [`crate::sealed_box::SealingKeySet`] under [`custody_signed_bytes`].
    pub keys: SignedKeySet,
    /// The custodians whose shares make the root now.
    pub active: Option<CustodianSet>,
    /// Those who will take their place once a threshold of their shares was entered.
    pub pending: Option<CustodianSet>,
    /// Shares that wait for the others.
    pub entered: Vec<EnteredShares>,
}

/// A set of custodians.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CustodianSet {
    /// Its id, which every share names.
    pub id: CustodianSetId,
    /// Shares that make the root.
    pub threshold: u8,
    /// The custodians' names, in the order of their shares.
    pub custodians: Vec<String>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Shares of one set that were entered for one purpose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnteredShares {
    /// What for.
    pub purpose: SharePurpose,
    /// Of which set.
    pub set: CustodianSetId,
    /// Whose.
    pub custodians: Vec<String>,
    /// How many more are needed.
    pub missing: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Node, purpose and time are each a part of what an entered share is bound to.
    #[test]
    fn an_entered_share_is_bound_to_node_purpose_and_time() {
        let bound = entered_share_aad(1, SharePurpose::Unseal, 5);
        assert_ne!(bound, entered_share_aad(2, SharePurpose::Unseal, 5));
        assert_ne!(bound, entered_share_aad(1, SharePurpose::Reshare, 5));
        assert_ne!(bound, entered_share_aad(1, SharePurpose::Unseal, 6));
        assert_ne!(custody_signed_bytes("{}"), crate::sealed_box::signed_bytes("{}"));
    }
}
