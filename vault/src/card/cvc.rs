//! The security code in the open. It is never written: not to a database, a file or a log (PCI DSS 3.3.1).

use std::fmt;

use kura_wire::card::CardBrand;
use kura_wire::vault::VaultErrorCode;
use zeroize::Zeroizing;

use super::brand::cvc_len;

/// A CVC: three digits, or four of American Express. On the heap; wiped on drop; no Clone, Display, Serialize.
pub struct Cvc(Box<Zeroizing<[u8; 4]>>, usize);

impl Cvc {
    /// Reads as many digits as the brand prints; American Express merchants may also ask for the three on the back.
    ///
    /// # Errors
    /// [`VaultErrorCode::CvcInvalid`] for anything else.
    pub fn parse(text: &[u8], brand: CardBrand) -> Result<Self, VaultErrorCode> {
        let fits = text.len() == 3 || text.len() == cvc_len(brand);
        if !fits || !text.iter().all(u8::is_ascii_digit) {
            return Err(VaultErrorCode::CvcInvalid);
        }
        Ok(Self::from_digits(text))
    }

    /// Of digits that were checked before they were held.
    pub(crate) fn from_digits(digits: &[u8]) -> Self {
        let mut held = Box::new(Zeroizing::new([0; 4]));
        for (slot, digit) in held.iter_mut().zip(digits) {
            *slot = *digit;
        }
        Self(held, digits.len().min(4))
    }

    /// The digits, on their way to a payment network or into locked memory.
    pub fn reveal_to_acquirer(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

impl fmt::Debug for Cvc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cvc(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of digits follows the brand; other characters are refused.
    #[test]
    fn a_code_has_the_brands_digits() {
        assert!(Cvc::parse(b"123", CardBrand::Visa).is_ok());
        assert!(Cvc::parse(b"1234", CardBrand::Amex).is_ok());
        for text in ["", "12", "1234", "12a", "１２３"] {
            assert_eq!(Cvc::parse(text.as_bytes(), CardBrand::Visa).err(), Some(VaultErrorCode::CvcInvalid));
        }
    }
}
