//! Fingerprints: the same card is known again without its number. HMAC-SHA-256 under keys that are in no database, so that
//! a stolen database can't be searched by trying numbers. Of the number alone: a new expiry is the same card.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use kura_wire::ids::MerchantId;
use zeroize::Zeroizing;

use super::field::DataClass;
use super::key_provider::{DekBytes, KeyError};
use crate::card::Pan;

const MERCHANT_FINGERPRINT_LEN: usize = 10;

/// Makes fingerprints.
pub struct Fingerprints {
    root: DekBytes,
    vault_wide: hmac::Key,
    canaries: hmac::Key,
}

impl Fingerprints {
    /// Of a provider's root.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when keys can't be derived.
    pub fn new(root: DekBytes) -> Result<Self, KeyError> {
        let vault_wide = derive(&root, &[b"vault-wide fingerprint"])?;
        let canaries = derive(&root, &[b"canary record"])?;
        Ok(Self { root, vault_wide, canaries })
    }

    /// Known to one merchant: 16 letters.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when the key can't be derived.
    pub fn for_merchant(&self, merchant: MerchantId, pan: &Pan) -> Result<String, KeyError> {
        Ok(self.of_merchant(merchant)?.print(pan))
    }

    /// The key of one merchant's fingerprints, derived once for many cards.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when the key can't be derived.
    pub fn of_merchant(&self, merchant: MerchantId) -> Result<MerchantFingerprints, KeyError> {
        derive(&self.root, &[b"merchant fingerprint", merchant.as_bytes()]).map(MerchantFingerprints)
    }

    /// The blind index of an e-mail address: one merchant finds its own records of a class by it, 32 bytes. Under a key for
    /// each merchant and class, so that two merchants' indexes of one address have nothing in common.
    ///
    /// # Errors
    /// [`KeyError::Provider`] when the key can't be derived.
    pub fn email_index(&self, merchant: MerchantId, class: DataClass, normalized: &str) -> Result<Vec<u8>, KeyError> {
        let key = derive(&self.root, &[b"e-mail index", merchant.as_bytes(), class.as_str().as_bytes()])?;
        Ok(hmac::sign(&key, normalized.as_bytes()).as_ref().to_vec())
    }

    /// Never leaves the vault: 32 bytes.
    pub fn vault_wide(&self, pan: &Pan) -> Vec<u8> {
        hmac::sign(&self.vault_wide, pan.reveal_to_sealer()).as_ref().to_vec()
    }

    /// By which a canary's record is known again, and by nobody without the key: 32 bytes.
    pub fn canary(&self, record: &[u8; 16]) -> Vec<u8> {
        hmac::sign(&self.canaries, record).as_ref().to_vec()
    }
}

/// Makes one merchant's fingerprints.
pub struct MerchantFingerprints(hmac::Key);

impl MerchantFingerprints {
    /// 16 letters.
    pub fn print(&self, pan: &Pan) -> String {
        let tag = hmac::sign(&self.0, pan.reveal_to_sealer());
        let head = tag.as_ref().get(..MERCHANT_FINGERPRINT_LEN).unwrap_or_default();
        BASE32_NOPAD.encode(head).to_ascii_lowercase()
    }
}

fn derive(root: &DekBytes, info: &[&[u8]]) -> Result<hmac::Key, KeyError> {
    let failed = |_| KeyError::Provider("HKDF".to_owned());
    let salt = Salt::new(HKDF_SHA256, b"kura fingerprint v1");
    let prk = salt.extract(root.as_slice());
    let mut key = Zeroizing::new([0; 32]);
    prk.expand(info, HKDF_SHA256).map_err(failed)?.fill(key.as_mut_slice()).map_err(failed)?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Same card and merchant: same fingerprint. Another merchant, card or root: another one.
    #[test]
    fn a_fingerprint_is_one_merchants_own() {
        let prints = Fingerprints::new(Box::new(Zeroizing::new([1; 32]))).unwrap();
        let other_root = Fingerprints::new(Box::new(Zeroizing::new([2; 32]))).unwrap();
        let pan = Pan::parse(b"4242424242424242").unwrap();
        let other_pan = Pan::parse(b"5555555555554444").unwrap();
        let [a, b] = [MerchantId::from_bytes([1; 16]), MerchantId::from_bytes([2; 16])];
        let of = |prints: &Fingerprints, merchant, pan| prints.for_merchant(merchant, pan).unwrap();
        assert_eq!(of(&prints, a, &pan), of(&prints, a, &pan));
        assert_eq!(of(&prints, a, &pan).len(), 16);
        assert_ne!(of(&prints, a, &pan), of(&prints, b, &pan));
        assert_ne!(of(&prints, a, &pan), of(&prints, a, &other_pan));
        assert_ne!(of(&prints, a, &pan), of(&other_root, a, &pan));
        assert_eq!(prints.vault_wide(&pan), prints.vault_wide(&pan));
        assert_ne!(prints.vault_wide(&pan), other_root.vault_wide(&pan));
    }

    /// A canary's record is known again by the root that it was marked under, and is no other record.
    #[test]
    fn a_canary_is_known_again() {
        let prints = Fingerprints::new(Box::new(Zeroizing::new([1; 32]))).unwrap();
        let other_root = Fingerprints::new(Box::new(Zeroizing::new([2; 32]))).unwrap();
        assert_eq!(prints.canary(&[3; 16]), prints.canary(&[3; 16]));
        assert_eq!(prints.canary(&[3; 16]).len(), 32);
        assert_ne!(prints.canary(&[3; 16]), prints.canary(&[4; 16]));
        assert_ne!(prints.canary(&[3; 16]), other_root.canary(&[3; 16]));
    }

    /// One address has another index for each merchant, each class and each root.
    #[test]
    fn a_blind_index_is_one_merchants_own() {
        let prints = Fingerprints::new(Box::new(Zeroizing::new([1; 32]))).unwrap();
        let other_root = Fingerprints::new(Box::new(Zeroizing::new([2; 32]))).unwrap();
        let [a, b] = [MerchantId::from_bytes([1; 16]), MerchantId::from_bytes([2; 16])];
        let of = |prints: &Fingerprints, merchant, class, email| prints.email_index(merchant, class, email).unwrap();
        let index = of(&prints, a, DataClass::Customer, "a@b.example");
        assert_eq!(index, of(&prints, a, DataClass::Customer, "a@b.example"));
        assert_eq!(index.len(), 32);
        assert_ne!(index, of(&prints, b, DataClass::Customer, "a@b.example"));
        assert_ne!(index, of(&prints, a, DataClass::Emoney, "a@b.example"));
        assert_ne!(index, of(&prints, a, DataClass::Customer, "b@b.example"));
        assert_ne!(index, of(&other_root, a, DataClass::Customer, "a@b.example"));
    }
}
