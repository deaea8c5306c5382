//! Passwords: what is taken as one, and the type that holds it until it is hashed.
//!
//! The rules are NIST SP 800-63B's: length, and not one that everybody tries first. No demand for kinds of characters.

use serde::Deserialize;
use zeroize::Zeroizing;

/// Characters at the least.
pub const MIN_CHARS: usize = 12;
/// Characters at the most.
pub const MAX_CHARS: usize = 256;
/// Different characters at the least.
const MIN_DISTINCT: usize = 5;

/// Words that a password may not consist of, however decorated.
const COMMON_WORDS: &str = include_str!("common_words.txt");

/// What somebody typed as a password. No Debug, Clone or comparison; zeroized on drop.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Password(Zeroizing<String>);

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer than [`MIN_CHARS`].
    TooShort,
    /// More than [`MAX_CHARS`].
    TooLong,
    /// One that is tried first: a common word, a run of keys, the person's own name.
    TooCommon,
}

impl Password {
    /// The bytes, for the password hash alone.
    pub fn reveal_to_hasher(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether another field holds the same; both came from one browser a moment ago, so the time it takes tells nothing.
    pub fn is_repeated_by(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }

    /// Too long to be looked at, by anybody.
    pub fn is_oversized(&self) -> bool {
        self.0.chars().count() > MAX_CHARS
    }

    /// Whether it may be chosen by the person of these names (e-mail, name).
    ///
    /// # Errors
    /// [`Weakness`].
    pub fn check_for(&self, own_names: &[&str]) -> Result<(), Weakness> {
        let count = self.0.chars().count();
        if count < MIN_CHARS {
            Err(Weakness::TooShort)
        } else if count > MAX_CHARS {
            Err(Weakness::TooLong)
        } else if is_common(&self.0, own_names) {
            Err(Weakness::TooCommon)
        } else {
            Ok(())
        }
    }
}

fn is_common(password: &str, own_names: &[&str]) -> bool {
    let lower = Zeroizing::new(password.to_lowercase());
    let mut distinct: Vec<char> = lower.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() < MIN_DISTINCT || is_run(&lower) || is_made_of_words(&lower, own_names)
}

/// Mostly neighbours, such as `123456789012`, `abcdefghijkl`, `cba…`.
fn is_run(password: &str) -> bool {
    let steps = password.chars().zip(password.chars().skip(1));
    let neighbours = steps.filter(|(one, next)| u32::from(*one).abs_diff(u32::from(*next)) <= 1).count();
    neighbours * 4 >= password.chars().count() * 3
}

/// Nothing but common words and the person's own names, once digits and signs are taken off and `p@ssw0rd` is read aloud.
fn is_made_of_words(password: &str, own_names: &[&str]) -> bool {
    let read_aloud: Zeroizing<String> = Zeroizing::new(password.chars().map(read_aloud).collect());
    let plain: Zeroizing<String> = Zeroizing::new(password.to_owned());
    let own: Vec<String> = own_names.iter().flat_map(|name| name_parts(name)).collect();
    let mut words: Vec<&str> = COMMON_WORDS.lines().chain(own.iter().map(String::as_str)).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    [read_aloud, plain].iter().any(|text| {
        let mut rest = text.to_string();
        let before = letters(&rest);
        for word in &words {
            rest = rest.replace(*word, " ");
        }
        // Taking words off a long phrase may leave little; a phrase that was mostly something else stays good.
        before > letters(&rest) && letters(&rest) < MIN_DISTINCT && text.chars().count() < 4 * MIN_CHARS
    })
}

fn letters(text: &str) -> usize {
    text.chars().filter(|character| character.is_alphabetic()).count()
}

fn read_aloud(character: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

fn name_parts(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let parts = lower.split(|character: char| !character.is_alphanumeric());
    parts.filter(|part| part.chars().count() >= 3).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Weakness> {
        Password(Zeroizing::new(text.to_owned())).check_for(&["hanako.yamada@example.com", "Hanako Yamada"])
    }

    /// Length is counted in characters, at both ends.
    #[test]
    fn length_is_counted_in_characters() {
        assert_eq!(check("tiny mouse!"), Err(Weakness::TooShort));
        assert_eq!(check("tiny mouse 9"), Ok(()));
        assert_eq!(check("蔵の鍵は三つの場所に分けて置く"), Ok(()));
        assert_eq!(check(&"correct zebra ".repeat(30)), Err(Weakness::TooLong));
    }

    /// What everybody tries first is refused, with its decorations, its spelling tricks and the person's own name.
    #[test]
    fn first_guesses_are_refused() {
        for guess in [
            "password1234",
            "P@ssw0rd!2026",
            "passwordpassword",
            "123456789012",
            "abcdefghijklm",
            "aaaaaaaaaaaaaaa",
            "qwertyuiop123",
            "Welcome2026!!!",
            "hanakoyamada1",
            "Yamada-Hanako-99",
            "correcthorsebatterystaple",
            "121212121212",
            "KuraAdmin2026!",
        ] {
            assert_eq!(check(guess), Err(Weakness::TooCommon), "{guess}");
        }
    }

    /// Random passwords and odd phrases are taken, without demands for kinds of characters.
    #[test]
    fn good_passwords_are_taken() {
        for good in ["vexing otter mails plum", "kT9#qLw2zRb7", "nine quiet lanterns", "test kitchen violins roar"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
