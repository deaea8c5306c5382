//! What a witness makes of the vault's latest checkpoint, given the one that it kept. Pure: no clock, no database.

use kura_ledger::note::{Checkpoint, PublicIdentity};
use kura_ledger::proof::is_consistent;
use kura_ledger::tree::Hash;
use kura_wire::ledger::Head;

/// The checkpoint that was kept last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of which log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The vault's identity did not sign it.
    BadSignature,
    /// It doesn't go on from what was kept.
    Inconsistent,
    /// It is smaller than what was kept.
    Shrunk,
    /// The node serves another log than before.
    OriginChanged,
    /// There was no answer for too long.
    Silent,
}

impl Wrong {
    /// The word in the database and in alerts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Inconsistent => "inconsistent",
            Self::Shrunk => "shrunk",
            Self::OriginChanged => "origin_changed",
            Self::Silent => "silent",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Same,
    /// The tree grew, and goes on from what was kept: keep this.
    Grown(Checkpoint),
    /// Tell somebody, and go on from what was kept.
    Wrong(Wrong),
}

/// Judges.
pub fn judge(identity: &PublicIdentity, kept: Option<&Kept>, head: &Head) -> Verdict {
    let Some(latest) = &head.checkpoint else {
        return if kept.is_some() { Verdict::Wrong(Wrong::Shrunk) } else { Verdict::Same };
    };
    let Ok(checkpoint) = identity.open(&latest.note, &head.origin) else { return Verdict::Wrong(Wrong::BadSignature) };
    let Some(kept) = kept else { return Verdict::Grown(checkpoint) };
    if kept.origin != checkpoint.origin {
        return Verdict::Wrong(Wrong::OriginChanged);
    }
    if checkpoint.size < kept.size {
        return Verdict::Wrong(Wrong::Shrunk);
    }
    if checkpoint.size == kept.size {
        let same = checkpoint.root == kept.root;
        return if same { Verdict::Same } else { Verdict::Wrong(Wrong::Inconsistent) };
    }
    let proof: Option<Vec<Hash>> =
        head.consistency.as_ref().and_then(|hashes| hashes.iter().map(|hash| Hash::parse(hash)).collect());
    let goes_on =
        proof.is_some_and(|proof| is_consistent((&kept.root, kept.size), (&checkpoint.root, checkpoint.size), &proof));
    if goes_on { Verdict::Grown(checkpoint) } else { Verdict::Wrong(Wrong::Inconsistent) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use data_encoding::BASE64URL_NOPAD;
    use kura_ledger::note::origin_of;
    use kura_ledger::proof;
    use kura_ledger::tree::{Edge, leaf_hash};
    use kura_platform::{clock, random};

    struct Vault {
        key: EcdsaKeyPair,
        identity: PublicIdentity,
    }

    impl Vault {
        fn new() -> Self {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let identity = PublicIdentity::parse(&BASE64URL_NOPAD.encode(key.public_key().as_ref())).unwrap();
            Self { key, identity }
        }

        /// What it would answer for a tree, with the proof from an older size of the same tree.
        fn head(&self, tree: &Edge, since: Option<u64>) -> Head {
            let checkpoint = Checkpoint { origin: origin_of(0), size: tree.size(), root: tree.root() };
            let signature = self.key.sign(&random::source(), checkpoint.text().as_bytes()).unwrap();
            let note = checkpoint.note(&self.identity, signature.as_ref());
            let parts = since.and_then(|since| proof::consistency(since, tree.size()));
            let hashes = parts.map(|parts| proof::hashes_of(&parts, |id| Some(tree.level(id.level))).unwrap());
            Head {
                node: 0,
                origin: origin_of(0),
                identity: self.identity.to_text(),
                rows: tree.size(),
                checkpoint: Some(kura_wire::ledger::Checkpoint { size: tree.size(), at: clock::now(), note }),
                consistency: hashes.map(|hashes| hashes.iter().map(ToString::to_string).collect()),
            }
        }
    }

    fn tree(size: u64, salt: u8) -> Edge {
        let mut tree = Edge::default();
        for number in 0..size {
            // The salt changes the leaves from the tenth on.
            let salt = if number < 10 { 0 } else { salt };
            tree.push(leaf_hash(&[number.to_be_bytes().as_slice(), &[salt]].concat()), &mut Vec::new());
        }
        tree
    }

    fn kept(tree: &Edge) -> Kept {
        Kept { origin: origin_of(0), size: tree.size(), root: tree.root() }
    }

    /// A tree that goes on is kept; the same one is nothing new.
    #[test]
    fn a_tree_that_goes_on_is_kept() {
        let vault = Vault::new();
        let verdict = judge(&vault.identity, None, &vault.head(&tree(20, 0), None));
        assert!(matches!(&verdict, Verdict::Grown(checkpoint) if checkpoint.size == 20));
        let kept = kept(&tree(20, 0));
        assert_eq!(judge(&vault.identity, Some(&kept), &vault.head(&tree(20, 0), Some(20))), Verdict::Same);
        let verdict = judge(&vault.identity, Some(&kept), &vault.head(&tree(50, 0), Some(20)));
        assert!(matches!(&verdict, Verdict::Grown(checkpoint) if checkpoint.size == 50));
    }

    /// Signed by another key, smaller, another history of the same size or a larger one, another log, nothing any more, no
    /// proof: each is a finding.
    #[test]
    fn what_does_not_go_on_is_a_finding() {
        let (vault, other) = (Vault::new(), Vault::new());
        let kept = kept(&tree(20, 0));
        let wrong = |head: &Head| judge(&vault.identity, Some(&kept), head);
        assert_eq!(wrong(&other.head(&tree(50, 0), Some(20))), Verdict::Wrong(Wrong::BadSignature));
        assert_eq!(wrong(&vault.head(&tree(19, 0), Some(10))), Verdict::Wrong(Wrong::Shrunk));
        assert_eq!(wrong(&vault.head(&tree(20, 1), Some(20))), Verdict::Wrong(Wrong::Inconsistent));
        assert_eq!(wrong(&vault.head(&tree(50, 1), Some(20))), Verdict::Wrong(Wrong::Inconsistent));
        assert_eq!(wrong(&vault.head(&tree(50, 0), None)), Verdict::Wrong(Wrong::Inconsistent));
        let nothing = Head { checkpoint: None, ..vault.head(&tree(20, 0), None) };
        assert_eq!(wrong(&nothing), Verdict::Wrong(Wrong::Shrunk));
        let elsewhere = Kept { origin: origin_of(1), ..kept.clone() };
        let head = vault.head(&tree(50, 0), Some(20));
        assert_eq!(judge(&vault.identity, Some(&elsewhere), &head), Verdict::Wrong(Wrong::OriginChanged));
        let renamed = Head { origin: origin_of(1), ..head };
        assert_eq!(wrong(&renamed), Verdict::Wrong(Wrong::BadSignature));
    }
}
