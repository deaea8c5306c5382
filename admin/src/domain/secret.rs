//! The random secrets that browsers hold: session cookie, visit cookie, enrolment link. The database has their SHA-256
//! only, which is enough for 256 random bits.

use aws_lc_rs::{constant_time, digest, hmac};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

/// Separates a form's token from every other use of the same secret.
const FORM_LABEL: &[u8] = b"kura-admin form token 1";

/// 256 random bits. No Debug, Clone or comparison; zeroized on drop.
pub struct Secret(Zeroizing<[u8; 32]>);

/// SHA-256 of a [`Secret`]: what the database knows it by.
pub type SecretHash = [u8; 32];

impl Secret {
    /// A fresh one.
    pub fn random() -> Self {
        Self(Zeroizing::new(kura_platform::random::bytes()))
    }

    /// Reads the text that a browser sent; `None` for anything that [`Self::reveal`] didn't write.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
        let mut secret = Zeroizing::new([0; 32]);
        if bytes.len() != secret.len() {
            return None;
        }
        secret.copy_from_slice(&bytes);
        Some(Self(secret))
    }

    /// The secret as text, for the one browser that it is meant for.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(self.0.as_slice()))
    }

    /// What the database knows it by.
    pub fn hash(&self) -> SecretHash {
        sha256(self.0.as_slice())
    }

    /// The token that forms of this session carry: knowing it needs the cookie, and it doesn't tell the cookie.
    pub fn form_token(&self) -> String {
        BASE64URL_NOPAD.encode(self.form_tag().as_ref())
    }

    /// Whether a form carried the token of this session, in constant time.
    pub fn accepts_form_token(&self, presented: &str) -> bool {
        BASE64URL_NOPAD
            .decode(presented.as_bytes())
            .is_ok_and(|tag| constant_time::verify_slices_are_equal(self.form_tag().as_ref(), &tag).is_ok())
    }

    fn form_tag(&self) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()), FORM_LABEL)
    }
}

/// SHA-256.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret survives its own text; anything else is refused, whatever its length.
    #[test]
    fn secrets_round_trip() {
        let secret = Secret::random();
        let again = Secret::parse(&secret.reveal()).expect("its own text");
        assert_eq!(secret.hash(), again.hash());
        for text in ["", "x", &"A".repeat(42), &"A".repeat(44), &"=".repeat(43), &"é".repeat(21)] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }

    /// A form is accepted with its own session's token and with no other's; the token is neither the cookie nor its hash.
    #[test]
    fn a_form_token_belongs_to_one_session() {
        let (one, other) = (Secret::random(), Secret::random());
        assert!(one.accepts_form_token(&one.form_token()));
        for wrong in [other.form_token(), String::new(), "é".to_owned(), one.reveal().to_string()] {
            assert!(!one.accepts_form_token(&wrong));
        }
        assert_ne!(one.form_token(), BASE64URL_NOPAD.encode(&one.hash()));
    }
}
