//! The numbers that a payer says at a register or types into a bank's machine.
//!
//! They follow from a request's place in the journal, so no two requests have the same. None is as long as a card number.

/// A chain's word in what is answered, and the first digit of its payment numbers.
pub const CHAINS: [(&str, char); 4] = [("familymart", '3'), ("lawson", '5'), ("ministop", '7'), ("seicomart", '9')];
/// Who collects for Pay-easy.
pub const AGENCY: &str = "58021";

const TEN_DIGITS: u64 = 10_000_000_000;
const SIX_DIGITS: u64 = 1_000_000;

/// All numbers of one request, whatever its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// Ten digits; with a chain's digit in front its payment number, with a 1 the customer number of Pay-easy.
    body: String,
    /// Konbini: the one that was wished for, or eleven digits.
    pub confirmation: String,
    /// Pay-easy: six digits.
    pub pin: String,
}

impl Numbers {
    /// Of the request at this place.
    pub fn of(place: u64, wished: Option<&str>) -> Self {
        // Each factor has no divisor in common with its power of ten, so different places give different numbers.
        let spread = |place: u64, factor: u64, offset: u64, modulus: u64| {
            (place % modulus).wrapping_mul(factor).wrapping_add(offset) % modulus
        };
        let confirmation = wished
            .map_or_else(|| format!("0{:010}", spread(place, 482_711_113, 7_000_000_019, TEN_DIGITS)), str::to_owned);
        Self {
            body: format!("{:010}", spread(place, 736_878_731, 1_234_567_891, TEN_DIGITS)),
            confirmation,
            pin: format!("{:06}", spread(place, 733_331, 104_729, SIX_DIGITS)),
        }
    }

    /// The payment number at a chain: eleven digits.
    pub fn payment_number(&self, digit: char) -> String {
        format!("{digit}{}", self.body)
    }

    /// The customer number of Pay-easy: eleven digits.
    pub fn customer_number(&self) -> String {
        self.payment_number('1')
    }

    /// What leads to the request, whichever chain's number or customer number is typed: the ten digits.
    pub fn key(&self) -> &str {
        &self.body
    }
}

/// The ten digits of a typed number, and the digit before them.
pub fn key_of(typed: &str) -> Option<(char, String)> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let first = digits.chars().next()?;
    let whole = digits.len() == 11 && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| (first, digits.chars().skip(1).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two requests share no number, and no number could be taken for a card's.
    #[test]
    fn numbers_are_never_shared() {
        let mut seen = std::collections::HashSet::new();
        for place in 0..20_000 {
            let numbers = Numbers::of(place, None);
            assert!(seen.insert(numbers.key().to_owned()));
            assert_eq!((numbers.customer_number().len(), numbers.confirmation.len(), numbers.pin.len()), (11, 11, 6));
        }
        let numbers = Numbers::of(7, Some("09012345678"));
        assert_eq!(numbers.confirmation, "09012345678");
        let typed = numbers.payment_number('5');
        assert_eq!(key_of(&format!(" {}-{}", &typed[..5], &typed[5..])), Some(('5', numbers.key().to_owned())));
        assert_eq!(key_of("1234"), None);
        assert_eq!(key_of("1234567890a"), None);
    }
}
