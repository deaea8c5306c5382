//! Short ASCII text of one length, such as a merchant id of 15 characters: small, copied, never on the heap.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `N` ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const N: usize>([u8; N]);

/// A text of another length, or not ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0} ASCII characters")]
pub struct TextError(usize);

impl<const N: usize> Text<N> {
    /// `None` for a text of another length, or one that isn't ASCII.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_ascii() { text.as_bytes().try_into().ok().map(Self) } else { None }
    }

    /// Letters or digits for as many random bytes, out of an alphabet of 32.
    pub fn of_letters(bytes: [u8; N], alphabet: &[u8; 32]) -> Self {
        Self(bytes.map(|byte| alphabet.get(usize::from(byte % 32)).copied().unwrap_or(b'0')))
    }

    /// Digits for as many random bytes.
    pub fn of_digits(bytes: [u8; N]) -> Self {
        Self(bytes.map(|byte| b'0' + byte % 10))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> TryFrom<String> for Text<N> {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Self::new(&text).ok_or(TextError(N))
    }
}

impl<const N: usize> From<Text<N>> for String {
    fn from(text: Text<N>) -> Self {
        text.as_str().to_owned()
    }
}
