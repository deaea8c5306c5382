//! Merchant API keys: `pk_test_…`, `sk_test_…`, `rk_test_…`, and the same with `live`.
//!
//! After the prefix stand 28 random letters of base62 (166 bits) and 6 letters of checksum (SHA-256 of all before it, cut to
//! 32 bits), so that a secret scanner can tell a real key from a look-alike without asking us, and so that a mistyped key
//! never costs a look-up. Stored is an HMAC; the plain key is shown once.

use std::fmt;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::secret::PurposeKey;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_LEN: usize = 28;
const CHECKSUM_LEN: usize = 6;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// In the browser: read sealing keys, make tokens.
    Publishable,
    /// On the merchant's server: everything.
    Secret,
    /// On the merchant's servers: what it was given the right to.
    Restricted,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Publishable, Self::Secret, Self::Restricted];

    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
            Self::Restricted => "restricted",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a key is sought by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// A well-formed key in the clear. It is never stored, logged, compared or shown but once, when it is made.
pub struct ApiKey {
    kind: KeyKind,
    livemode: bool,
    text: Zeroizing<String>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

impl ApiKey {
    /// Draws a new one.
    pub fn draw(kind: KeyKind, livemode: bool) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(48));
        text.push_str(prefix(kind, livemode));
        let end = text.len() + RANDOM_LEN;
        while text.len() < end {
            // 248 is the largest multiple of 62 in a byte: above it, a letter would be likelier than another.
            let [byte] = kura_platform::random::bytes::<1>();
            if byte < 248 {
                text.push(letter(u32::from(byte)));
            }
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self { kind, livemode, text }
    }

    /// The publishable key of these bytes: for what is known to all, such as the pages of a merchant's own checkout.
    pub fn publishable_of(livemode: bool, bytes: &[u8; 32]) -> Self {
        let kind = KeyKind::Publishable;
        let mut text = Zeroizing::new(prefix(kind, livemode).to_owned());
        text.extend(bytes.iter().take(RANDOM_LEN).map(|byte| letter(u32::from(*byte))));
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self { kind, livemode, text }
    }

    /// Reads a key, checksum and all. `None` for whatever is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, livemode, body) = KeyKind::ALL
            .into_iter()
            .flat_map(|kind| [(kind, false), (kind, true)])
            .find_map(|(kind, live)| text.strip_prefix(prefix(kind, live)).map(|body| (kind, live, body)))?;
        if body.len() != RANDOM_LEN + CHECKSUM_LEN || !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (covered, tail) = text.split_at_checked(text.len() - CHECKSUM_LEN)?;
        // The checksum is no secret; what is compared in constant time is the HMAC, by the database's index.
        (checksum(covered) == tail).then(|| Self { kind, livemode, text: Zeroizing::new(text.to_owned()) })
    }

    /// Which it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Live or test.
    pub fn livemode(&self) -> bool {
        self.livemode
    }

    /// What it is stored as and sought by.
    pub fn hash(&self, key: &PurposeKey) -> KeyHash {
        KeyHash(key.tag(&[self.text.as_bytes()]))
    }

    /// Prefix and last four letters, for lists of keys.
    pub fn hint(&self) -> String {
        let tail = self.text.get(self.text.len().saturating_sub(4)..).unwrap_or_default();
        format!("{}...{tail}", prefix(self.kind, self.livemode))
    }

    /// The text of a publishable key, which is public. `None` for any other.
    pub fn publishable_text(&self) -> Option<&str> {
        (self.kind == KeyKind::Publishable).then_some(self.text.as_str())
    }

    /// The one exit of the plain text: for the person who just made the key.
    pub fn reveal_to_its_maker(&self) -> &str {
        &self.text
    }
}

/// The known prefix that the text begins with, for error messages: the most that is ever echoed of a wrong key.
pub fn shown_prefix(text: &str) -> &'static str {
    ["pk_test_", "sk_test_", "rk_test_", "pk_live_", "sk_live_", "rk_live_"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))
        .unwrap_or_default()
}

const fn prefix(kind: KeyKind, livemode: bool) -> &'static str {
    match (kind, livemode) {
        (KeyKind::Publishable, false) => "pk_test_",
        (KeyKind::Publishable, true) => "pk_live_",
        (KeyKind::Secret, false) => "sk_test_",
        (KeyKind::Secret, true) => "sk_live_",
        (KeyKind::Restricted, false) => "rk_test_",
        (KeyKind::Restricted, true) => "rk_live_",
    }
}

fn letter(number: u32) -> char {
    let place = usize::try_from(number % 62).unwrap_or(0);
    char::from(ALPHABET.get(place).copied().unwrap_or(b'0'))
}

fn checksum(covered: &str) -> String {
    let hash = digest::digest(&digest::SHA256, covered.as_bytes());
    let mut rest = hash.as_ref().iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    let mut out = String::with_capacity(CHECKSUM_LEN);
    for _ in 0..CHECKSUM_LEN {
        out.push(letter(rest));
        rest /= 62;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret;

    /// Every kind survives its own text.
    #[test]
    fn drawn_keys_are_read_back() {
        for kind in KeyKind::ALL {
            for livemode in [false, true] {
                let key = ApiKey::draw(kind, livemode);
                let read = ApiKey::parse(key.reveal_to_its_maker()).unwrap();
                assert_eq!((read.kind(), read.livemode()), (kind, livemode));
                assert_eq!(key.publishable_text().is_some(), kind == KeyKind::Publishable);
                let secrets = secret::for_tests();
                assert!(key.hash(&secrets.api_keys) == read.hash(&secrets.api_keys));
                assert!(key.hint().len() <= 20);
            }
        }
    }

    /// One wrong letter anywhere is caught before any look-up.
    #[test]
    fn one_wrong_letter_fails_the_checksum() {
        let key = ApiKey::draw(KeyKind::Secret, false);
        let text = key.reveal_to_its_maker();
        for place in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'a' { b'b' } else { b'a' };
            assert!(ApiKey::parse(std::str::from_utf8(&wrong).unwrap()).is_none(), "place {place}");
        }
        for other in ["", "sk_test_", "sk_test_é", "rk_test_abc"] {
            assert!(ApiKey::parse(other).is_none());
        }
    }

    /// A key that slips into a log line shows nothing; an error shows the prefix at the most.
    #[test]
    fn keys_are_not_shown() {
        let key = ApiKey::draw(KeyKind::Secret, false);
        assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
        assert_eq!(shown_prefix(key.reveal_to_its_maker()), "sk_test_");
        assert_eq!(shown_prefix("hunter2"), "");
    }
}
