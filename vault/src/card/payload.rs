//! What is inside a sealed box: a card as JSON, padded with spaces so that the box's length tells nothing of it.

use std::borrow::Cow;

use kura_wire::vault::VaultErrorCode;
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Cvc, Expiry, Pan};

const MAX_HOLDER_LEN: usize = 100;

/// A card as the shopper typed it, checked.
#[derive(Debug)]
pub struct Card {
    /// The number.
    pub pan: Pan,
    /// The expiry.
    pub expiry: Expiry,
    /// The security code, when given.
    pub cvc: Option<Cvc>,
    /// The cardholder's name, when given.
    pub holder: Option<Zeroizing<String>>,
}

/// Borrowed, so that the only plaintext is the buffer that the box was opened into. A number with an escape in it can't be
/// borrowed and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    number: &'a str,
    exp_month: u8,
    exp_year: u16,
    #[serde(borrow, default)]
    cvc: Option<&'a str>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

/// Reads an opened box.
///
/// # Errors
/// The first rule that the card breaks, without a word of its data.
pub fn read_card(plaintext: &[u8], now: OffsetDateTime) -> Result<Card, VaultErrorCode> {
    let payload: Payload<'_> = serde_json::from_slice(plaintext).map_err(|_| VaultErrorCode::CardMalformed)?;
    let pan = Pan::parse(payload.number.as_bytes())?;
    let expiry = Expiry::parse(payload.exp_month, payload.exp_year, now)?;
    let cvc = payload.cvc.map(|cvc| Cvc::parse(cvc.as_bytes(), pan.brand())).transpose()?;
    Ok(Card { pan, expiry, cvc, holder: read_holder(payload.name.as_deref())? })
}

/// A cardholder's name, if there is one.
///
/// # Errors
/// `CardMalformed` for one that is too long or holds control characters.
pub fn read_holder(name: Option<&str>) -> Result<Option<Zeroizing<String>>, VaultErrorCode> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
    if name.chars().count() > MAX_HOLDER_LEN || name.chars().any(char::is_control) {
        return Err(VaultErrorCode::CardMalformed);
    }
    Ok(Some(Zeroizing::new(name.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn read(text: &str) -> Result<Card, VaultErrorCode> {
        read_card(text.as_bytes(), datetime!(2026-11-22 12:00 UTC))
    }

    /// A padded card is read; name and code may be absent.
    #[test]
    fn a_padded_card_is_read() {
        let card = read(
            r#"{"number":"4242424242424242","exp_month":12,"exp_year":2030,"cvc":"737","name":"山田 太郎"}      "#,
        )
        .unwrap();
        assert_eq!(card.cvc.unwrap().reveal_to_acquirer(), b"737");
        assert_eq!(card.holder.unwrap().as_str(), "山田 太郎");
        assert!(read(r#"{"number":"4242424242424242","exp_month":12,"exp_year":2030}"#).unwrap().cvc.is_none());
    }

    /// Each broken rule has its own word.
    #[test]
    fn each_broken_rule_has_its_word() {
        for (text, code) in [
            ("", VaultErrorCode::CardMalformed),
            ("[]", VaultErrorCode::CardMalformed),
            (r#"{"number":4242424242424242,"exp_month":12,"exp_year":2030}"#, VaultErrorCode::CardMalformed),
            (
                r#"{"number":"4242424242424242","exp_month":12,"exp_year":2030,"pin":"1"}"#,
                VaultErrorCode::CardMalformed,
            ),
            (r#"{"number":"4242424242424241","exp_month":12,"exp_year":2030}"#, VaultErrorCode::CardNumberIncorrect),
            (r#"{"number":"4242424242424242","exp_month":12,"exp_year":2020}"#, VaultErrorCode::CardExpired),
            (r#"{"number":"4242424242424242","exp_month":12,"exp_year":2030,"cvc":"1"}"#, VaultErrorCode::CvcInvalid),
            (
                r#"{"number":"4242424242424242","exp_month":12,"exp_year":2030,"name":"a\u0007b"}"#,
                VaultErrorCode::CardMalformed,
            ),
        ] {
            assert_eq!(read(text).err(), Some(code), "{text}");
        }
    }
}
