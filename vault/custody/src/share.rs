//! One custodian's share and its text form. The reader is pure: a text in, a share or a reason out.
//!
//! `KURA-SHARE-1:` and eleven groups of nine characters. Behind the letters: the set (16 bytes), the index (1), the threshold
//! (1), the share itself (32), and the first five bytes of SHA-256 over version and all of these.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use kura_wire::ids::CustodianSetId;
use kura_wire::sealed_box::length_prefixed;
use zeroize::Zeroizing;

use super::published::{EXAMPLE, is_known, is_trivial};
use super::text;

/// Bytes of a root key, and of the secret part of a share.
pub const KEY_LEN: usize = 32;
const BODY_LEN: usize = 16 + 1 + 1 + KEY_LEN;
const CHECK_LEN: usize = 5;
const LEN: usize = BODY_LEN + CHECK_LEN;
const HEAD: &str = "KURA-SHARE-1:";
/// A text is looked at up to here.
const MAX_TEXT_LEN: usize = 512;

/// 32 secret bytes. On the heap: a move leaves no copy on the stack. Wiped when dropped.
pub type KeyBytes = Box<Zeroizing<[u8; KEY_LEN]>>;

/// A share: no Clone, no Debug of its bytes, no comparison; wiped when dropped.
pub struct Share {
    set: CustodianSetId,
    index: u8,
    threshold: u8,
    bytes: KeyBytes,
}

/// Why a text is no share. Tells where, never what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Something else altogether.
    #[error("a share begins with {HEAD}")]
    NotAShare,
    /// A share of a later Kura.
    #[error("this share is of another version than 1")]
    Version,
    /// Groups are missing, or too many.
    #[error("a share has {wanted} groups of 9 characters; there are {found}")]
    Groups {
        /// Those that are there.
        found: usize,
        /// Those that must be.
        wanted: usize,
    },
    /// A group lacks characters, or has some too many.
    #[error("group {group} has {letters} characters instead of 9")]
    GroupLength {
        /// From 1.
        group: usize,
        /// In it.
        letters: usize,
    },
    /// A character that no share has.
    #[error("character {place} of group {group} is none that a share can have there")]
    Letter {
        /// From 1.
        group: usize,
        /// From 1.
        place: usize,
    },
    /// A group's characters don't go with its check symbol.
    #[error("group {group} is mistyped")]
    Mistyped {
        /// From 1.
        group: usize,
    },
    /// Each group is right by itself, and together they are not: groups were swapped or left from another share.
    #[error("every group is well-formed, but they don't belong together in this order")]
    Checksum,
    /// An index of 0, or a threshold below 2.
    #[error("this share's index or threshold is impossible")]
    Numbers,
    /// All zero, repeated, counting: nobody's secret.
    #[error("this share holds no secret: its bytes are all alike or a simple pattern")]
    Trivial,
    /// A published sample.
    #[error("this share is a published sample; it protects nothing")]
    Published,
}

impl Share {
    /// Of its parts, as the splitting makes them.
    pub(crate) fn new(set: CustodianSetId, index: u8, threshold: u8, bytes: KeyBytes) -> Self {
        Self { set, index, threshold, bytes }
    }

    /// The set that it belongs to.
    pub fn set(&self) -> CustodianSetId {
        self.set
    }

    /// Which share of the set, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many shares of the set make the root.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The secret part, for the combiner.
    pub(crate) fn reveal_to_combiner(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    /// Its text form, for its custodian or for a box.
    pub fn reveal_as_text(&self) -> Zeroizing<String> {
        let mut all = Box::new(Zeroizing::new([0; LEN]));
        let parts = self.set.as_bytes().iter().chain([&self.index, &self.threshold]).chain(self.bytes.iter());
        for (to, from) in all.iter_mut().zip(parts) {
            *to = *from;
        }
        let (body, check) = all.split_at_mut(BODY_LEN);
        check.copy_from_slice(&checksum(body));
        let letters = text::write(all.as_slice());
        let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + letters.len()));
        text.push_str(HEAD);
        text.push_str(&letters);
        text
    }

    /// Reads a text form, as people type it: any case, any spacing.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let letters = behind_the_head(text)?;
        let mut all = Box::new(Zeroizing::new([0; LEN]));
        text::read(letters, all.as_mut_slice())?;
        let (body, check) = all.split_at(BODY_LEN);
        if checksum(body) != check {
            return Err(ShareError::Checksum);
        }
        let (set, rest) = body.split_first_chunk::<16>().ok_or(ShareError::NotAShare)?;
        let ([index, threshold], secret) = rest.split_first_chunk::<2>().ok_or(ShareError::NotAShare)?;
        if *index == 0 || *threshold < 2 {
            return Err(ShareError::Numbers);
        }
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        bytes.copy_from_slice(secret);
        if is_trivial(&bytes) {
            return Err(ShareError::Trivial);
        }
        if is_known(&bytes) {
            return Err(ShareError::Published);
        }
        Ok(Self { set: CustodianSetId::from_bytes(*set), index: *index, threshold: *threshold, bytes })
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of {}, hidden)", self.index, self.set)
    }
}

fn behind_the_head(text: &str) -> Result<&str, ShareError> {
    let (head, letters) = text
        .get(..)
        .filter(|text| text.len() <= MAX_TEXT_LEN)
        .and_then(|text| text.split_once(':'))
        .ok_or(ShareError::NotAShare)?;
    let head: String = head.chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
    match head.to_ascii_uppercase().strip_prefix("KURASHARE") {
        Some("1") => Ok(letters),
        Some(version) if !version.is_empty() && version.bytes().all(|letter| letter.is_ascii_digit()) => {
            Err(ShareError::Version)
        }
        _ => Err(ShareError::NotAShare),
    }
}

fn checksum(body: &[u8]) -> [u8; CHECK_LEN] {
    let mut check = [0; CHECK_LEN];
    let whole = digest(&SHA256, &length_prefixed(&[b"kura share v1", body]));
    for (to, from) in check.iter_mut().zip(whole.as_ref()) {
        *to = *from;
    }
    check
}

/// The share in our documentation, which is refused wherever it is entered.
pub fn example() -> Zeroizing<String> {
    let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
    let decoded = data_encoding::HEXLOWER.decode(EXAMPLE.as_bytes()).unwrap_or_default();
    for (to, from) in bytes.iter_mut().zip(decoded) {
        *to = from;
    }
    Share::new(CustodianSetId::from_bytes([0; 16]), 1, 2, bytes).reveal_as_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn share(bytes: [u8; KEY_LEN]) -> Share {
        Share::new(CustodianSetId::from_bytes([7; 16]), 3, 2, Box::new(Zeroizing::new(bytes)))
    }

    fn random() -> [u8; KEY_LEN] {
        kura_platform::random::bytes()
    }

    /// A text comes back as it was, however a person spaces and writes it.
    #[test]
    fn a_share_survives_being_typed() {
        let bytes = random();
        let text = share(bytes).reveal_as_text();
        assert_eq!(text.len(), HEAD.len() + 11 * 9 + 10);
        let spaced = text.to_lowercase().replacen(':', " : ", 1).replace('-', " ");
        let run_together = format!("kura share 1:{}", text[HEAD.len()..].replace('-', ""));
        let confused = text[HEAD.len()..].replace('0', "o").replace('1', "l");
        for typed in [text.to_string(), spaced, run_together, format!(" {HEAD}{confused}\n")] {
            let read = Share::parse(&typed).unwrap();
            assert_eq!((read.set(), read.index(), read.threshold()), (CustodianSetId::from_bytes([7; 16]), 3, 2));
            assert_eq!(read.reveal_to_combiner(), &bytes);
        }
        assert!(!format!("{:?}", share(bytes)).contains(&format!("{:?}", &bytes[..4])));
    }

    /// Every single wrong character, and every two neighbours swapped, is told with its group.
    #[test]
    fn a_typing_error_is_told_where_it_is() {
        let text = share(random()).reveal_as_text();
        let letters: Vec<char> = text[HEAD.len()..].chars().filter(|letter| *letter != '-').collect();
        let typed = |letters: &[char]| Share::parse(&format!("{HEAD}{}", letters.iter().collect::<String>()));
        for place in 0..letters.len() {
            let group = place / 9 + 1;
            for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|other| *other != letters[place]) {
                let mut wrong = letters.clone();
                wrong[place] = other;
                assert_eq!(typed(&wrong).unwrap_err(), ShareError::Mistyped { group }, "{place}");
            }
            let mut strange = letters.clone();
            strange[place] = '!';
            assert_eq!(typed(&strange).unwrap_err(), ShareError::Letter { group, place: place % 9 + 1 });
            if place % 9 < 7 && letters[place] != letters[place + 1] {
                let mut swapped = letters.clone();
                swapped.swap(place, place + 1);
                assert_eq!(typed(&swapped).unwrap_err(), ShareError::Mistyped { group }, "swapped at {place}");
            }
        }
        for (place, symbol) in [(0, '*'), (3, '~'), (7, '$'), (9, '='), (16, 'U')] {
            let mut check_symbol = letters.clone();
            check_symbol[place] = symbol;
            let refused = ShareError::Letter { group: place / 9 + 1, place: place % 9 + 1 };
            assert_eq!(typed(&check_symbol).unwrap_err(), refused, "{symbol}");
        }
        let mut groups: Vec<&str> = text[HEAD.len()..].split('-').collect();
        groups.swap(4, 5);
        assert_eq!(Share::parse(&format!("{HEAD}{}", groups.join("-"))).unwrap_err(), ShareError::Checksum);
        let short = groups.iter().enumerate().map(|(at, group)| if at == 2 { &group[1..] } else { group });
        let short = format!("{HEAD}{}", short.collect::<Vec<_>>().join("-"));
        assert_eq!(Share::parse(&short).unwrap_err(), ShareError::GroupLength { group: 3, letters: 8 });
        let missing = format!("{HEAD}{}", groups[1..].join("-"));
        assert_eq!(Share::parse(&missing).unwrap_err(), ShareError::Groups { found: 10, wanted: 11 });
        let typed = |groups: &[&str]| Share::parse(&format!("{HEAD}{}", groups.join("-"))).unwrap_err();
        let long = format!("{}00", groups[6]);
        let mut two = groups.clone();
        (two[4], two[6]) = (&groups[4][1..], &long);
        assert_eq!(typed(&two), ShareError::GroupLength { group: 5, letters: 8 }, "the first of two is named");
        assert_eq!(typed(&two[1..]), ShareError::Groups { found: 10, wanted: 11 }, "a missing group comes first");
    }

    /// What is no secret is refused: patterns, published keys, and the share of our own documentation.
    #[test]
    fn samples_and_patterns_are_refused() {
        let counting = std::array::from_fn(|at| u8::try_from(at).unwrap() * 3);
        let halves = std::array::from_fn(|at| b"sixteen letters."[at % 16]);
        for bytes in [[0; KEY_LEN], [0xaa; KEY_LEN], counting, halves] {
            let refused = Share::parse(&share(bytes).reveal_as_text()).unwrap_err();
            assert_eq!(refused, ShareError::Trivial);
        }
        assert_eq!(Share::parse(&example()).unwrap_err(), ShareError::Published);
        let rfc = data_encoding::HEXLOWER
            .decode(b"4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
            .unwrap();
        let refused = Share::parse(&share(rfc.try_into().unwrap()).reveal_as_text()).unwrap_err();
        assert_eq!(refused, ShareError::Published);
    }

    /// Another thing, another version and impossible numbers have their own words.
    #[test]
    fn other_texts_are_told_apart() {
        let text = share(random()).reveal_as_text();
        assert_eq!(Share::parse("").unwrap_err(), ShareError::NotAShare);
        assert_eq!(Share::parse("tok_1").unwrap_err(), ShareError::NotAShare);
        for version in ["-2:", "-12:", "2:"] {
            assert_eq!(Share::parse(&text.replace("-1:", version)).unwrap_err(), ShareError::Version, "{version}");
        }
        for version in ["-:", ":", "-X:", "-1X:"] {
            assert_eq!(Share::parse(&text.replace("-1:", version)).unwrap_err(), ShareError::NotAShare, "{version}");
        }
        assert_eq!(Share::parse(&format!("{}{}", *text, "-".repeat(600))).unwrap_err(), ShareError::NotAShare);
        let set = CustodianSetId::from_bytes([7; 16]);
        for (index, threshold) in [(0, 2), (1, 0), (1, 1)] {
            let odd = Share::new(set, index, threshold, Box::new(Zeroizing::new(random())));
            assert_eq!(Share::parse(&odd.reveal_as_text()).unwrap_err(), ShareError::Numbers);
        }
    }

    proptest! {
        /// Any share survives its text.
        #[test]
        fn all_shares_round_trip(set: [u8; 16], index in 1..=255u8, threshold in 2..=255u8, bytes: [u8; KEY_LEN]) {
            let written = Share::new(CustodianSetId::from_bytes(set), index, threshold, Box::new(Zeroizing::new(bytes)));
            if let Ok(read) = Share::parse(&written.reveal_as_text()) {
                prop_assert_eq!((read.set.as_bytes(), read.index, read.threshold), (&set, index, threshold));
                prop_assert_eq!(read.reveal_to_combiner(), &bytes);
            } else {
                prop_assert!(is_known(&bytes));
            }
        }

        /// No text makes the reader panic; what it takes, it writes the same way again.
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), tail in "[0-9A-Z*~$= -]{0,120}") {
            for typed in [text, format!("{HEAD}{tail}")] {
                if let Ok(share) = Share::parse(&typed) {
                    prop_assert!(Share::parse(&share.reveal_as_text()).is_ok());
                }
            }
        }
    }
}
