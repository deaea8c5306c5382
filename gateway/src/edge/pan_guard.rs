//! Refuses raw card data wherever it stands in a request: path, query, headers, body; encoded, grouped, in full-width
//! digits, as a JSON number, or in a body that is no body at all.
//!
//! The gateway must never hold a PAN, not even by a merchant's mistake. The answer says so and repeats nothing.

use std::borrow::Cow;

use axum::http::{HeaderMap, Uri};
use kura_platform::redact::contains_pan;
use kura_wire::ids::{AttemptId, CardToken, ChargeId, CustomerId, MerchantId, PaymentIntentId, RefundId, RequestId};
use serde_json::Value;

/// Headers that hold random digits or addresses by their nature, in which a card number would be found by chance. The
/// gateway reads none of them for more than a comparison, keeps none, logs none and passes none on.
const RANDOM_BY_NATURE: &[&str] = &[
    "baggage",
    "b3",
    "cf-connecting-ip",
    "forwarded",
    "if-none-match",
    "sec-websocket-key",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-forwarded-for",
    "x-real-ip",
];
/// The same, by how their names begin. Ids of traces are numbers of up to 64 bits in decimal here.
const RANDOM_FAMILIES: &[&str] = &["x-datadog-", "x-b3-"];
/// Fields that no request may carry anywhere, whatever is in them; without case, underscores and dashes.
const CARD_SECRETS: &[&str] = &[
    "cardcvc",
    "cardcvc2",
    "cardcvv",
    "cardcvv2",
    "cardsecuritycode",
    "cardverificationcode",
    "cardverificationvalue",
    "cvc",
    "cvc2",
    "cvccode",
    "cvv",
    "cvv2",
    "cvvcode",
    "securitycode",
    "track1",
    "track1data",
    "track2",
    "track2data",
    "trackdata",
];

/// Witness: this request was searched, and nothing in it looks like a card.
#[derive(Debug, Clone, Copy)]
pub struct CardFree(());

/// There is raw card data in the request. Says not where, nor what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawCardData;

/// Searches path, query and headers.
///
/// # Errors
/// [`RawCardData`].
pub fn search_head(uri: &Uri, headers: &HeaderMap) -> Result<(), RawCardData> {
    search_text(uri.path())?;
    uri.query().map_or(Ok(()), search_text)?;
    for (name, value) in headers {
        search_text(name.as_str())?;
        if !is_random(name.as_str()) {
            search_text(&String::from_utf8_lossy(value.as_bytes()))?;
        }
    }
    Ok(())
}

/// Searches a body as it came, whatever it claims to be.
///
/// # Errors
/// [`RawCardData`].
pub fn search_raw_body(body: &[u8]) -> Result<(), RawCardData> {
    search_text(&String::from_utf8_lossy(body))
}

/// Searches a body that could be read: every key, every value, and card fields by their name.
///
/// # Errors
/// [`RawCardData`].
pub fn search_tree(value: &Value) -> Result<(), RawCardData> {
    match value {
        Value::String(text) => search_text(text),
        Value::Number(number) => search_number(number),
        Value::Array(items) => items.iter().try_for_each(search_tree),
        Value::Object(entries) => entries.iter().try_for_each(|(name, value)| {
            search_text(name)?;
            if is_secret(name) || (name == "card" && value.get("number").is_some()) {
                return Err(RawCardData);
            }
            search_tree(value)
        }),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

/// The witness, once head and body were searched.
///
/// # Errors
/// [`RawCardData`].
pub fn search(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<CardFree, RawCardData> {
    search_head(uri, headers)?;
    search_raw_body(body)?;
    Ok(CardFree(()))
}

fn is_random(header: &str) -> bool {
    RANDOM_BY_NATURE.contains(&header) || RANDOM_FAMILIES.iter().any(|family| header.starts_with(family))
}

/// Whether a field of this name holds a card's code or its magnetic track.
fn is_secret(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    let plain: String = letters.collect();
    CARD_SECRETS.contains(&plain.as_str())
}

/// `4.242424242424242e15` is a card number too.
fn search_number(number: &serde_json::Number) -> Result<(), RawCardData> {
    search_text(&number.to_string())?;
    match number.as_f64() {
        Some(float) if (1e12..1e19).contains(&float.abs()) => search_text(&format!("{:.0}", float.abs())),
        _ => Ok(()),
    }
}

/// The text, and the text behind its percent-encoding (twice over), in plain digits.
fn search_text(text: &str) -> Result<(), RawCardData> {
    let mut text = plain_digits(text);
    for _ in 0..3 {
        if contains_pan(&text) && contains_pan(&without_ids(&text)) {
            return Err(RawCardData);
        }
        match percent_decoded(&text) {
            Some(decoded) => text = Cow::Owned(plain_digits(&decoded).into_owned()),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Full-width digits (as Japanese keyboards give them) and the dashes and spaces of all the world, as ASCII.
fn plain_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let plain = |letter: char| match letter {
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(letter) - 0xff10, 10),
        '\u{660}'..='\u{669}' => char::from_digit(u32::from(letter) - 0x660, 10),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{ff0d}' => Some('-'),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => Some(' '),
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => None,
        letter => Some(letter),
    };
    Cow::Owned(text.chars().filter_map(plain).collect())
}

/// One layer of percent-encoding less, or `None` when there is none.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = (byte == b'%').then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?))).flatten();
        match digits {
            Some((high, low)) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            None => out.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// One in some millions of our own ids has a run of digits that passes for a card number. A well-formed id is none.
fn without_ids(text: &str) -> String {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        let (before, tail) = rest.split_at_checked(start).unwrap_or((rest, ""));
        let end = tail.find(|letter| !word(letter)).unwrap_or(tail.len());
        let (candidate, after) = tail.split_at_checked(end).unwrap_or((tail, ""));
        out.push_str(before);
        out.push_str(if is_id(candidate) { "(id)" } else { candidate });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_id(text: &str) -> bool {
    text.parse::<PaymentIntentId>().is_ok()
        || text.parse::<ChargeId>().is_ok()
        || text.parse::<RefundId>().is_ok()
        || text.parse::<CustomerId>().is_ok()
        || text.parse::<MerchantId>().is_ok()
        || text.parse::<AttemptId>().is_ok()
        || text.parse::<RequestId>().is_ok()
        || text.parse::<CardToken>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PAN: &str = "4242424242424242";

    /// However a number is dressed, it is found.
    #[test]
    fn a_number_is_found_in_every_dress() {
        for text in [
            PAN.to_owned(),
            "4242 4242 4242 4242".into(),
            "4242%2042424242%204242".into(),
            "%34%32%34%32%34%32%34%32%34%32%34%32%34%32%34%32".into(),
            "%2534%32424242424242424".replace("%32", "2"),
            "４２４２４２４２４２４２４２４２".into(),
            "4242\u{3000}4242\u{3000}4242\u{3000}4242".into(),
            "4242\u{200b}424242424242".into(),
            format!("note=order+{PAN}&x=1"),
            format!("{{\"a\": \"{PAN}\"}} broken"),
        ] {
            assert_eq!(search_text(&text), Err(RawCardData), "{text}");
        }
    }

    /// In JSON a number may be a number, in any notation, a key, or written with escapes.
    #[test]
    fn trees_are_searched_whole() {
        for body in [
            r#"{"a": 4242424242424242}"#,
            r#"{"a": 4242424242424242.0}"#,
            r#"{"a": 4.242424242424242e15}"#,
            r#"{"a": [{"b": "\u0034\u0032\u0034\u0032424242424242"}]}"#,
            r#"{"4242424242424242": 1}"#,
            r#"{"card": {"number": "x"}}"#,
            r#"{"payment_method_data": {"card": {"CVC": "1"}}}"#,
            r#"{"metadata": {"cvc": "737"}}"#,
            r#"{"a": [{"b": {"Security-Code": 737}}]}"#,
            r#"{"card_cvc": ""}"#,
            r#"{"cardCvv2": "1"}"#,
            r#"{"metadata": {"note": "4242/4242\n4242,4242"}}"#,
        ] {
            let tree: Value = serde_json::from_str(body).unwrap();
            assert_eq!(search_tree(&tree), Err(RawCardData), "{body}");
        }
        let honest = json!({"amount": 1000, "number": "42", "card": {"token": "tok_visa"}, "cvc_check": "pass",
            "metadata": {"order": "2026-11-22"}});
        assert_eq!(search_tree(&honest), Ok(()));
    }

    /// Every header is searched but those that are random by nature; so are path and query.
    #[test]
    fn heads_are_searched() {
        let no_headers = HeaderMap::new();
        for uri in [format!("/v1/{PAN}"), format!("/v1/x?card={PAN}"), "/v1/x?c=4242%204242%204242%204242".into()] {
            assert_eq!(search_head(&uri.parse().unwrap(), &no_headers), Err(RawCardData), "{uri}");
        }
        let uri: Uri = "/v1/tokens".parse().unwrap();
        for (name, refused) in
            [("x-note", true), ("idempotency-key", true), ("authorization", true), ("traceparent", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(name, PAN.parse().unwrap());
            assert_eq!(search_head(&uri, &headers).is_err(), refused, "{name}");
        }
    }

    /// The decimal ids of traces, which are random, stop no merchant's requests; the same digits elsewhere do.
    #[test]
    fn ids_of_traces_are_no_card_numbers() {
        let uri: Uri = "/v1/tokens".parse().unwrap();
        for (name, value) in [
            ("x-datadog-trace-id", PAN),
            ("x-datadog-parent-id", "4242424242424242"),
            ("x-b3-traceid", "4242424242424242"),
            ("x-b3-spanid", PAN),
            ("b3", "4242424242424242-4242424242424242-1"),
            ("x-amzn-trace-id", "Root=1-4242424242424242-4242"),
            ("x-cloud-trace-context", "4242424242424242/4242424242424242;o=1"),
            ("x-forwarded-for", "4242:4242:4242:4242::1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(search_head(&uri, &headers), Ok(()), "{name}");
            headers.insert("idempotency-key", PAN.parse().unwrap());
            assert_eq!(search_head(&uri, &headers), Err(RawCardData), "{name}");
        }
    }

    /// An id of ours that happens to hold such digits goes through; the same digits elsewhere do not.
    #[test]
    fn our_own_ids_are_no_card_numbers() {
        let unlucky = format!("pi_0123{PAN}abcde0");
        assert!(contains_pan(&unlucky));
        assert!(unlucky.parse::<PaymentIntentId>().is_ok());
        assert_eq!(search_text(&format!("/v1/payment_intents/{unlucky}/confirm")), Ok(()));
        assert_eq!(search_text(&format!("/v1/{unlucky}?{PAN}")), Err(RawCardData));
    }
}
