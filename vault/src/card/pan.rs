//! The primary account number in the open.

use std::fmt;

use kura_platform::redact::luhn;
use kura_wire::card::CardBrand;
use kura_wire::vault::VaultErrorCode;
use zeroize::Zeroizing;

use super::brand::brand_of;

const MAX_LEN: usize = 19;

/// A PAN: 13 to 19 digits of a known network that pass the check digit. On the heap, so that a move leaves no copy on the
/// stack; wiped on drop; no Clone, Display, Serialize or comparison.
pub struct Pan {
    digits: Box<Zeroizing<[u8; MAX_LEN]>>,
    len: usize,
    brand: CardBrand,
}

impl Pan {
    /// Reads digits and nothing else.
    ///
    /// # Errors
    /// [`VaultErrorCode::CardNumberIncorrect`] for anything that no network could have issued.
    pub fn parse(text: &[u8]) -> Result<Self, VaultErrorCode> {
        let wrong = VaultErrorCode::CardNumberIncorrect;
        if !luhn(text) {
            return Err(wrong);
        }
        let brand = brand_of(text).ok_or(wrong)?;
        let mut digits = Box::new(Zeroizing::new([0; MAX_LEN]));
        digits.get_mut(..text.len()).ok_or(wrong)?.copy_from_slice(text);
        Ok(Self { digits, len: text.len(), brand })
    }

    /// The network.
    pub fn brand(&self) -> CardBrand {
        self.brand
    }

    /// The first six digits (PCI DSS 3.4.1 permits them).
    pub fn bin(&self) -> String {
        self.part(0, 6)
    }

    /// The last four digits (PCI DSS 3.4.1 permits them).
    pub fn last_four(&self) -> String {
        self.part(self.len - 4, self.len)
    }

    /// The digits, on their way to a payment network. The one way out of this process.
    pub fn reveal_to_acquirer(&self) -> &[u8] {
        self.open()
    }

    /// The digits, on their way into AES-GCM or HMAC.
    pub(crate) fn reveal_to_sealer(&self) -> &[u8] {
        self.open()
    }

    fn open(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    fn part(&self, from: usize, to: usize) -> String {
        self.open().get(from..to).unwrap_or_default().iter().map(|digit| char::from(*digit)).collect()
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pan(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published numbers of every network are cards of that network.
    #[test]
    fn published_numbers_are_cards() {
        for (number, brand) in [
            ("4242424242424242", CardBrand::Visa),
            ("4222222222222", CardBrand::Visa),
            ("5555555555554444", CardBrand::Mastercard),
            ("2223003122003222", CardBrand::Mastercard),
            ("378282246310005", CardBrand::Amex),
            ("3530111333300000", CardBrand::Jcb),
            ("3566002020360505", CardBrand::Jcb),
            ("30569309025904", CardBrand::Diners),
            ("6011111111111117", CardBrand::Discover),
            ("6200000000000005", CardBrand::Unionpay),
        ] {
            let pan = Pan::parse(number.as_bytes()).unwrap();
            assert_eq!(pan.brand(), brand, "{number}");
            assert_eq!(pan.bin(), number[..6]);
            assert_eq!(pan.last_four(), number[number.len() - 4..]);
            assert_eq!(format!("{pan:?}"), "Pan(hidden)");
        }
    }

    /// Wrong check digit, wrong length for the network, unknown network, other characters: none is a card.
    #[test]
    fn what_no_network_issued_is_refused() {
        for text in [
            "",
            "4242424242424241",
            "42424242424242",
            "0000000000000000",
            "4242 4242 4242 4242",
            "４２４２",
            "9999999999999995",
        ] {
            assert!(Pan::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
