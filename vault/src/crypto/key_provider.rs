//! Where KEKs live. A provider makes and opens KEKs; a KEK wraps and unwraps DEKs. Neither ever shows a key.
//!
//! Two kinds exist: a root key that this process holds (from custodians' shares, or the development file) and under which
//! KEKs are sealed in the database; and an HSM, which its KEKs never leave.

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of a data encryption key.
pub const DEK_LEN: usize = 32;

/// A DEK on its way between its wrapping and AES. On the heap: a move leaves no copy on the stack.
pub type DekBytes = Box<Zeroizing<[u8; DEK_LEN]>>;

/// 32 new random bytes.
pub fn random_key() -> DekBytes {
    let mut key = Box::new(Zeroizing::new([0; DEK_LEN]));
    kura_platform::random::fill(key.as_mut_slice());
    key
}

/// Why a key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The provider itself: a file, a module, not enough shares.
    #[error("key provider: {0}")]
    Provider(String),
    /// The wrapped key does not open under this KEK for this merchant and class: damaged or swapped.
    #[error("wrapped key does not open")]
    Unwrap,
    /// No KEK of this version.
    #[error("no KEK of version {0}")]
    UnknownVersion(i32),
}

/// The kinds of providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// A root key in a file; development only.
    DevFile,
    /// A root key from custodians' shares.
    Shamir,
    /// An HSM.
    Pkcs11,
}

impl ProviderKind {
    /// The word in the database and in configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DevFile => "dev-file",
            Self::Shamir => "shamir",
            Self::Pkcs11 => "pkcs11",
        }
    }

    /// The kind of a word in the database.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::DevFile, Self::Shamir, Self::Pkcs11].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Makes and opens KEKs.
pub trait KeyProvider: Send + Sync {
    /// Which kind.
    fn kind(&self) -> ProviderKind;

    /// The set of custodians whose shares made this provider's root, if any did: KEKs are made under the active one alone.
    fn custodians(&self) -> Option<Uuid> {
        None
    }

    /// Makes a KEK of this version; gives what must be stored to open it again.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    fn make_kek(&self, version: i32) -> Result<Vec<u8>, KeyError>;

    /// Opens a KEK by what [`Self::make_kek`] gave for this version.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unwrap`] when it was damaged, swapped, or made by another root.
    fn open_kek(&self, version: i32, material: &[u8]) -> Result<Arc<dyn Kek>, KeyError>;
}

/// A key encryption key in use.
pub trait Kek: Send + Sync {
    /// Wraps a DEK, bound to `binding`.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    fn wrap(&self, dek: &DekBytes, binding: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// Unwraps what [`Self::wrap`] made for the same binding.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unwrap`] is an alert.
    fn unwrap(&self, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KeyError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind is the word that stands beside every KEK in the database.
    #[test]
    fn kinds_are_their_words() {
        let kinds = [ProviderKind::DevFile, ProviderKind::Shamir, ProviderKind::Pkcs11];
        let words = ["dev-file", "shamir", "pkcs11"];
        assert_eq!(kinds.map(ProviderKind::as_str), words);
        assert_eq!(words.map(ProviderKind::parse), kinds.map(Some));
        assert_eq!(ProviderKind::parse("file"), None);
    }

    /// A provider that says nothing of custodians has none.
    #[test]
    fn custodians_are_of_shares_alone() {
        struct Hsm;
        impl KeyProvider for Hsm {
            fn kind(&self) -> ProviderKind {
                ProviderKind::Pkcs11
            }
            fn make_kek(&self, _: i32) -> Result<Vec<u8>, KeyError> {
                Err(KeyError::Unwrap)
            }
            fn open_kek(&self, _: i32, _: &[u8]) -> Result<Arc<dyn Kek>, KeyError> {
                Err(KeyError::Unwrap)
            }
        }
        assert_eq!(Hsm.custodians(), None);
    }
}
