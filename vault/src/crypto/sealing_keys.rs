//! The HPKE key pairs that browsers seal cards to (RFC 9180). New ones every hour; the old private key lives 15 minutes
//! more and is wiped then, so recorded traffic can never be opened later. They are in this process's memory and nowhere else.

use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::BASE64URL_NOPAD;
use kura_platform::random;
use kura_wire::custody::{EnteredShare, custody_signed_bytes, entered_share_aad};
use kura_wire::ids::NodeId;
use kura_wire::sealed_box::{
    HPKE_INFO, MAX_AGE_MS, MAX_CIPHERTEXT_LEN, MAX_CLOCK_SKEW_MS, SealedBox, SealingKey, SealingKeySet, SignedKeySet,
    Suite, signed_bytes,
};
use kura_wire::vault::VaultErrorCode;
use rustls::crypto::aws_lc_rs::hpke::{DH_KEM_P256_HKDF_SHA256_AES_256, DH_KEM_X25519_HKDF_SHA256_AES_256};
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey};
use zeroize::Zeroizing;

use super::identity::{Identity, IdentityError};

/// How long a key is published.
pub const PUBLISHED_MS: i64 = 60 * 60 * 1000;
/// How long its private half stays after that.
pub const GRACE_MS: i64 = 15 * 60 * 1000;
const SUITES: [Suite; 2] = [Suite::X25519, Suite::P256];
const _: () = assert!(MAX_AGE_MS == PUBLISHED_MS + GRACE_MS, "a box may be as old as its key");

/// Keys and the signed set of those that are current.
pub struct SealingKeys {
    node: NodeId,
    /// What stands under the signature: the domain of these keys, then the set.
    signed_bytes: fn(&str) -> Vec<u8>,
    held: RwLock<Held>,
}

struct Held {
    pairs: Vec<Arc<Pair>>,
    published: SignedKeySet,
}

struct Pair {
    public: SealingKey,
    private: HpkePrivateKey,
}

impl SealingKeys {
    /// The first keys of a starting node, for cards.
    ///
    /// # Errors
    /// [`IdentityError`] when they can't be made or signed.
    pub fn new(node: NodeId, identity: &Identity, now_ms: i64) -> Result<Self, IdentityError> {
        Self::signed_as(signed_bytes, node, identity, now_ms)
    }

    /// The first keys of a starting node, for custodians' shares.
    ///
    /// # Errors
    /// [`IdentityError`] when they can't be made or signed.
    pub fn for_custody(node: NodeId, identity: &Identity, now_ms: i64) -> Result<Self, IdentityError> {
        Self::signed_as(custody_signed_bytes, node, identity, now_ms)
    }

    fn signed_as(
        signed_bytes: fn(&str) -> Vec<u8>,
        node: NodeId,
        identity: &Identity,
        now_ms: i64,
    ) -> Result<Self, IdentityError> {
        let published = SignedKeySet { payload: String::new(), signature: String::new() };
        let keys = Self { node, signed_bytes, held: RwLock::new(Held { pairs: Vec::new(), published }) };
        keys.rotate(identity, now_ms)?;
        Ok(keys)
    }

    /// Drops what is over, makes new keys when the current ones are at half their time or there are none, and signs.
    ///
    /// # Errors
    /// [`IdentityError`]; what was published stays.
    pub fn rotate(&self, identity: &Identity, now_ms: i64) -> Result<(), IdentityError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.pairs.retain(|pair| now_ms < pair.public.not_after_ms + GRACE_MS);
        let fresh = |pair: &Arc<Pair>| now_ms < pair.public.not_after_ms - PUBLISHED_MS / 2;
        if !held.pairs.iter().any(fresh) {
            for suite in SUITES {
                held.pairs.push(Arc::new(self.make(suite, now_ms)?));
            }
        }
        let keys = held.pairs.iter().filter(|pair| fresh(pair)).map(|pair| pair.public.clone()).collect();
        held.published = identity.sign(&SealingKeySet { keys }, self.signed_bytes)?;
        Ok(())
    }

    /// What browsers may seal to now.
    pub fn published(&self) -> SignedKeySet {
        self.held.read().unwrap_or_else(PoisonError::into_inner).published.clone()
    }

    /// Opens a box that was sealed for this publishable key.
    ///
    /// # Errors
    /// `SealingKeyExpired`, `BoxExpired`, `BoxUnopenable`.
    pub fn open(
        &self,
        sealed: &SealedBox,
        publishable_key: &str,
        now_ms: i64,
    ) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let aad = sealed.aad(publishable_key);
        self.open_bound(&sealed.key_id, &sealed.enc, &sealed.ciphertext, sealed.sealed_at_ms, &aad, now_ms)
    }

    /// Opens a custodian's share that was sealed to this node, for the purpose that it names.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_share(&self, entered: &EnteredShare, now_ms: i64) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let aad = entered_share_aad(self.node.number(), entered.purpose, entered.sealed_at_ms);
        self.open_bound(&entered.key_id, &entered.enc, &entered.ciphertext, entered.sealed_at_ms, &aad, now_ms)
    }

    fn open_bound(
        &self,
        key_id: &str,
        enc: &str,
        ciphertext: &str,
        sealed_at_ms: i64,
        aad: &[u8],
        now_ms: i64,
    ) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let pair = self.find(key_id, now_ms).ok_or(VaultErrorCode::SealingKeyExpired)?;
        let age_ms = now_ms.checked_sub(sealed_at_ms).ok_or(VaultErrorCode::BoxExpired)?;
        if !(-MAX_CLOCK_SKEW_MS..=MAX_AGE_MS).contains(&age_ms) {
            return Err(VaultErrorCode::BoxExpired);
        }
        let unopenable = VaultErrorCode::BoxUnopenable;
        let enc = BASE64URL_NOPAD.decode(enc.as_bytes()).map_err(|_| unopenable)?;
        let ciphertext = BASE64URL_NOPAD.decode(ciphertext.as_bytes()).map_err(|_| unopenable)?;
        if ciphertext.len() > MAX_CIPHERTEXT_LEN {
            return Err(unopenable);
        }
        hpke(pair.public.suite)
            .open(&EncapsulatedSecret(enc), HPKE_INFO, aad, &ciphertext, &pair.private)
            .map(Zeroizing::new)
            .map_err(|_| unopenable)
    }

    fn find(&self, key_id: &str, now_ms: i64) -> Option<Arc<Pair>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let alive = |pair: &&Arc<Pair>| now_ms < pair.public.not_after_ms + GRACE_MS;
        held.pairs.iter().find(|pair| pair.public.key_id == key_id).filter(alive).map(Arc::clone)
    }

    fn make(&self, suite: Suite, now_ms: i64) -> Result<Pair, IdentityError> {
        let (public, private) = hpke(suite).generate_key_pair().map_err(|_| IdentityError::Sign)?;
        let public = SealingKey {
            key_id: format!("hk{:03x}{}", self.node.number(), BASE64URL_NOPAD.encode(&random::bytes::<12>())),
            node: self.node.number(),
            suite,
            public_key: BASE64URL_NOPAD.encode(&public.0),
            not_before_ms: now_ms,
            not_after_ms: now_ms + PUBLISHED_MS,
        };
        Ok(Pair { public, private })
    }
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
    use crate::crypto::key_provider::random_key;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use kura_custody::enter::{seal_to_node, trusted_key};
    use kura_custody::split::split;
    use kura_wire::custody::SharePurpose;
    use kura_wire::ids::CustodianSetId;
    use rustls::crypto::hpke::HpkePublicKey;

    const PK: &str = "pk_test_a";
    const NOW: i64 = 1_800_000_000_000;

    fn identity(name: &str) -> Identity {
        let path = std::env::temp_dir().join(format!("kura-identity-{}-{name}", std::process::id()));
        Identity::create(&path).unwrap();
        let identity = Identity::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        identity
    }

    fn keys(name: &str) -> (SealingKeys, Identity) {
        let identity = identity(name);
        (SealingKeys::new(NodeId::new(3).unwrap(), &identity, NOW).unwrap(), identity)
    }

    fn current(keys: &SealingKeys) -> Vec<SealingKey> {
        serde_json::from_str::<SealingKeySet>(&keys.published().payload).unwrap().keys
    }

    fn seal(key: &SealingKey, sealed_at_ms: i64) -> SealedBox {
        let mut sealed = SealedBox {
            key_id: key.key_id.clone(),
            enc: String::new(),
            ciphertext: String::new(),
            origin: "https://shop.example".to_owned(),
            sealed_at_ms,
        };
        let public = HpkePublicKey(BASE64URL_NOPAD.decode(key.public_key.as_bytes()).unwrap());
        let (enc, ciphertext) = hpke(key.suite).seal(HPKE_INFO, &sealed.aad(PK), b"card", &public).unwrap();
        sealed.enc = BASE64URL_NOPAD.encode(&enc.0);
        sealed.ciphertext = BASE64URL_NOPAD.encode(&ciphertext);
        sealed
    }

    /// The published set is signed by the identity, over its own bytes and domain.
    #[test]
    fn the_published_set_is_signed() {
        let (keys, identity) = keys("signed");
        let set = keys.published();
        let public = BASE64URL_NOPAD.decode(identity.public_key().as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.decode(set.signature.as_bytes()).unwrap();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        assert!(verifier.verify(&signed_bytes(&set.payload), &signature).is_ok());
        assert!(verifier.verify(set.payload.as_bytes(), &signature).is_err());
        assert_eq!(current(&keys).iter().map(|key| key.suite).collect::<Vec<_>>(), SUITES);
    }

    /// A box opens for the publishable key, origin and time it was sealed for; any of them changed, it does not.
    #[test]
    fn a_box_is_bound_to_key_origin_and_time() {
        let (keys, _) = keys("bound");
        for key in current(&keys) {
            let sealed = seal(&key, NOW);
            assert_eq!(keys.open(&sealed, PK, NOW).unwrap().as_slice(), b"card");
            assert_eq!(keys.open(&sealed, "pk_test_b", NOW).err(), Some(VaultErrorCode::BoxUnopenable));
            let other_origin = SealedBox { origin: "https://evil.example".to_owned(), ..sealed.clone() };
            assert_eq!(keys.open(&other_origin, PK, NOW).err(), Some(VaultErrorCode::BoxUnopenable));
            let other_time = SealedBox { sealed_at_ms: NOW - 1, ..sealed.clone() };
            assert_eq!(keys.open(&other_time, PK, NOW).err(), Some(VaultErrorCode::BoxUnopenable));
            let garbage = SealedBox { ciphertext: "!".to_owned(), ..sealed };
            assert_eq!(keys.open(&garbage, PK, NOW).err(), Some(VaultErrorCode::BoxUnopenable));
        }
    }

    /// A custodian's share opens at the node and for the purpose that it was sealed for; the keys for it are signed as such, and
    /// no box for a card's key passes for one.
    #[test]
    fn a_share_is_bound_to_node_and_purpose() {
        let identity = identity("custody");
        let node = |number| SealingKeys::for_custody(NodeId::new(number).unwrap(), &identity, NOW).unwrap();
        let (here, cards) = (node(3), SealingKeys::new(NodeId::new(3).unwrap(), &identity, NOW).unwrap());
        let key = trusted_key(&here.published(), &identity.public_key(), NOW).unwrap();
        assert!(trusted_key(&cards.published(), &identity.public_key(), NOW).is_err());
        let share = split(CustodianSetId::from_bytes([1; 16]), &random_key(), 2, 2).unwrap().remove(0);
        let entered = seal_to_node(&share, &key, SharePurpose::Unseal, NOW).unwrap();
        assert_eq!(here.open_share(&entered, NOW).unwrap().as_slice(), share.reveal_as_text().as_bytes());
        let unopenable = Some(VaultErrorCode::BoxUnopenable);
        let other_purpose = EnteredShare { purpose: SharePurpose::Reshare, ..entered.clone() };
        assert_eq!(here.open_share(&other_purpose, NOW).err(), unopenable);
        let other_time = EnteredShare { sealed_at_ms: NOW - 1, ..entered.clone() };
        assert_eq!(here.open_share(&other_time, NOW).err(), unopenable);
        let key = SealingKey { node: 4, ..key };
        let other_node = seal_to_node(&share, &key, SharePurpose::Unseal, NOW).unwrap();
        assert_eq!(here.open_share(&other_node, NOW).err(), unopenable);
        assert_eq!(node(3).open_share(&entered, NOW).err(), Some(VaultErrorCode::SealingKeyExpired));
    }

    /// An old key still opens for its grace, is no longer published, and is gone afterwards.
    #[test]
    fn an_old_key_dies() {
        let (keys, identity) = keys("dies");
        let key = current(&keys).remove(0);
        let late = NOW + PUBLISHED_MS - 1000;
        keys.rotate(&identity, late).unwrap();
        assert!(current(&keys).iter().all(|fresh| fresh.key_id != key.key_id));
        let sealed = seal(&key, late);
        assert!(keys.open(&sealed, PK, late + GRACE_MS).is_ok());
        let over = NOW + PUBLISHED_MS + GRACE_MS;
        assert_eq!(keys.open(&sealed, PK, over).err(), Some(VaultErrorCode::SealingKeyExpired));
        keys.rotate(&identity, over).unwrap();
        assert!(keys.held.read().unwrap().pairs.iter().all(|pair| pair.public.key_id != key.key_id));
    }

    /// A box from the future, or as old as its key, is refused; so is one to a key that this node never had.
    #[test]
    fn time_and_key_are_checked() {
        let (keys, _) = keys("time");
        let key = current(&keys).remove(0);
        let future = seal(&key, NOW + MAX_CLOCK_SKEW_MS + 1);
        assert_eq!(keys.open(&future, PK, NOW).err(), Some(VaultErrorCode::BoxExpired));
        let old = seal(&key, NOW - MAX_AGE_MS - 1);
        assert_eq!(keys.open(&old, PK, NOW).err(), Some(VaultErrorCode::BoxExpired));
        let extreme = seal(&key, i64::MIN);
        assert_eq!(keys.open(&extreme, PK, NOW).err(), Some(VaultErrorCode::BoxExpired));
        let foreign = SealedBox { key_id: "hk000x".to_owned(), ..seal(&key, NOW) };
        assert_eq!(keys.open(&foreign, PK, NOW).err(), Some(VaultErrorCode::SealingKeyExpired));
    }
}
