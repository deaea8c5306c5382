//! Checking a signature of a service's identity: ECDSA P-256 over SHA-256, r and s of 32 bytes each.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;

/// Whether `signature` over `message` was made by the identity. Key (the raw point of 65 bytes) and signature are base64url
/// without padding.
pub fn is_of(identity: &str, message: &[u8], signature: &str) -> bool {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes());
    let (Ok(key), Ok(signature)) = (decode(identity), decode(signature)) else { return false };
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    /// The right key over the same bytes, and nothing else.
    #[test]
    fn only_the_identitys_own_signature_counts() {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = |key: &EcdsaKeyPair| BASE64URL_NOPAD.encode(key.public_key().as_ref());
        let signature = BASE64URL_NOPAD.encode(key.sign(&crate::random::source(), b"said").unwrap().as_ref());
        assert!(is_of(&public(&key), b"said", &signature));
        assert!(!is_of(&public(&key), b"sai", &signature));
        assert!(!is_of(&public(&other), b"said", &signature));
        assert!(!is_of(&public(&key), b"said", "!"));
    }
}
