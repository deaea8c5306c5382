//! Which network a number belongs to, by its first digits (ISO/IEC 7812; the networks' published ranges).

use kura_wire::card::CardBrand;

/// Ranges of the first four digits, the lengths that go with them, and the brand. The first match counts.
const RANGES: &[(u16, u16, &[usize], CardBrand)] = &[
    (2221, 2720, &[16], CardBrand::Mastercard),
    (3000, 3059, &[14, 16, 19], CardBrand::Diners),
    (3095, 3095, &[14, 16, 19], CardBrand::Diners),
    (3400, 3499, &[15], CardBrand::Amex),
    (3528, 3589, &[16, 17, 18, 19], CardBrand::Jcb),
    (3600, 3699, &[14, 16, 19], CardBrand::Diners),
    (3700, 3799, &[15], CardBrand::Amex),
    (3800, 3999, &[14, 16, 19], CardBrand::Diners),
    (4000, 4999, &[13, 16, 19], CardBrand::Visa),
    (5100, 5599, &[16], CardBrand::Mastercard),
    (6011, 6011, &[16, 19], CardBrand::Discover),
    (6200, 6299, &[16, 17, 18, 19], CardBrand::Unionpay),
    (6440, 6599, &[16, 19], CardBrand::Discover),
    (8100, 8171, &[16, 17, 18, 19], CardBrand::Unionpay),
];

/// The brand of these digits, if a network has numbers that begin so and are that long.
pub(super) fn brand_of(digits: &[u8]) -> Option<CardBrand> {
    let first_four = digits.get(..4)?.iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    RANGES
        .iter()
        .find(|(low, high, ..)| (*low..=*high).contains(&first_four))
        .filter(|(_, _, lengths, _)| lengths.contains(&digits.len()))
        .map(|(.., brand)| *brand)
}

/// Digits of the security code that a brand prints.
pub(super) const fn cvc_len(brand: CardBrand) -> usize {
    match brand {
        CardBrand::Amex => 4,
        _ => 3,
    }
}
