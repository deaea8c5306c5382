//! The vault identity: the key that vouches for sealing keys. Browsers have its public half pinned.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use kura_platform::random;
use kura_wire::erasure;
use kura_wire::sealed_box::{SealingKeySet, SignedKeySet};
use zeroize::Zeroizing;

/// ECDSA P-256: one key, whose signatures browsers want in one form and signed notes in another.
pub struct Identity {
    fixed: EcdsaKeyPair,
    der: EcdsaKeyPair,
}

/// The identity can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file.
    #[error("vault identity: {0}")]
    File(#[from] io::Error),
    /// Its contents.
    #[error("vault identity: not an ECDSA P-256 key in PKCS #8 PEM")]
    Malformed,
    /// Signing.
    #[error("vault identity: can't sign")]
    Sign,
}

impl Identity {
    /// Makes the file with a new key; keeps one that exists.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub fn create(path: &Path) -> Result<(), IdentityError> {
        let mut file = match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        };
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| IdentityError::Sign)?;
        let der = key.to_pkcs8v1().map_err(|_| IdentityError::Sign)?;
        let text = Zeroizing::new(pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref())));
        file.write_all(text.as_bytes())?;
        Ok(file.sync_all()?)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn open(path: &Path) -> Result<Self, IdentityError> {
        let text = Zeroizing::new(std::fs::read(path)?);
        let der = pem::parse(text.as_slice()).map_err(|_| IdentityError::Malformed)?.into_contents();
        let der = Zeroizing::new(der);
        let pair = |form| EcdsaKeyPair::from_pkcs8(form, &der).map_err(|_| IdentityError::Malformed);
        Ok(Self { fixed: pair(&ECDSA_P256_SHA256_FIXED_SIGNING)?, der: pair(&ECDSA_P256_SHA256_ASN1_SIGNING)? })
    }

    /// The public half as browsers have it pinned: the raw point of 65 bytes, base64url.
    pub fn public_key(&self) -> String {
        BASE64URL_NOPAD.encode(self.fixed.public_key().as_ref())
    }

    /// Signs a key set. `signed_bytes` puts the domain before it: what the keys are for.
    ///
    /// # Errors
    /// [`IdentityError::Sign`].
    pub fn sign(&self, keys: &SealingKeySet, signed_bytes: fn(&str) -> Vec<u8>) -> Result<SignedKeySet, IdentityError> {
        let payload = serde_json::to_string(keys).map_err(|_| IdentityError::Sign)?;
        let signature = self.sign_bytes(&signed_bytes(&payload))?;
        Ok(SignedKeySet { payload, signature })
    }

    /// Signs the statement of an erasure: base64url.
    ///
    /// # Errors
    /// [`IdentityError::Sign`].
    pub fn sign_erasure(&self, statement: &str) -> Result<String, IdentityError> {
        self.sign_bytes(&erasure::signed_bytes(statement))
    }

    /// The bytes begin with a domain that their module in `kura_wire` puts there.
    fn sign_bytes(&self, domain_and_bytes: &[u8]) -> Result<String, IdentityError> {
        let signature = self.fixed.sign(&random::source(), domain_and_bytes).map_err(|_| IdentityError::Sign)?;
        Ok(BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// Signs a text for a C2SP signed note (`kura_ledger::note`), in DER. A text begins with a letter, a key set with a
    /// length: no signature passes for one of the other kind.
    ///
    /// # Errors
    /// [`IdentityError::Sign`], also for a text that doesn't begin with a letter.
    pub fn sign_text(&self, text: &str) -> Result<Vec<u8>, IdentityError> {
        if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(IdentityError::Sign);
        }
        let signature = self.der.sign(&random::source(), text.as_bytes()).map_err(|_| IdentityError::Sign)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use kura_ledger::note::{Checkpoint, PublicIdentity};
    use kura_ledger::tree::leaf_hash;

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("kura-identity-of-{name}-{}", std::process::id()))
    }

    fn identity(name: &str) -> Identity {
        let path = path(name);
        Identity::create(&path).unwrap();
        let identity = Identity::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        identity
    }

    /// An identity that exists is kept, since browsers have it pinned; a place where none can be made is told.
    #[test]
    fn an_identity_is_made_once() {
        let path = path("once");
        Identity::create(&path).unwrap();
        let first = Identity::open(&path).unwrap().public_key();
        Identity::create(&path).unwrap();
        assert_eq!(Identity::open(&path).unwrap().public_key(), first);
        assert!(Identity::create(&path.join("not a directory")).is_err());
        std::fs::remove_file(path).unwrap();
    }

    /// An erasure's signature is one over its statement, in its own domain.
    #[test]
    fn an_erasure_is_signed() {
        let identity = identity("erasure");
        let key = BASE64URL_NOPAD.decode(identity.public_key().as_bytes()).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        let signature = BASE64URL_NOPAD.decode(identity.sign_erasure("gone").unwrap().as_bytes()).unwrap();
        assert!(key.verify(&erasure::signed_bytes("gone"), &signature).is_ok());
        assert!(key.verify(&erasure::signed_bytes("here"), &signature).is_err());
        assert!(key.verify(b"gone", &signature).is_err());
    }

    /// A signed text is a checkpoint that everybody can open; what begins like something else that is signed is refused.
    #[test]
    fn a_text_is_signed_if_it_begins_with_a_letter() {
        let identity = identity("text");
        let public = PublicIdentity::parse(&identity.public_key()).unwrap();
        let checkpoint = Checkpoint { origin: "kura".to_owned(), size: 3, root: leaf_hash(b"") };
        let signature = identity.sign_text(&checkpoint.text()).unwrap();
        assert_eq!(public.open(&checkpoint.note(&public, &signature), "kura"), Ok(checkpoint));
        for text in ["", "\0\0\0\x04", "1", " a", "\n"] {
            assert!(matches!(identity.sign_text(text), Err(IdentityError::Sign)), "{text:?}");
        }
    }
}
