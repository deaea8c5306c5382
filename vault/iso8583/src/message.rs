//! A message and its two directions: encode and decode.
//!
//! The encoding is canonical: a message has one, and only that one is decoded. What is decoded encodes to the same bytes.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::field::{Field, FieldError, FieldErrorKind, Length};
use crate::mti::Mti;

/// Bytes of a message at the most, without the frame's length.
pub const MAX_MESSAGE_LEN: usize = 1024;
/// Bytes of a frame at the most: length and message.
pub const MAX_FRAME_LEN: usize = 2 + MAX_MESSAGE_LEN;

const MTI_LEN: usize = 4;
const BITMAP_LEN: usize = 16;
const HEX: &[u8; 16] = b"0123456789ABCDEF";

// Every field at its longest fits, so encoding has no way to fail.
const _: () = {
    let mut len = MTI_LEN + 2 * BITMAP_LEN;
    let mut rest = Field::ALL;
    while let [first, others @ ..] = rest {
        len += first.max_encoded_len();
        rest = others;
    }
    assert!(len <= MAX_MESSAGE_LEN);
};

/// One message. Values are wiped when they are replaced and when the message goes.
pub struct Message {
    mti: Mti,
    fields: BTreeMap<Field, Zeroizing<Box<str>>>,
}

/// The bytes are not a message of this dialect. Holds nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("message ends too early")]
    Truncated,
    /// They begin with a message type that the dialect doesn't have.
    #[error("unknown message type")]
    Mti,
    /// A bitmap is not sixteen upper-case hexadecimal digits, or a second one is there for nothing.
    #[error("malformed bitmap")]
    Bitmap,
    /// A field that the dialect doesn't have.
    #[error("unknown field {0}")]
    UnknownField(u8),
    /// A value that doesn't fit its field.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// More than the bitmap announces.
    #[error("bytes after the last field")]
    TrailingBytes,
}

impl Message {
    /// A message without fields.
    pub fn new(mti: Mti) -> Self {
        Self { mti, fields: BTreeMap::new() }
    }

    /// Its type.
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// Sets a field; a value that was there before is wiped.
    ///
    /// # Errors
    /// [`FieldError`] when the value doesn't fit the field's length or characters; the message is unchanged.
    pub fn set(&mut self, field: Field, value: &str) -> Result<&mut Self, FieldError> {
        field.check(value)?;
        // Exactly one allocation of exactly this size: nothing grows, so nothing is left behind.
        self.fields.insert(field, Zeroizing::new(Box::from(value)));
        Ok(self)
    }

    /// Sets the amount: minor units, at the most twelve digits.
    ///
    /// # Errors
    /// [`FieldError`] above that.
    pub fn set_amount_minor(&mut self, amount_minor: u64) -> Result<&mut Self, FieldError> {
        self.set(Field::Amount, &format!("{amount_minor:012}"))
    }

    /// The amount in minor units.
    pub fn amount_minor(&self) -> Option<u64> {
        self.field(Field::Amount).and_then(|digits| digits.parse().ok())
    }

    /// A field's value.
    pub fn field(&self, field: Field) -> Option<&str> {
        self.fields.get(&field).map(|value| &***value)
    }

    /// The fields that are there, ascending.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.fields.keys().copied()
    }

    /// The message's bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.encoded_len()));
        self.encode_into(&mut out);
        out
    }

    /// The message's bytes behind their length in two bytes, big-endian: what goes on the connection.
    pub fn encode_frame(&self) -> Zeroizing<Vec<u8>> {
        let len = self.encoded_len();
        let mut out = Zeroizing::new(Vec::with_capacity(2 + len));
        // A message is never longer than MAX_MESSAGE_LEN.
        out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        self.encode_into(&mut out);
        out
    }

    /// Exactly what `encode_into` appends. The vectors above are made this large, so that they never grow and leave a copy.
    fn encoded_len(&self) -> usize {
        let bitmaps = if self.has_second_bitmap() { 2 } else { 1 };
        let values: usize = self.fields.iter().map(|(field, value)| field.length().prefix_len() + value.len()).sum();
        MTI_LEN + bitmaps * BITMAP_LEN + values
    }

    fn has_second_bitmap(&self) -> bool {
        self.fields.keys().any(|field| field.number() > 64)
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.mti.as_str().as_bytes());
        self.encode_bitmaps(out);
        for (field, value) in &self.fields {
            encode_len(out, field.length(), value.len());
            out.extend_from_slice(value.as_bytes());
        }
    }

    /// Bit 1 of the first bitmap announces the second; bit n of the two together, counted from 1, field n.
    fn encode_bitmaps(&self, out: &mut Vec<u8>) {
        let second = self.has_second_bitmap();
        let announce = if second { 1_u128 << 127 } else { 0 };
        let bits = self.fields.keys().fold(announce, |bits, field| bits | bit(field.number()));
        let digits = if second { 32 } else { 16 };
        for digit in 0..digits {
            let nibble = usize::try_from((bits >> (124 - 4 * digit)) & 0xf).unwrap_or_default();
            out.push(HEX.get(nibble).copied().unwrap_or(b'0'));
        }
    }

    /// Reads a message. Nothing may be missing, unknown, or left over.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong, without what was there.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        let mti = Mti::parse(take_text(&mut rest, MTI_LEN)?.ok_or(DecodeError::Mti)?).ok_or(DecodeError::Mti)?;
        let mut message = Self::new(mti);
        let bits = decode_bitmaps(&mut rest)?;
        for number in (2..=128).filter(|number| bits & bit(*number) != 0) {
            let field = Field::from_number(number).ok_or(DecodeError::UnknownField(number))?;
            let len = decode_len(&mut rest, field)?;
            let characters = FieldError { field, kind: FieldErrorKind::Characters };
            message.set(field, take_text(&mut rest, len)?.ok_or(characters)?)?;
        }
        if rest.is_empty() { Ok(message) } else { Err(DecodeError::TrailingBytes) }
    }
}

/// Message type and field numbers; never a value.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} {:?})", self.mti, self.fields.keys())
    }
}

/// The bit of a field in the two bitmaps together. Field 1 is the highest.
fn bit(number: u8) -> u128 {
    1_u128.checked_shl(128 - u32::from(number)).unwrap_or_default()
}

/// The two or three digits in front of a variable field.
fn encode_len(out: &mut Vec<u8>, length: Length, len: usize) {
    let digit = |place: usize| HEX.get(len / place % 10).copied().unwrap_or(b'0');
    match length {
        Length::Fixed(_) => {}
        Length::TwoDigits(..) => out.extend([digit(10), digit(1)]),
        Length::ThreeDigits(..) => out.extend([digit(100), digit(10), digit(1)]),
    }
}

/// The length of the field's value that comes next, checked against the table before any of it is read.
fn decode_len(rest: &mut &[u8], field: Field) -> Result<usize, DecodeError> {
    let wrong = FieldError { field, kind: FieldErrorKind::Length };
    let len = match field.length() {
        Length::Fixed(len) => len,
        length => {
            let digits = take(rest, length.prefix_len())?;
            decimal(digits).ok_or(wrong)?
        }
    };
    if field.length().allows(len) { Ok(len) } else { Err(wrong.into()) }
}

/// Digits only: no sign, no space, which `parse` and other implementations would take.
fn decimal(digits: &[u8]) -> Option<usize> {
    digits
        .iter()
        .try_fold(0_usize, |value, digit| digit.is_ascii_digit().then(|| value * 10 + usize::from(digit - b'0')))
}

fn decode_bitmaps(rest: &mut &[u8]) -> Result<u128, DecodeError> {
    let first = u128::from(decode_bitmap(rest)?) << 64;
    if first & bit(1) == 0 {
        return Ok(first);
    }
    match decode_bitmap(rest)? {
        0 => Err(DecodeError::Bitmap),
        second => Ok(first | u128::from(second)),
    }
}

fn decode_bitmap(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    take(rest, BITMAP_LEN)?.iter().try_fold(0_u64, |bits, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return Err(DecodeError::Bitmap),
        };
        Ok(bits << 4 | u64::from(nibble))
    })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, left) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
    *rest = left;
    Ok(taken)
}

/// `Ok(None)` for bytes that are no text.
fn take_text<'a>(rest: &mut &'a [u8], len: usize) -> Result<Option<&'a str>, DecodeError> {
    take(rest, len).map(|bytes| std::str::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::Message;

    /// A message can't be copied: this call is ambiguous, and doesn't compile, once it can.
    #[test]
    fn messages_cannot_be_copied() {
        trait Absent<Marker> {
            fn holds() {}
        }
        struct Present;
        impl<T: ?Sized> Absent<()> for T {}
        impl<T: Clone> Absent<Present> for T {}
        <Message as Absent<_>>::holds();
    }
}
