//! What a name, a number or an address must look like, and the one form in which it is kept.

use kura_wire::payer::PersonField;
use kura_wire::vault::VaultErrorCode;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

const MAX_NAME_LEN: usize = 100;
const MAX_ADDRESS_LEN: usize = 300;
/// Digits of a telephone number: Japan's shortest with its area code, and E.164's longest.
const PHONE_LEN: std::ops::RangeInclusive<usize> = 9..=15;
const POSTCODE_LEN: usize = 7;
/// RFC 5321, 4.5.3.1.
const MAX_EMAIL_LEN: usize = 254;
const MAX_LOCAL_LEN: usize = 64;
const MAX_LABEL_LEN: usize = 63;

/// A field's value in the form in which it is kept: names and addresses in NFC, numbers as digits, e-mail as written.
///
/// # Errors
/// The field's own code, without a word of the value.
pub fn check(field: PersonField, text: &str) -> Result<Zeroizing<String>, VaultErrorCode> {
    match field {
        PersonField::Name => line(text, MAX_NAME_LEN).ok_or(VaultErrorCode::NameInvalid),
        PersonField::Address => line(text, MAX_ADDRESS_LEN).ok_or(VaultErrorCode::AddressInvalid),
        PersonField::Phone => phone(text).ok_or(VaultErrorCode::PhoneInvalid),
        PersonField::Postcode => {
            digits(text).filter(|digits| digits.len() == POSTCODE_LEN).ok_or(VaultErrorCode::PostcodeInvalid)
        }
        PersonField::Email => {
            let email = Zeroizing::new(text.trim().nfc().collect::<String>());
            if is_email(&normalized_email(&email)) { Ok(email) } else { Err(VaultErrorCode::EmailInvalid) }
        }
    }
}

/// An e-mail address as the blind index knows it: trimmed, NFKC, and lower case on both sides of the `@`. RFC 5321 lets
/// the local part tell case apart; no provider does, and shoppers don't.
pub fn normalized_email(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.trim().nfkc().flat_map(char::to_lowercase).collect())
}

fn line(text: &str, most: usize) -> Option<Zeroizing<String>> {
    let kept = Zeroizing::new(text.trim().nfc().collect::<String>());
    let fits = (1..=most).contains(&kept.chars().count()) && !kept.chars().any(char::is_control);
    fits.then_some(kept)
}

/// Digits, full-width ones too, without what people write between them.
fn digits(text: &str) -> Option<Zeroizing<String>> {
    const BETWEEN: [char; 9] = ['-', ' ', '(', ')', '.', '\u{2010}', '\u{2011}', '\u{2013}', '\u{2212}'];
    let kept = Zeroizing::new(text.trim().nfkc().filter(|c| !BETWEEN.contains(c)).collect::<String>());
    kept.bytes().all(|byte| byte.is_ascii_digit()).then_some(kept)
}

fn phone(text: &str) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(text.trim().nfkc().collect::<String>());
    let (plus, rest) = text.strip_prefix('+').map_or(("", text.as_str()), |rest| ("+", rest));
    let digits = digits(rest).filter(|digits| PHONE_LEN.contains(&digits.len()))?;
    Some(Zeroizing::new(format!("{plus}{}", digits.as_str())))
}

fn is_email(normalized: &str) -> bool {
    let Some((local, domain)) = normalized.rsplit_once('@') else { return false };
    let local_fits = (1..=MAX_LOCAL_LEN).contains(&local.len())
        && !local.chars().any(|c| c.is_whitespace() || c.is_control() || "()<>[]:;@\\,\"".contains(c));
    let label_fits = |label: &str| {
        (1..=MAX_LABEL_LEN).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    normalized.len() <= MAX_EMAIL_LEN && local_fits && domain.contains('.') && domain.split('.').all(label_fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(field: PersonField, text: &str) -> Option<String> {
        check(field, text).ok().map(|kept| kept.as_str().to_owned())
    }

    /// One form: Japanese in NFC (a dakuten that stands alone is joined to its letter), numbers as digits.
    #[test]
    fn values_have_one_form() {
        assert_eq!(kept(PersonField::Name, " か\u{3099} ").as_deref(), Some("が"));
        assert_eq!(kept(PersonField::Phone, "090-1234-5678").as_deref(), Some("09012345678"));
        assert_eq!(kept(PersonField::Phone, "０９０（１２３４）５６７８").as_deref(), Some("09012345678"));
        assert_eq!(kept(PersonField::Phone, "+81 90 1234 5678").as_deref(), Some("+819012345678"));
        assert_eq!(kept(PersonField::Postcode, "100-0001").as_deref(), Some("1000001"));
        assert_eq!(kept(PersonField::Email, " Taro@Example.JP ").as_deref(), Some("Taro@Example.JP"));
    }

    /// Each broken rule has its field's own code.
    #[test]
    fn what_breaks_a_rule_is_refused() {
        let long = "あ".repeat(301);
        for (field, text, code) in [
            (PersonField::Name, "  ", VaultErrorCode::NameInvalid),
            (PersonField::Name, "a\u{7}b", VaultErrorCode::NameInvalid),
            (PersonField::Name, &long, VaultErrorCode::NameInvalid),
            (PersonField::Address, &long, VaultErrorCode::AddressInvalid),
            (PersonField::Phone, "12345678", VaultErrorCode::PhoneInvalid),
            (PersonField::Phone, "1234567890123456", VaultErrorCode::PhoneInvalid),
            (PersonField::Phone, "090-CALL-ME0", VaultErrorCode::PhoneInvalid),
            (PersonField::Phone, "+", VaultErrorCode::PhoneInvalid),
            (PersonField::Postcode, "123456", VaultErrorCode::PostcodeInvalid),
        ] {
            assert_eq!(check(field, text).err(), Some(code), "{text}");
        }
        for text in ["", "@", "a@", "@b.jp", "a b@c.jp", "a@b", "a@b..jp", "a@-b.jp", "a@b.jp.", "a@@b.jp", "a@b_c.jp"]
        {
            assert_eq!(check(PersonField::Email, text).err(), Some(VaultErrorCode::EmailInvalid), "{text}");
        }
        for text in ["a@b.jp", "taro.yamada+x@mail.example.co.jp", "太郎@例え.テスト"] {
            assert!(check(PersonField::Email, text).is_ok(), "{text}");
        }
    }

    /// Case, width and blanks around it make no other address; another letter does.
    #[test]
    fn one_address_has_one_normal_form() {
        let normal = normalized_email("taro@example.jp");
        for text in [" Taro@Example.JP\n", "ＴＡＲＯ@example.jp", "taro＠example.jp"] {
            assert_eq!(normalized_email(text), normal, "{text}");
        }
        assert_ne!(normalized_email("taro.@example.jp"), normal);
    }
}
