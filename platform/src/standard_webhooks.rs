//! Signatures of messages between systems, as [Standard Webhooks](https://www.standardwebhooks.com) has them: three headers, of
//! which `webhook-signature` is a list of `v1,` and the base64 of an HMAC-SHA-256 over id, time and body.
//!
//! Here for what simulated networks send us. What merchants get is signed twice, and by secrets of theirs: see the gateway.

use std::path::Path;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use thiserror::Error;
use zeroize::Zeroizing;

/// The header with the message's id.
pub const ID: &str = "webhook-id";
/// The header with Unix seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";
/// How far a message's time may be from the clock, in seconds.
pub const TOLERANCE: u64 = 300;

const PREFIX: &str = "whsec_";

/// What is wrong with a secret or a message.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Not `whsec_` and base64 of 24 to 64 bytes.
    #[error("not a signing secret: whsec_ and base64 of 24 to 64 bytes")]
    Secret,
    /// The file can't be read.
    #[error("the signing secret can't be read: {0}")]
    Unreadable(String),
    /// The message is too old, or from a clock that is ahead.
    #[error("the time is not now")]
    Time,
    /// None of the signatures is ours.
    #[error("no signature is right")]
    Signature,
}

/// A secret that two systems share. Not shown by Debug; no Clone, Display or comparison.
pub struct Secret(hmac::Key);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`SignatureError::Secret`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(SignatureError::Secret)?;
        let bytes = BASE64.decode(body.as_bytes()).map(Zeroizing::new).map_err(|_| SignatureError::Secret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SignatureError::Secret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// Reads a file with `whsec_…`.
    ///
    /// # Errors
    /// [`SignatureError::Unreadable`], [`SignatureError::Secret`].
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|error| SignatureError::Unreadable(format!("{}: {error}", path.display())))?;
        Self::parse(&text)
    }

    /// A new one, as text.
    pub fn draw() -> Zeroizing<String> {
        let bytes = Zeroizing::new(crate::random::bytes::<32>());
        Zeroizing::new(format!("{PREFIX}{}", BASE64.encode(bytes.as_slice())))
    }

    /// The value of [`SIGNATURE`] for this message.
    pub fn sign(&self, id: &str, second: i64, body: &[u8]) -> String {
        format!("v1,{}", BASE64.encode(hmac::sign(&self.0, &signed(id, second, body)).as_ref()))
    }

    /// Whether the message with these headers is the other system's, and of now.
    ///
    /// # Errors
    /// [`SignatureError::Time`], [`SignatureError::Signature`].
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: i64,
    ) -> Result<(), SignatureError> {
        let second: i64 = timestamp.parse().map_err(|_| SignatureError::Time)?;
        if now.abs_diff(second) > TOLERANCE {
            return Err(SignatureError::Time);
        }
        let message = signed(id, second, body);
        let right = signatures
            .split(' ')
            .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?.as_bytes()).ok())
            .any(|tag| hmac::verify(&self.0, &message, &tag).is_ok());
        if right { Ok(()) } else { Err(SignatureError::Signature) }
    }
}

fn signed(id: &str, second: i64, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", second.to_string().as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_614_265_330;
    const ID_OF: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn known() -> Secret {
        Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap()
    }

    /// The example of the specification.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let signature = known().sign(ID_OF, NOW, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = format!("v1,AAAA v2,x {signature}");
        assert_eq!(known().verify(ID_OF, "1614265330", &both, BODY, NOW + 299), Ok(()));
    }

    /// Another body, id, time or secret is not right, and what is old is not now.
    #[test]
    fn what_was_changed_is_refused() {
        let (key, signature) = (known(), known().sign(ID_OF, NOW, BODY));
        let verify = |id, time, body, now| key.verify(id, time, &signature, body, now);
        assert_eq!(verify(ID_OF, "1614265330", b"{}", NOW), Err(SignatureError::Signature));
        assert_eq!(verify("msg_2", "1614265330", BODY, NOW), Err(SignatureError::Signature));
        assert_eq!(verify(ID_OF, "1614265331", BODY, NOW), Err(SignatureError::Signature));
        assert_eq!(verify(ID_OF, "1614265330", BODY, NOW + 301), Err(SignatureError::Time));
        assert_eq!(verify(ID_OF, "1614265330", BODY, NOW - 301), Err(SignatureError::Time));
        assert_eq!(verify(ID_OF, "soon", BODY, NOW), Err(SignatureError::Time));
        let other = Secret::parse(&Secret::draw()).unwrap();
        assert!(other.verify(ID_OF, "1614265330", &signature, BODY, NOW).is_err());
        assert_eq!(key.verify(ID_OF, "1614265330", "", BODY, NOW), Err(SignatureError::Signature));
    }

    /// What is no secret is refused, without saying what it was.
    #[test]
    fn secrets_have_a_form() {
        for text in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(Secret::parse(text).err(), Some(SignatureError::Secret), "{text}");
        }
        assert_eq!(format!("{:?}", known()), "Secret(hidden)");
    }
}
