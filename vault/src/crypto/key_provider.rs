//! Where the KEK lives. A provider wraps and unwraps DEKs; the KEK itself never shows.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use kura_platform::random;
use zeroize::Zeroizing;

/// Bytes of a data encryption key.
pub const DEK_LEN: usize = 32;
const NONCE_LEN: usize = 12;

/// A DEK on its way between its wrapping and AES.
pub type DekBytes = Zeroizing<[u8; DEK_LEN]>;

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

/// A holder of the KEK: a development file, custodians' shares, an HSM.
pub trait KeyProvider: Send + Sync {
    /// The version that wraps now.
    fn kek_version(&self) -> i32;

    /// Wraps a DEK under the current KEK, bound to `binding`.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    fn wrap(&self, dek: &DekBytes, binding: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// Unwraps what [`Self::wrap`] made under the KEK of that version, for the same binding.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unwrap`] is an alert.
    fn unwrap(&self, kek_version: i32, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KeyError>;

    /// The root that fingerprint keys are derived from. It outlives KEK rotation, and is in no database.
    ///
    /// # Errors
    /// [`KeyError::Provider`].
    fn fingerprint_root(&self) -> Result<DekBytes, KeyError>;
}

/// AES-256-GCM under a KEK that a provider holds in this process: nonce, ciphertext, tag.
pub(super) fn wrap_under(kek: &DekBytes, dek: &DekBytes, binding: &[u8]) -> Result<Vec<u8>, KeyError> {
    let failed = |_| KeyError::Provider("AES-256-GCM".to_owned());
    let nonce: [u8; NONCE_LEN] = random::bytes();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, kek.as_slice()).map_err(failed)?);
    let mut sealed = Zeroizing::new(dek.to_vec());
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(binding), &mut sealed)
        .map_err(failed)?;
    Ok([nonce.as_slice(), sealed.as_slice(), tag.as_ref()].concat())
}

/// The inverse of [`wrap_under`].
pub(super) fn unwrap_under(kek: &DekBytes, wrapped: &[u8], binding: &[u8]) -> Result<DekBytes, KeyError> {
    let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN).ok_or(KeyError::Unwrap)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Unwrap)?;
    let key = UnboundKey::new(&AES_256_GCM, kek.as_slice()).map_err(|_| KeyError::Unwrap)?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let opened =
        LessSafeKey::new(key).open_in_place(nonce, Aad::from(binding), &mut buffer).map_err(|_| KeyError::Unwrap)?;
    let mut dek = Zeroizing::new([0; DEK_LEN]);
    if opened.len() != DEK_LEN {
        return Err(KeyError::Unwrap);
    }
    dek.copy_from_slice(opened);
    Ok(dek)
}
