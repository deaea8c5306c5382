//! Checkpoints as C2SP signed notes: the tree's origin, size and root, vouched for by the vault's identity.
//!
//! ```text
//! kura.internal/vault/access/0
//! 1234
//! <root hash, base64>
//!
//! — kura.internal/vault/access/0 <base64 of key id and signature>
//! ```
//!
//! The signature is ECDSA P-256 over SHA-256 of the text above the empty line, in DER (signature type 0x02; the key id is
//! the beginning of SHA-256 over the key's SubjectPublicKeyInfo): the identity is the one key that is pinned everywhere
//! already, so no second one has to be made, kept and pinned. What it signs for browsers begins with a length, this with a
//! letter: neither passes for the other.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use sha2::{Digest, Sha256};

use crate::tree::{Hash, MAX_SIZE};

/// Opens the line of a signature.
const DASH: &str = "\u{2014} ";
/// ECDSA, of the signature types of signed-note.
const TYPE_ECDSA: u8 = 2;
/// What stands before the point in the SubjectPublicKeyInfo of every P-256 key (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// A note is no longer than this.
const MAX_NOTE_LEN: usize = 4096;

/// The log of a node's openings.
pub fn origin_of(node: u16) -> String {
    format!("kura.internal/vault/access/{node}")
}

/// The node whose log this is.
pub fn node_of(origin: &str) -> Option<u16> {
    let node = origin.strip_prefix("kura.internal/vault/access/")?.parse().ok()?;
    (origin_of(node) == origin).then_some(node)
}

/// What a tree was, at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a note isn't a checkpoint that can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It isn't a signed note with a checkpoint.
    #[error("not a signed checkpoint")]
    Malformed,
    /// It is another log's.
    #[error("a checkpoint of another log")]
    OtherOrigin,
    /// Nothing in it is signed by the key.
    #[error("not signed by the vault's identity")]
    BadSignature,
}

impl Checkpoint {
    /// What is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// The note, with the signature (DER) that the key's holder made over [`Self::text`].
    pub fn note(&self, identity: &PublicIdentity, signature: &[u8]) -> String {
        let signed = [identity.key_id().as_slice(), signature].concat();
        format!("{}\n{DASH}{} {}\n", self.text(), self.origin, BASE64.encode(&signed))
    }

    /// The checkpoint that a text claims, whoever signed it.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?.to_owned(), lines.next()?, Hash::parse(lines.next()?)?);
        let number: u64 = size.parse().ok().filter(|size| *size < MAX_SIZE)?;
        let checkpoint = Self { origin, size: number, root };
        // One text for one checkpoint: no leading zeros, no extension lines.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// The size that a note claims, true or not: for messages about notes that can't be relied on.
pub fn claimed_size(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

/// The public half of the vault's identity.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicIdentity([u8; 65]);

impl std::fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl PublicIdentity {
    /// As browsers have it pinned: the uncompressed point of 65 bytes, base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let point: [u8; 65] = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?;
        (point.first() == Some(&4)).then_some(Self(point))
    }

    /// The same text again.
    pub fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    fn spki(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.0].concat()
    }

    fn key_id(&self) -> [u8; 4] {
        let digest: [u8; 32] = Sha256::digest(self.spki()).into();
        digest.first_chunk().copied().unwrap_or_default()
    }

    /// The verifier key of signed-note, for others' tools: `name+id+key`.
    pub fn verifier_key(&self, origin: &str) -> String {
        let id = data_encoding::HEXLOWER.encode(&self.key_id());
        format!("{origin}+{id}+{}", BASE64.encode(&[&[TYPE_ECDSA], self.spki().as_slice()].concat()))
    }

    /// The checkpoint in a note, once its signature by this key over this origin holds.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, note: &str, origin: &str) -> Result<Checkpoint, NoteError> {
        if note.len() > MAX_NOTE_LEN {
            return Err(NoteError::Malformed);
        }
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = format!("{text}\n");
        let checkpoint = Checkpoint::parse(&text).ok_or(NoteError::Malformed)?;
        if checkpoint.origin != origin {
            return Err(NoteError::OtherOrigin);
        }
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let is_signed = signatures.split('\n').any(|line| self.has_signed(&text, line, origin));
        if is_signed { Ok(checkpoint) } else { Err(NoteError::BadSignature) }
    }

    fn has_signed(&self, text: &str, line: &str, origin: &str) -> bool {
        let signed = line.strip_prefix(DASH).and_then(|line| line.strip_prefix(origin));
        let signed =
            signed.and_then(|line| line.strip_prefix(' ')).and_then(|line| BASE64.decode(line.as_bytes()).ok());
        let Some(signed) = signed else { return false };
        let Some((id, signature)) = signed.split_first_chunk::<4>() else { return false };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.0);
        *id == self.key_id() && key.verify(text.as_bytes(), signature).is_ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    /// An identity for tests, private half and all.
    pub(crate) struct Signer(EcdsaKeyPair);

    impl Signer {
        pub(crate) fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
        }

        pub(crate) fn public(&self) -> PublicIdentity {
            PublicIdentity(self.0.public_key().as_ref().try_into().unwrap())
        }

        pub(crate) fn note(&self, checkpoint: &Checkpoint) -> String {
            let signature = self.0.sign(&kura_platform::random::source(), checkpoint.text().as_bytes()).unwrap();
            checkpoint.note(&self.public(), signature.as_ref())
        }
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: origin_of(3), size: 42, root: crate::tree::leaf_hash(b"root") }
    }

    /// A note opens with its key and origin, and with no other; each changed byte of it, and each cut, is refused.
    #[test]
    fn a_note_opens_for_its_key_and_origin_alone() {
        let signer = Signer::new();
        let (note, key, origin) = (signer.note(&checkpoint()), signer.public(), origin_of(3));
        assert_eq!(key.open(&note, &origin), Ok(checkpoint()));
        assert_eq!(key.open(&note, &origin_of(4)), Err(NoteError::OtherOrigin));
        assert_eq!(Signer::new().public().open(&note, &origin), Err(NoteError::BadSignature));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(key.open(&changed, &origin).is_err(), "byte {at}");
            }
            assert!(note.get(..at).is_none_or(|cut| key.open(cut, &origin).is_err()), "cut at {at}");
        }
        assert!(key.open(&note.replace("\n42\n", "\n042\n"), &origin).is_err());
    }

    /// A second signature of somebody unknown, as witnesses add theirs, does no harm.
    #[test]
    fn unknown_signatures_are_passed_over() {
        let signer = Signer::new();
        let note = signer.note(&checkpoint());
        let more = format!("{note}\u{2014} somebody.example AAAAAAAA\n");
        assert_eq!(signer.public().open(&more, &origin_of(3)), Ok(checkpoint()));
    }

    /// A note may be 4096 bytes long, with all its signatures, and no longer.
    #[test]
    fn a_note_has_a_limit() {
        let signer = Signer::new();
        let note = signer.note(&checkpoint());
        let of_len = |len: usize| {
            let line = "\u{2014} somebody.example ";
            let rest = len - note.len() - line.len() - 1;
            format!("{note}{line}{}\n", "A".repeat(rest))
        };
        assert_eq!(signer.public().open(&of_len(4096), &origin_of(3)), Ok(checkpoint()));
        for len in [4097, 4098] {
            assert_eq!(signer.public().open(&of_len(len), &origin_of(3)), Err(NoteError::Malformed));
        }
    }

    /// A tree has fewer than 2^62 leaves, signed or not.
    #[test]
    fn a_tree_of_a_note_has_a_limit() {
        let signer = Signer::new();
        let of_size = |size| Checkpoint { size, ..checkpoint() };
        let opened = |size| signer.public().open(&signer.note(&of_size(size)), &origin_of(3));
        assert_eq!(opened(MAX_SIZE - 1), Ok(of_size(MAX_SIZE - 1)));
        assert_eq!(opened(MAX_SIZE), Err(NoteError::Malformed));
    }

    /// Others' tools know the key by this text: here that of P-256's own base point, its SubjectPublicKeyInfo and key id as
    /// another library (OpenSSL) makes them.
    #[test]
    fn the_verifier_key_is_as_signed_note_has_it() {
        let point = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
        let key = PublicIdentity::parse(point).unwrap();
        let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";
        let typed = [&[2], BASE64.decode(spki.as_bytes()).unwrap().as_slice()].concat();
        let expected = format!("example.org/log+5cd252fb+{}", BASE64.encode(&typed));
        assert_eq!(key.verifier_key("example.org/log"), expected);
    }

    /// The origin and its node are one to one.
    #[test]
    fn origins_name_their_node() {
        assert_eq!(node_of(&origin_of(1023)), Some(1023));
        assert_eq!(node_of("kura.internal/vault/access/01"), None);
        assert_eq!(node_of("kura.internal/vault/other/1"), None);
        let key = Signer::new().public();
        assert_eq!(PublicIdentity::parse(&key.to_text()), Some(key.clone()));
        assert!(key.verifier_key(&origin_of(1)).starts_with("kura.internal/vault/access/1+"));
    }
}
