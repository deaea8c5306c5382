//! A root key that this process holds: KEKs are sealed under it and kept in the database. The root comes from custodians'
//! shares or, for the local demo, from a file; it is bound to the set of shares that it was made with.

use std::sync::Arc;

use kura_wire::sealed_box::length_prefixed;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::aead::Aead;
use super::key_provider::{DEK_LEN, DekBytes, Kek, KeyError, KeyProvider, ProviderKind, random_key};

/// The root, ready for use; its bytes are wiped once its key schedule is made.
pub struct RootKey {
    kind: ProviderKind,
    set_id: Vec<u8>,
    key: Aead,
}

impl RootKey {
    /// Of its bytes. `set_id` names the set of shares (or the file) that it came from.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when AES can't be had.
    pub fn new(kind: ProviderKind, set_id: &[u8], root: &DekBytes) -> Result<Self, KeyError> {
        let key = Aead::new(root.as_slice()).map_err(|error| KeyError::Provider(error.to_string()))?;
        Ok(Self { kind, set_id: set_id.to_vec(), key })
    }

    /// Nothing, sealed under this root: kept with the set of shares, it tells later whether a root is the same one.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when AES can't be had.
    pub fn make_check(&self) -> Result<Vec<u8>, KeyError> {
        self.key.seal(&self.check_binding(), b"").map_err(|error| KeyError::Provider(error.to_string()))
    }

    /// Whether this root made the check.
    pub fn made_check(&self, check: &[u8]) -> bool {
        self.key.open(&self.check_binding(), check).is_ok()
    }

    fn check_binding(&self) -> Vec<u8> {
        length_prefixed(&[b"kura root check v1", self.kind.as_str().as_bytes(), &self.set_id])
    }

    fn binding(&self, version: i32) -> Vec<u8> {
        length_prefixed(&[b"kura kek v1", self.kind.as_str().as_bytes(), &self.set_id, &version.to_be_bytes()])
    }

    /// Seals the KEK in `material` of another root under this one: the custodians changed, the KEK did not.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unwrap`] when `material` is not the other root's.
    pub fn adopt(&self, other: &Self, version: i32, material: &[u8]) -> Result<Vec<u8>, KeyError> {
        let kek = other.key.open(&other.binding(version), material).map_err(|_| KeyError::Unwrap)?;
        self.key.seal(&self.binding(version), &kek).map_err(|error| KeyError::Provider(error.to_string()))
    }
}

impl KeyProvider for RootKey {
    fn kind(&self) -> ProviderKind {
        self.kind
    }

    fn custodians(&self) -> Option<Uuid> {
        let of_shares = self.kind == ProviderKind::Shamir;
        of_shares.then(|| Uuid::from_slice(&self.set_id).ok()).flatten()
    }

    fn make_kek(&self, version: i32) -> Result<Vec<u8>, KeyError> {
        let failed = |error: super::aead::AeadError| KeyError::Provider(error.to_string());
        self.key.seal(&self.binding(version), random_key().as_slice()).map_err(failed)
    }

    fn open_kek(&self, version: i32, material: &[u8]) -> Result<Arc<dyn Kek>, KeyError> {
        let kek = self.key.open(&self.binding(version), material).map_err(|_| KeyError::Unwrap)?;
        Ok(Arc::new(HeldKek(Aead::new(&kek).map_err(|_| KeyError::Unwrap)?)))
    }
}

/// A KEK in this process.
struct HeldKek(Aead);

impl Kek for HeldKek {
    fn wrap(&self, dek: &DekBytes, binding: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.0.seal(binding, dek.as_slice()).map_err(|error| KeyError::Provider(error.to_string()))
    }

    fn unwrap(&self, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KeyError> {
        let opened = self.0.open(binding, wrapped).map_err(|_| KeyError::Unwrap)?;
        let mut dek = Box::new(Zeroizing::new([0; DEK_LEN]));
        if opened.len() != DEK_LEN {
            return Err(KeyError::Unwrap);
        }
        dek.copy_from_slice(&opened);
        Ok(dek)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(set_id: &[u8], byte: u8) -> RootKey {
        RootKey::new(ProviderKind::DevFile, set_id, &Box::new(Zeroizing::new([byte; DEK_LEN]))).unwrap()
    }

    fn dek() -> DekBytes {
        Box::new(Zeroizing::new([9; DEK_LEN]))
    }

    /// A DEK comes back under its own KEK and binding only, and not when a byte of its wrapping was changed.
    #[test]
    fn a_wrapped_dek_is_bound() {
        let root = root(b"set", 1);
        let kek = root.open_kek(1, &root.make_kek(1).unwrap()).unwrap();
        let other = root.open_kek(2, &root.make_kek(2).unwrap()).unwrap();
        let wrapped = kek.wrap(&dek(), b"merchant a").unwrap();
        assert_eq!(kek.unwrap(&wrapped, b"merchant a").unwrap().as_slice(), dek().as_slice());
        assert!(matches!(kek.unwrap(&wrapped, b"merchant b"), Err(KeyError::Unwrap)));
        assert!(matches!(other.unwrap(&wrapped, b"merchant a"), Err(KeyError::Unwrap)));
        for place in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[place] ^= 1;
            assert!(matches!(kek.unwrap(&damaged, b"merchant a"), Err(KeyError::Unwrap)), "byte {place}");
        }
    }

    /// A KEK opens under the root, set and version that it was made for, and under no other.
    #[test]
    fn a_kek_is_bound_to_root_set_and_version() {
        let first = root(b"set", 1);
        let material = first.make_kek(1).unwrap();
        assert!(first.open_kek(1, &material).is_ok());
        assert!(matches!(first.open_kek(2, &material), Err(KeyError::Unwrap)));
        assert!(matches!(root(b"other set", 1).open_kek(1, &material), Err(KeyError::Unwrap)));
        assert!(matches!(root(b"set", 2).open_kek(1, &material), Err(KeyError::Unwrap)));
        let shares = RootKey { kind: ProviderKind::Shamir, ..root(b"set", 1) };
        assert!(matches!(shares.open_kek(1, &material), Err(KeyError::Unwrap)));
    }

    /// A root of shares names their set; one of a file has no custodians, whatever its set is called.
    #[test]
    fn a_root_of_shares_names_their_set() {
        let set = *b"sixteen letters.";
        let file = root(&set, 1);
        assert_eq!(file.custodians(), None);
        let shares = RootKey { kind: ProviderKind::Shamir, ..file };
        assert_eq!(shares.custodians(), Some(Uuid::from_bytes(set)));
    }

    /// A check is of its root and set, and of no other.
    #[test]
    fn a_check_tells_a_root() {
        let check = root(b"set", 1).make_check().unwrap();
        assert!(root(b"set", 1).made_check(&check));
        assert!(!root(b"set", 2).made_check(&check));
        assert!(!root(b"other", 1).made_check(&check));
    }

    /// Adopted by another root, the KEK is the same one: what it wrapped before still opens.
    #[test]
    fn an_adopted_kek_is_the_same_key() {
        let (old, new) = (root(b"old", 1), root(b"new", 2));
        let material = old.make_kek(4).unwrap();
        let wrapped = old.open_kek(4, &material).unwrap().wrap(&dek(), b"here").unwrap();
        let adopted = new.adopt(&old, 4, &material).unwrap();
        assert!(new.open_kek(4, &adopted).unwrap().unwrap(&wrapped, b"here").is_ok());
        assert!(matches!(old.open_kek(4, &adopted), Err(KeyError::Unwrap)));
        assert!(matches!(new.adopt(&old, 5, &material), Err(KeyError::Unwrap)));
    }
}
