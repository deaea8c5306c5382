//! The letters of a share: Crockford's base32, eight letters and one check symbol to a group, so that a typing error is told
//! where it is. The check symbol is the group's number modulo 37 (<https://www.crockford.com/base32.html>): it finds every
//! single wrong letter and every two that were swapped.

use zeroize::Zeroizing;

use super::share::ShareError;

const SYMBOLS: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
/// Letters of a group that carry bits; five bytes.
const LETTERS: usize = 8;
/// Letters and check symbol.
const GROUP: usize = LETTERS + 1;
const BYTES: usize = 5;

/// Groups in a text of `len` bytes.
pub(crate) const fn groups_of(len: usize) -> usize {
    len.div_ceil(BYTES)
}

/// Writes bytes, a multiple of five, as groups with dashes between them.
pub(crate) fn write(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(groups_of(bytes.len()) * (GROUP + 1)));
    for group in bytes.chunks(BYTES) {
        if !text.is_empty() {
            text.push('-');
        }
        let number = group.iter().fold(0, |number: u64, byte| (number << 8) + u64::from(*byte));
        for place in (0..LETTERS).rev() {
            text.push(symbol(number >> (5 * place) & 31));
        }
        text.push(symbol(number % 37));
    }
    text
}

fn symbol(value: u64) -> char {
    let symbol = usize::try_from(value).ok().and_then(|value| SYMBOLS.get(value));
    char::from(*symbol.unwrap_or(&b'0'))
}

/// Reads as many groups as `out` holds bytes for. Case, spaces and dashes don't matter; O is read as 0, I and L as 1.
pub(crate) fn read(text: &str, out: &mut [u8]) -> Result<(), ShareError> {
    let wanted = groups_of(out.len());
    let letters: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-').collect());
    if letters.len() != wanted * GROUP {
        return Err(wrong_length(text, wanted));
    }
    for (number, (group, bytes)) in letters.chunks(GROUP).zip(out.chunks_mut(BYTES)).enumerate() {
        let value = read_group(group, number + 1)?;
        let all = Zeroizing::new(value.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(all.iter().skip(size_of::<u64>() - BYTES)) {
            *to = *from;
        }
    }
    Ok(())
}

fn read_group(group: &[u8], number: usize) -> Result<u64, ShareError> {
    let (letters, check) = group.split_at_checked(LETTERS).ok_or(ShareError::Mistyped { group: number })?;
    let mut value = 0;
    for (place, letter) in letters.iter().enumerate() {
        let digit = digit(*letter).filter(|digit| *digit < 32);
        let digit = digit.ok_or(ShareError::Letter { group: number, place: place + 1 })?;
        value = (value << 5) + digit;
    }
    let check = check.first().and_then(|symbol| digit(*symbol));
    let check = check.ok_or(ShareError::Letter { group: number, place: GROUP })?;
    if value % 37 == check { Ok(value) } else { Err(ShareError::Mistyped { group: number }) }
}

fn digit(letter: u8) -> Option<u64> {
    let upper = match letter.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    SYMBOLS.iter().position(|symbol| *symbol == upper).and_then(|place| u64::try_from(place).ok())
}

/// Where the person kept the groups apart, the first of another length is named.
fn wrong_length(text: &str, wanted: usize) -> ShareError {
    let groups = text.split(|letter: char| letter.is_whitespace() || letter == '-').filter(|group| !group.is_empty());
    let mut found = 0;
    let mut uneven = None;
    for group in groups {
        found += 1;
        if group.chars().count() != GROUP && uneven.is_none() {
            uneven = Some(ShareError::GroupLength { group: found, letters: group.chars().count() });
        }
    }
    match uneven {
        Some(uneven) if found == wanted => uneven,
        _ => ShareError::Groups { found, wanted },
    }
}
