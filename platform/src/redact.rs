//! Finds what looks like a card number, so that the gateway can refuse it and no log line can hold it.
//!
//! A match is 13 to 19 digits, alone or in groups as people write them, that begin as card networks' numbers do and pass
//! the Luhn check (ISO/IEC 7812-1 annex B). Wider than any list of issuers: a guard may be wrong towards refusing.

use std::borrow::Cow;
use std::ops::Range;

const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;
/// Year to second, in digits.
const TIME_LEN: usize = 14;
const UUID_LEN: usize = 36;
/// MD5 or UUID, SHA-1, SHA-256, in hexadecimal.
const HASH_LENS: [usize; 3] = [32, 40, 64];
/// Fewer letters are hardly ever in one, and more than a mistake puts around a card's number.
const MIN_HASH_LETTERS: usize = 4;
/// What stands in a log where a card number stood.
pub const REDACTED: &str = "[pan redacted]";

/// Whether the text holds anything that looks like a card number.
pub fn contains_pan(text: &str) -> bool {
    find_pan(text.as_bytes(), 0).is_some()
}

/// The text with every look-alike replaced by [`REDACTED`].
pub fn redact_pans(text: &str) -> Cow<'_, str> {
    let Some(mut hit) = find_pan(text.as_bytes(), 0) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    loop {
        // A hit begins and ends on ASCII digits, so both ends are character boundaries.
        out.push_str(text.get(from..hit.start).unwrap_or_default());
        out.push_str(REDACTED);
        from = hit.end;
        match find_pan(text.as_bytes(), from) {
            Some(next) => hit = next,
            None => break,
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether the digits pass the Luhn check. Anything but ASCII digits fails.
pub fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0_u32;
    for (place, digit) in digits.iter().rev().enumerate() {
        if !digit.is_ascii_digit() {
            return false;
        }
        let value = u32::from(digit - b'0');
        sum += match (place % 2, value) {
            (0, value) => value,
            (_, value) if value > 4 => value * 2 - 9,
            (_, value) => value * 2,
        };
    }
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// The first look-alike at or after `from`: runs of digits alone, then joined with the runs that follow them, as people
/// group them.
fn find_pan(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(run) = next_run(text, at) {
        let alone = pan_in_run(text, &run).filter(|_| !is_in_hash(text, &run));
        if let Some(hit) = alone.or_else(|| pan_in_groups(text, &run)) {
            return Some(hit);
        }
        at = run.end;
    }
    None
}

/// The next unbroken run of digits.
fn next_run(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let start = from + rest.iter().position(u8::is_ascii_digit)?;
    let len = text.get(start..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Some(start..start + len)
}

/// The whole run, or a card number at either end of a run that has more digits (a CVC or an expiry glued on).
fn pan_in_run(text: &[u8], run: &Range<usize>) -> Option<Range<usize>> {
    let ends = [16, 15].into_iter().filter(|_| run.len() > 16);
    std::iter::once(run.clone())
        .chain(ends.flat_map(|len| [run.start..run.start + len, run.end - len..run.end]))
        .find(|range| text.get(range.clone()).is_some_and(is_card_shaped))
        .filter(|hit| hit.start >= run.start + TIME_LEN || !text.get(run.clone()).is_some_and(begins_with_time))
}

/// Whether a run of digits begins with a time of these decades, `20261122101112`: order numbers do, and only what stands
/// behind the time can be a card number.
fn begins_with_time(digits: &[u8]) -> bool {
    let part = |range: Range<usize>, within: std::ops::RangeInclusive<u32>| {
        let part = digits.get(range).and_then(|part| std::str::from_utf8(part).ok()?.parse().ok());
        part.is_some_and(|part| within.contains(&part))
    };
    part(0..4, 2000..=2039)
        && part(4..6, 1..=12)
        && part(6..8, 1..=31)
        && part(8..10, 0..=23)
        && part(10..12, 0..=59)
        && part(12..14, 0..=59)
}

/// The run joined with those behind it: `4242 4242 4242 4242`.
fn pan_in_groups(text: &[u8], first: &Range<usize>) -> Option<Range<usize>> {
    let mut digits: Vec<u8> = text.get(first.clone())?.iter().take(MAX_DIGITS + 1).copied().collect();
    let mut grouping = Grouping::of(first.len());
    let mut end = first.end;
    while digits.len() < MAX_DIGITS {
        let separator = separator(text, end)?;
        let run = next_run(text, end + separator.len()).filter(|run| run.len() <= MAX_DIGITS)?;
        grouping.add(separator, run.len());
        digits.extend_from_slice(text.get(run.clone())?);
        end = run.end;
        grouping.plain &= !is_phone_at(text, run.start) && !is_zoned_time(text, first.start..end);
        if grouping.is_plausible() && is_card_shaped(&digits) && !is_in_uuid(text, &(first.start..end)) {
            return Some(first.start..end);
        }
    }
    None
}

/// Whether these digits are some of a UUID's (RFC 9562), with which SDKs name requests and shops their orders: one of a few
/// thousand would be taken for a card number.
fn is_in_uuid(text: &[u8], digits: &Range<usize>) -> bool {
    let earliest = (digits.end + 1).saturating_sub(UUID_LEN + 1);
    (earliest..=digits.start).any(|start| {
        let end = start + UUID_LEN;
        let stands_alone = |at: Option<usize>| !at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        end >= digits.end
            && text.get(start..end).is_some_and(is_uuid)
            && stands_alone(start.checked_sub(1))
            && stands_alone(Some(end))
    })
}

/// Whether these digits are some of a hash or a random name in hexadecimal: two in a thousand would be taken for card numbers.
fn is_in_hash(text: &[u8], digits: &Range<usize>) -> bool {
    let before = text.get(..digits.start).unwrap_or_default().iter().rev();
    let start = digits.start - before.take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = text.get(start..).unwrap_or_default();
    let name = name.get(..name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()).unwrap_or_default();
    let letters = name.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    HASH_LENS.contains(&name.len())
        && letters >= MIN_HASH_LETTERS
        && name.iter().all(u8::is_ascii_hexdigit)
        && !(name.iter().any(u8::is_ascii_lowercase) && name.iter().any(u8::is_ascii_uppercase))
}

/// Of a version and a variant that are in use, and not of digits alone.
fn is_uuid(text: &[u8]) -> bool {
    let is_shaped = text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => matches!(byte, b'1'..=b'8'),
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
        _ => byte.is_ascii_hexdigit(),
    });
    is_shaped && text.iter().any(u8::is_ascii_alphabetic)
}

/// One or two bytes that are neither letters nor digits, and a digit behind them.
fn separator(text: &[u8], from: usize) -> Option<&[u8]> {
    let len = text.get(from..)?.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    let digit_follows = text.get(from + len).is_some_and(u8::is_ascii_digit);
    ((1..=2).contains(&len) && digit_follows).then(|| text.get(from..from + len)).flatten()
}

/// Whether a telephone number of Japan begins here (`4-2-8 03-1234-5678`): 10 or 11 digits from a 0 on, whole or in three
/// groups of which the last has four. What is in groups that a card's number is printed in is joined with it all the same.
fn is_phone_at(text: &[u8], start: usize) -> bool {
    let len = text.iter().skip(start).take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
    let phone = text.get(start..start + len).unwrap_or_default();
    let hyphens = phone.iter().filter(|byte| **byte == b'-').count();
    let last_of_four = phone.iter().rposition(|byte| *byte == b'-').is_some_and(|hyphen| hyphen + 5 == len);
    let follows_hyphen = start.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'-');
    !follows_hyphen
        && (hyphens == 0 || (hyphens == 2 && last_of_four))
        && (10..=11).contains(&(len - hyphens))
        && matches!(phone, [b'0', b'1'..=b'9', ..])
}

/// Whether this is the end of a time in nanoseconds with a zone: `:59.123456789+09`.
fn is_zoned_time(text: &[u8], range: Range<usize>) -> bool {
    let after_colon = range.start.checked_sub(1).and_then(|before| text.get(before)) == Some(&b':');
    after_colon
        && text.get(range).is_some_and(|end| match end {
            [_, _, b'.', nanos @ .., b'+' | b'-', _, _] => nanos.len() == 9 && nanos.iter().all(u8::is_ascii_digit),
            _ => false,
        })
}

/// How the groups so far are set. Behind any separator goes what looks like a card's groups; dates, times, addresses and
/// phone numbers are shorter and less even.
struct Grouping<'a> {
    /// One space, dash, plus or dot each, whatever the groups.
    plain: bool,
    /// All groups but the last have four digits or more.
    long: bool,
    /// All groups but the last are as long as the first, and all separators are the same.
    even: bool,
    first_len: usize,
    last_len: usize,
    separator: Option<&'a [u8]>,
}

impl<'a> Grouping<'a> {
    fn of(first_len: usize) -> Self {
        Self { plain: true, long: true, even: true, first_len, last_len: first_len, separator: None }
    }

    fn add(&mut self, separator: &'a [u8], len: usize) {
        self.plain &= matches!(separator, [b' ' | b'-' | b'+' | b'.']);
        self.long &= self.last_len >= 4;
        self.even &= self.last_len == self.first_len && len <= self.first_len;
        self.even &= self.separator.is_none_or(|known| known == separator);
        self.separator = Some(separator);
        self.last_len = len;
    }

    fn is_plausible(&self) -> bool {
        self.plain || self.long || self.even
    }
}

/// The first digits that card networks have, a length that they have with these, check digit.
fn is_card_shaped(digits: &[u8]) -> bool {
    let lengths = match digits {
        // Mastercard has 16 digits, American Express 15.
        [b'2', b'2'..=b'7', ..] | [b'5', b'1'..=b'5', ..] => 16..=16,
        [b'3', b'4' | b'7', ..] => 15..=15,
        [b'3', b'0' | b'5' | b'6' | b'8' | b'9', ..] | [b'4'..=b'6', ..] => MIN_DIGITS..=MAX_DIGITS,
        _ => return false,
    };
    lengths.contains(&digits.len()) && luhn(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every published shape is found, alone, in a sentence, grouped, and glued to other digits.
    #[test]
    fn card_numbers_are_found() {
        for pan in ["4242424242424242", "378282246310005", "5555555555554444", "3530111333300000", "4222222222222"] {
            for text in [pan.to_owned(), format!("card: {pan}."), format!("\"{pan}\"")] {
                assert!(contains_pan(&text), "{text}");
                assert!(!redact_pans(&text).contains(pan), "{text}");
            }
        }
        assert!(contains_pan("42424242424242421225"));
        assert!(contains_pan("3782822463100051225"));
        assert!(contains_pan("202611221011124242424242424242"));
        assert!(contains_pan("4242 4242 4242 4242"));
        assert!(contains_pan("424242 0123456782"));
        assert!(contains_pan("4242-4242-4242-4242"));
        assert!(contains_pan("order 12 4242 4242 4242 4242 ok"));
        assert!(contains_pan("3782 822463 10005"));
        assert!(contains_pan("4242+4242+4242+4242"));
        for between in ["/", "_", ",", ", ", "\t", "\n", "\r\n", "  ", "\u{a0}", "|", ":", " -", "*"] {
            assert!(contains_pan(&["4242"; 4].join(between)), "{between:?}");
            assert!(contains_pan(&["42"; 8].join(between)), "{between:?}");
            assert!(contains_pan(&["3782", "822463", "10005"].join(between)), "{between:?}");
        }
        assert!(contains_pan("4242/4242 4242, 4242"));
        assert_eq!(redact_pans("a 4242/4242/4242/4242\u{a0}b"), format!("a {REDACTED}\u{a0}b"));
        assert_eq!(redact_pans("é4242424242424242é"), format!("é{REDACTED}é"));
    }

    /// Random names are no card numbers, however many there are.
    #[test]
    fn random_names_are_left() {
        for _ in 0..100_000 {
            let name = uuid::Builder::from_random_bytes(crate::random::bytes()).into_uuid();
            assert!(!contains_pan(&format!("stripe-node-retry-{name}")), "{name}");
            let [hash, long] = [crate::random::bytes::<16>().to_vec(), crate::random::bytes::<32>().to_vec()];
            for hash in [data_encoding::HEXLOWER.encode(&hash), data_encoding::HEXUPPER.encode(&long)] {
                let letters = hash.bytes().filter(u8::is_ascii_alphabetic).count();
                assert!(letters < MIN_HASH_LETTERS || !contains_pan(&hash), "{hash}");
            }
        }
        assert!(!contains_pan("a0000000-4242-4242-8242-4243a0000000"));
        assert!(!contains_pan("d4242424242424242d41d8cd98f00b20"));
    }

    /// A card's number beside such a name, or in what only looks like one, is found.
    #[test]
    fn what_only_looks_random_is_searched() {
        for text in [
            "a0000000-4242-4242-8242-4243a0000000 4242-4242-4242-4242",
            // No such variant; more than a UUID.
            "a0000000-4242-4242-4242-4242a0000000",
            "a0000000-4242-4242-8242-4243a0000000b",
            // Too short, too long, of two alphabets, of hardly any letters.
            "d4242424242424242d41d8cd98f00b2",
            "d4242424242424242d41d8cd98f00b2012",
            "d4242424242424242D41d8cd98f00b20",
            "d4242424242424242041080980000020",
        ] {
            assert!(contains_pan(text), "{text}");
        }
    }

    /// Amounts, times, phone numbers, ids and numbers that fail the check digit go through unchanged.
    #[test]
    fn other_numbers_are_left() {
        for text in [
            "",
            "1700000000000",
            "4242424242424241",
            "+81 90-1234-5678",
            "2026-11-22T10:11:12.123456Z",
            "99999999",
            "2026/11/22, 10:11:12",
            "22/11/2026 10:11:12.123",
            "22/11/2026 10:11:12.124",
            "52.14.200.100, 10.0.0.7",
            "52.14.200.100, 10.0.0.8",
            "(424) 242-4242 / (424) 242-4243",
            "4242 | 4242 | 4242 | 4242",
            "5123456789010",
            "202611221011123451",
            "4-2-8 03-1234-5675",
            "450-0002 052-1206-4561",
        ] {
            assert!(!contains_pan(text), "{text}");
            assert!(matches!(redact_pans(text), Cow::Borrowed(_)));
        }
    }
}
