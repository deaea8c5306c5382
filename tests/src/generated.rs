//! Made-up cards, as many as are wanted and always the same: a number tells which card it is, and no two are alike.

use std::io::{BufWriter, Write};
use std::path::Path;

use kura_platform::redact::luhn;

/// Without a factor of ten, so that multiples of it don't repeat modulo a power of ten.
const STEP: u64 = 7_368_787;
/// Digits between the first two and the check digit.
const SPAN: u64 = 10_000_000_000_000;
const PREFIXES: [&str; 2] = ["45", "53"];
/// The first of all references.
const REFERENCE: &str = "card-";

/// The number of this card: 16 digits that pass the check, of Visa or Mastercard.
pub fn number(card: u32) -> String {
    let body = (u64::from(card) * STEP + 123_456_789) % SPAN;
    let prefix = if card.is_multiple_of(3) { PREFIXES[1] } else { PREFIXES[0] };
    let digits = format!("{prefix}{body:013}");
    (0..10).map(|check| format!("{digits}{check}")).find(|number| luhn(number.as_bytes())).expect("one of ten passes")
}

/// When it expires: month and year.
pub fn expiry(card: u32) -> (u32, u32) {
    (1 + card % 12, 2030 + card % 5)
}

/// What its owner calls it.
pub fn reference(card: u32) -> String {
    format!("{REFERENCE}{card}")
}

/// The card of a reference.
pub fn card_of(reference: &str) -> Option<u32> {
    reference.strip_prefix(REFERENCE)?.parse().ok()
}

/// Writes cards as a file to import.
///
/// # Panics
/// When it can't be written.
pub fn write_csv(path: &Path, cards: u32) {
    let mut out = BufWriter::new(std::fs::File::create(path).expect("a file"));
    writeln!(out, "reference,number,exp_month,exp_year").expect("written");
    for card in 0..cards {
        let (month, year) = expiry(card);
        writeln!(out, "{},{},{month},{year}", reference(card), number(card)).expect("written");
    }
    out.flush().expect("written");
}

/// Reads what an import answered: each card with its token.
///
/// # Panics
/// When it is not what an import writes.
pub fn read_tokens(path: &Path) -> Vec<(u32, String)> {
    let text = std::fs::read_to_string(path).expect("tokens");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("reference,token"));
    let read = |line: &str| {
        let (reference, token) = line.split_once(',').expect("two columns");
        (card_of(reference).expect("a reference of ours"), token.to_owned())
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number is valid and none is made twice.
    #[test]
    fn numbers_are_valid_and_different() {
        let numbers: std::collections::HashSet<String> = (0..50_000).map(number).collect();
        assert_eq!(numbers.len(), 50_000);
        assert!(numbers.iter().all(|number| number.len() == 16 && luhn(number.as_bytes())));
        assert_eq!(card_of(&reference(77)), Some(77));
    }
}
