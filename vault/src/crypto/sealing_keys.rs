//! The HPKE key pairs that browsers seal cards to (RFC 9180). New ones every hour; the old private key lives 15 minutes
//! more and is wiped then, so recorded traffic can never be opened later. They are in this process's memory and nowhere else.

use std::sync::{Arc, PoisonError, RwLock};

use data_encoding::BASE64URL_NOPAD;
use kura_platform::random;
use kura_wire::custody::{EnteredShare, custody_signed_bytes, entered_share_aad};
use kura_wire::ids::NodeId;
use kura_wire::operator_box::{MAX_BATCH_LEN, OperatorBox, batch_aad};
use kura_wire::sealed_box::{
    HPKE_INFO, MAX_AGE_MS, MAX_CIPHERTEXT_LEN, MAX_CLOCK_SKEW_MS, SealedBox, SealingKey, SealingKeySet, SignedKeySet,
    Suite, signed_bytes,
};
use kura_wire::vault::VaultErrorCode;
use zeroize::Zeroizing;

use super::hpke::PrivateKey;
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

/// What a box was sealed to, and when.
#[derive(Debug, Clone, Copy)]
pub struct BoxKey<'a> {
    /// The key's id.
    pub key_id: &'a str,
    /// HPKE's encapsulated key, base64url.
    pub enc: &'a str,
    /// Unix milliseconds.
    pub sealed_at_ms: i64,
}

struct Pair {
    public: SealingKey,
    private: PrivateKey,
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
        let key = BoxKey { key_id: &sealed.key_id, enc: &sealed.enc, sealed_at_ms: sealed.sealed_at_ms };
        self.open_text(key, &sealed.ciphertext, MAX_CIPHERTEXT_LEN, &sealed.aad(publishable_key), now_ms)
    }

    /// Opens an operator's batch that was sealed for this purpose and subject.
    ///
    /// # Errors
    /// `SealingKeyExpired`, `BoxExpired`, `BoxUnopenable`.
    pub fn open_batch(
        &self,
        sealed: &OperatorBox,
        purpose: &str,
        subject: &str,
        now_ms: i64,
    ) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let key = BoxKey { key_id: &sealed.key_id, enc: &sealed.enc, sealed_at_ms: sealed.sealed_at_ms };
        let aad = batch_aad(purpose, subject, sealed.sealed_at_ms);
        self.open_text(key, &sealed.ciphertext, MAX_BATCH_LEN, &aad, now_ms)
    }

    /// Opens a custodian's share that was sealed to this node, for the purpose that it names.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_share(&self, entered: &EnteredShare, now_ms: i64) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let key = BoxKey { key_id: &entered.key_id, enc: &entered.enc, sealed_at_ms: entered.sealed_at_ms };
        let aad = entered_share_aad(self.node.number(), entered.purpose, entered.sealed_at_ms);
        self.open_text(key, &entered.ciphertext, MAX_CIPHERTEXT_LEN, &aad, now_ms)
    }

    /// Opens a ciphertext in base64url, of no more than so many bytes.
    fn open_text(
        &self,
        key: BoxKey<'_>,
        ciphertext: &str,
        max_len: usize,
        aad: &[u8],
        now_ms: i64,
    ) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let ciphertext = BASE64URL_NOPAD.decode(ciphertext.as_bytes()).map_err(|_| VaultErrorCode::BoxUnopenable)?;
        if ciphertext.len() > max_len {
            return Err(VaultErrorCode::BoxUnopenable);
        }
        self.open_bound(key, aad, &ciphertext, now_ms)
    }

    /// Opens what was sealed to one of these keys for this associated data. Its length is for the caller to limit.
    ///
    /// # Errors
    /// `SealingKeyExpired`, `BoxExpired`, `BoxUnopenable`.
    pub fn open_bound(
        &self,
        key: BoxKey<'_>,
        aad: &[u8],
        ciphertext: &[u8],
        now_ms: i64,
    ) -> Result<Zeroizing<Vec<u8>>, VaultErrorCode> {
        let pair = self.find(key.key_id, now_ms).ok_or(VaultErrorCode::SealingKeyExpired)?;
        let age_ms = now_ms.checked_sub(key.sealed_at_ms).ok_or(VaultErrorCode::BoxExpired)?;
        if !(-MAX_CLOCK_SKEW_MS..=MAX_AGE_MS).contains(&age_ms) {
            return Err(VaultErrorCode::BoxExpired);
        }
        let unopenable = VaultErrorCode::BoxUnopenable;
        let enc = BASE64URL_NOPAD.decode(key.enc.as_bytes()).map_err(|_| unopenable)?;
        pair.private.open(HPKE_INFO, enc, aad, ciphertext).map_err(|_| unopenable)
    }

    fn find(&self, key_id: &str, now_ms: i64) -> Option<Arc<Pair>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let alive = |pair: &&Arc<Pair>| now_ms < pair.public.not_after_ms + GRACE_MS;
        held.pairs.iter().find(|pair| pair.public.key_id == key_id).filter(alive).map(Arc::clone)
    }

    fn make(&self, suite: Suite, now_ms: i64) -> Result<Pair, IdentityError> {
        let (public, private) = PrivateKey::generate(suite).map_err(|_| IdentityError::Sign)?;
        let public = SealingKey {
            key_id: format!("hk{:03x}{}", self.node.number(), BASE64URL_NOPAD.encode(&random::bytes::<12>())),
            node: self.node.number(),
            suite,
            public_key: BASE64URL_NOPAD.encode(&public),
            not_before_ms: now_ms,
            not_after_ms: now_ms + PUBLISHED_MS,
        };
        Ok(Pair { public, private })
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
        (sealed.enc, sealed.ciphertext) = sealed_texts(key, &sealed.aad(PK), b"card");
        sealed
    }

    /// The encapsulated key and the ciphertext, base64url.
    fn sealed_texts(key: &SealingKey, aad: &[u8], plaintext: &[u8]) -> (String, String) {
        let public = BASE64URL_NOPAD.decode(key.public_key.as_bytes()).unwrap();
        let (enc, ciphertext) = crate::crypto::hpke::seal(key.suite, &public, HPKE_INFO, aad, plaintext).unwrap();
        (BASE64URL_NOPAD.encode(&enc), BASE64URL_NOPAD.encode(&ciphertext))
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

    /// A box may have as many bytes as a card needs at the most, and a batch as many as an operator's list; a longer one is not
    /// opened, be it sealed as it must be.
    #[test]
    fn boxes_and_batches_have_a_limit() {
        const TAG_LEN: usize = 16;
        let (keys, _) = keys("limit");
        let key = current(&keys).remove(0);
        for (len, is_opened) in [(1024, true), (1025, false), (1026, false)] {
            let mut sealed = seal(&key, NOW);
            (sealed.enc, sealed.ciphertext) = sealed_texts(&key, &sealed.aad(PK), &vec![7; len - TAG_LEN]);
            assert_eq!(keys.open(&sealed, PK, NOW).is_ok(), is_opened, "{len}");
        }
        for (len, is_opened) in [(10 * 1024, true), (10 * 1024 + 1, false)] {
            let batch = batch(&key, &vec![7; len - TAG_LEN]);
            assert_eq!(keys.open_batch(&batch, "import", "merchant", NOW).is_ok(), is_opened, "{len}");
        }
    }

    fn batch(key: &SealingKey, plaintext: &[u8]) -> OperatorBox {
        let (enc, ciphertext) = sealed_texts(key, &batch_aad("import", "merchant", NOW), plaintext);
        OperatorBox { key_id: key.key_id.clone(), enc, ciphertext, sealed_at_ms: NOW }
    }

    /// An operator's batch opens for the purpose, the subject and the time that it was sealed for.
    #[test]
    fn a_batch_is_bound_to_purpose_subject_and_time() {
        let (keys, _) = keys("batch");
        let sealed = batch(&current(&keys)[0], b"numbers");
        assert_eq!(keys.open_batch(&sealed, "import", "merchant", NOW).unwrap().as_slice(), b"numbers");
        let unopenable = Some(VaultErrorCode::BoxUnopenable);
        assert_eq!(keys.open_batch(&sealed, "exposed", "merchant", NOW).err(), unopenable);
        assert_eq!(keys.open_batch(&sealed, "import", "another", NOW).err(), unopenable);
        let other_time = OperatorBox { sealed_at_ms: NOW - 1, ..sealed };
        assert_eq!(keys.open_batch(&other_time, "import", "merchant", NOW).err(), unopenable);
    }

    /// New keys are made at half of the current ones' time, so that a browser always has half an hour.
    #[test]
    fn keys_are_renewed_at_half_their_time() {
        let (keys, identity) = keys("half");
        let first = current(&keys).remove(0);
        let half = NOW + 30 * 60 * 1000;
        keys.rotate(&identity, half - 1).unwrap();
        assert_eq!(current(&keys)[0].key_id, first.key_id);
        assert_eq!((first.not_before_ms, first.not_after_ms), (NOW, NOW + 60 * 60 * 1000));
        keys.rotate(&identity, half).unwrap();
        assert!(current(&keys).iter().all(|key| key.key_id != first.key_id));
        assert_eq!(current(&keys).len(), SUITES.len());
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
        assert_eq!(GRACE_MS, 15 * 60 * 1000);
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
