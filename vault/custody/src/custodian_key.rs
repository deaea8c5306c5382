//! A custodian's own key pair, to which their share is sealed. The private half stays with the custodian, in a file.

use data_encoding::BASE64URL_NOPAD;
use kura_wire::custody::SealedShare;
use kura_wire::ids::CustodianSetId;
use kura_wire::sealed_box::HPKE_INFO;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as X25519;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::share::{Share, ShareError};

const FORMAT: &str = "kura custodian key v1";
const PUBLIC_KEY_LEN: usize = 32;

/// Why a key or a sealed share can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CustodianKeyError {
    /// The file is something else.
    #[error("that is no custodian's key file")]
    NotAKeyFile,
    /// The public key is not 32 bytes of base64url, or no point to seal to.
    #[error("that is no custodian's public key")]
    NotAPublicKey,
    /// Sealed to another key, for another custodian, or changed.
    #[error("this sealed share does not open with this key")]
    Unopenable,
    /// It opens, and what is in it is no share.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The share in it is another than the box says.
    #[error("the box holds another share than it says")]
    Swapped,
}

/// A custodian's key pair: X25519. No Clone, no Debug; wiped when dropped.
pub struct CustodianKey {
    public: Vec<u8>,
    private: HpkePrivateKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    public_key: String,
    private_key: Zeroizing<String>,
}

impl CustodianKey {
    /// A new one.
    ///
    /// # Errors
    /// When the library makes none.
    pub fn generate() -> Result<Self, CustodianKeyError> {
        let (public, private) = X25519.generate_key_pair().map_err(|_| CustodianKeyError::NotAPublicKey)?;
        Ok(Self { public: public.0, private })
    }

    /// What the custodian tells to whoever makes the set.
    pub fn public_key(&self) -> String {
        BASE64URL_NOPAD.encode(&self.public)
    }

    /// The file's content, for the custodian alone.
    pub fn reveal_as_file(&self) -> Zeroizing<String> {
        let file = File {
            format: FORMAT.to_owned(),
            public_key: self.public_key(),
            private_key: Zeroizing::new(BASE64URL_NOPAD.encode(self.private.secret_bytes())),
        };
        Zeroizing::new(serde_json::to_string_pretty(&file).unwrap_or_default())
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// [`CustodianKeyError::NotAKeyFile`].
    pub fn parse(text: &str) -> Result<Self, CustodianKeyError> {
        let wrong = CustodianKeyError::NotAKeyFile;
        let file: File = serde_json::from_str(text).map_err(|_| wrong)?;
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| wrong);
        let (public, private) = (decode(&file.public_key)?, decode(&file.private_key)?);
        if file.format != FORMAT || public.len() != PUBLIC_KEY_LEN {
            return Err(wrong);
        }
        Ok(Self { public, private: HpkePrivateKey::from(private) })
    }

    /// Opens the share that was sealed to this custodian.
    ///
    /// # Errors
    /// [`CustodianKeyError`].
    pub fn open(&self, sealed: &SealedShare) -> Result<Share, CustodianKeyError> {
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CustodianKeyError::Unopenable);
        let (enc, ciphertext) = (decode(&sealed.enc)?, decode(&sealed.ciphertext)?);
        let opened = X25519.open(&EncapsulatedSecret(enc), HPKE_INFO, &sealed.aad(), &ciphertext, &self.private);
        let text = Zeroizing::new(opened.map_err(|_| CustodianKeyError::Unopenable)?);
        let text = std::str::from_utf8(&text).map_err(|_| CustodianKeyError::Unopenable)?;
        let share = Share::parse(text)?;
        if (share.set(), share.index()) == (sealed.set, sealed.index) {
            Ok(share)
        } else {
            Err(CustodianKeyError::Swapped)
        }
    }
}

/// Seals a share to its custodian's public key.
///
/// # Errors
/// [`CustodianKeyError::NotAPublicKey`].
pub fn seal_to_custodian(share: &Share, custodian: &str, public_key: &str) -> Result<SealedShare, CustodianKeyError> {
    let wrong = CustodianKeyError::NotAPublicKey;
    let public = BASE64URL_NOPAD.decode(public_key.as_bytes()).map_err(|_| wrong)?;
    if public.len() != PUBLIC_KEY_LEN {
        return Err(wrong);
    }
    let mut sealed = SealedShare {
        set: share.set(),
        custodian: custodian.to_owned(),
        index: share.index(),
        enc: String::new(),
        ciphertext: String::new(),
    };
    let text = share.reveal_as_text();
    let (enc, ciphertext) =
        X25519.seal(HPKE_INFO, &sealed.aad(), text.as_bytes(), &HpkePublicKey(public)).map_err(|_| wrong)?;
    sealed.enc = BASE64URL_NOPAD.encode(&enc.0);
    sealed.ciphertext = BASE64URL_NOPAD.encode(&ciphertext);
    Ok(sealed)
}

/// Whether a share of this set could be sealed to this key: so that a mistyped key is told before anything is made.
pub fn is_public_key(public_key: &str) -> bool {
    let probe = Share::new(CustodianSetId::from_bytes([0; 16]), 1, 2, Box::new(Zeroizing::new([0; 32])));
    seal_to_custodian(&probe, "", public_key).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::split;

    /// A share opens with its own custodian's key, by way of the key's file, and with nobody else's; a changed box opens with
    /// none.
    #[test]
    fn a_share_opens_for_its_custodian_alone() {
        let root = Box::new(Zeroizing::new(kura_platform::random::bytes()));
        let shares = split(CustodianSetId::from_bytes([4; 16]), &root, 2, 2).unwrap();
        let (hana, taro) = (CustodianKey::generate().unwrap(), CustodianKey::generate().unwrap());
        let sealed = seal_to_custodian(&shares[0], "hana", &hana.public_key()).unwrap();
        let again = CustodianKey::parse(&hana.reveal_as_file()).unwrap();
        assert_eq!(again.open(&sealed).unwrap().reveal_as_text(), shares[0].reveal_as_text());
        assert_eq!(taro.open(&sealed).unwrap_err(), CustodianKeyError::Unopenable);
        for changed in [
            SealedShare { custodian: "taro".to_owned(), ..sealed.clone() },
            SealedShare { index: 2, ..sealed.clone() },
            SealedShare { set: CustodianSetId::from_bytes([5; 16]), ..sealed.clone() },
        ] {
            assert_eq!(hana.open(&changed).unwrap_err(), CustodianKeyError::Unopenable);
        }
    }

    /// What is no key is refused, in a file and on a command line.
    #[test]
    fn other_keys_are_refused() {
        let key = CustodianKey::generate().unwrap();
        assert!(is_public_key(&key.public_key()));
        for text in ["", "x", &key.public_key()[1..], &BASE64URL_NOPAD.encode(&[0; 32])] {
            assert!(!is_public_key(text), "{text}");
        }
        let other = key.reveal_as_file().replace("custodian key v1", "custodian key v2");
        for text in ["{}", other.as_str()] {
            assert!(CustodianKey::parse(text).is_err());
        }
    }
}
