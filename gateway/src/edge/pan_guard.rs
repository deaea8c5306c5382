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

/// Searches a body as it came, whatever it claims to be. In one that is JSON, `\u5927` is a letter and no digits: many
/// libraries write Japanese like that, and a telephone number behind it is no card number.
///
/// # Errors
/// [`RawCardData`].
pub fn search_raw_body(body: &[u8]) -> Result<(), RawCardData> {
    let text = String::from_utf8_lossy(body);
    search_text(&text).or_else(|found| match unescaped_json(&text) {
        Some(unescaped) => search_text(&unescaped),
        None => Err(found),
    })
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
        if contains_pan(&text) && contains_pan(&with_letters(&without_ids(&text))) {
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

/// The text with its percent-encoded letters beyond ASCII decoded, so that the `84` of `%E3%81%84` (い) is no part of the
/// number behind it. Anything else that begins with `%` stays: it may be no encoding at all.
fn with_letters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        let (before, tail) = rest.split_at_checked(start).unwrap_or((rest, ""));
        out.push_str(before);
        let (letter, len) = encoded_letter(tail).unwrap_or(('%', 1));
        out.push(letter);
        rest = tail.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The letter beyond ASCII that the text begins with in percent-encoding, and the length of that. Its first byte is
/// written with a letter always (`%C2` to `%F4`), so no run of digits can pass for one.
fn encoded_letter(text: &str) -> Option<(char, usize)> {
    let byte = |place: usize| match *text.as_bytes().get(3 * place..3 * place + 3)? {
        [b'%', high, low] => Some(hex(high)? << 4 | hex(low)?),
        _ => None,
    };
    let len = match byte(0)? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let bytes = (0..len).map(byte).collect::<Option<Vec<u8>>>()?;
    Some((std::str::from_utf8(&bytes).ok()?.chars().next()?, 3 * len))
}

/// JSON text with its `\u` escapes as the characters that they are; `None` if it is no JSON, where they may be none.
fn unescaped_json(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        let (before, tail) = rest.split_at_checked(start)?;
        out.push_str(before);
        let unit = tail.strip_prefix("\\u").and_then(|code| u32::from_str_radix(code.get(..4)?, 16).ok());
        // Half of a surrogate pair is no digit either way.
        let len = unit.map_or(2, |_| 6);
        match unit {
            Some(unit) => out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
            None => out.push_str(tail.get(..len)?),
        }
        rest = tail.get(len..)?;
    }
    out.push_str(rest);
    Some(out)
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

    /// What Japanese shops send: names, addresses, telephone numbers, postcodes, konbini's numbers and order numbers, in a
    /// form and in JSON, its letters plain or escaped. Every one of many numbers goes through, by no luck of a check digit.
    #[test]
    fn japanese_orders_are_no_card_numbers() {
        for n in 0..100_u32 {
            let (mobile, tokyo) = (format!("090123456{n:02}"), format!("03-1234-56{n:02}"));
            let hyphens = format!("090-1234-56{n:02}");
            let texts = [
                format!("山田 太郎 {mobile}"),
                format!("大田{mobile}"),
                format!("やまだ\u{3000}はなこ\u{3000}{mobile}"),
                format!("大地 {hyphens}"),
                format!("ヤマダ ハナコ様、{hyphens}"),
                format!("〒530-0001 {hyphens}"),
                format!("〒450-00{n:02} 052-123-4567"),
                format!("〒530-00{n:02} 大阪市北区梅田3-2-13 {tokyo}"),
                format!("丸の内4-2-8 {tokyo}"),
                format!("丸の内４－２－８\u{3000}０９０－１２３４－５６{n:02}"),
                format!("{tokyo} {hyphens}"),
                format!("い1234567890123{n:02}"),
                format!("受付番号 4567{n:02} 確認番号 {mobile}"),
                format!("51234567890{n:02}"),
                format!("20261122101112{n:03}"),
                format!("20261122101112{n:04}"),
                format!("20261122-101112-00{n:02}"),
                format!("2026-11-22T23:59:59.1234567{n:02}+09:00"),
            ];
            for text in texts {
                let form = format!("description={}&metadata[phone]={mobile}&metadata[n]=1", form_encoded(&text));
                assert_eq!(search_raw_body(form.as_bytes()), Ok(()), "{form} is {text}");
                let tree = json!({"description": text, "metadata": {"phone": mobile, "n": 1}});
                assert_eq!(search_tree(&tree), Ok(()), "{tree}");
                for json in [tree.to_string(), escaped(&tree)] {
                    assert_eq!(search_raw_body(json.as_bytes()), Ok(()), "{json} is {text}");
                }
            }
        }
    }

    /// What is no escape, or stands behind one, hides nothing.
    #[test]
    fn no_escape_hides_a_number() {
        for body in [
            format!(r#"{{"a": "\u5927{PAN}"}}"#),
            format!(r#"{{"a": "\u5927 {PAN}"}}"#),
            r#"{"a": "\\u5105105105105100"}"#.into(),
            r#"{"a": "\u5105105105105100"#.into(),
            r#"{"a": [4242, 4242, 4242, 4242], "b": "\u5927\u5730 090-1234-5678"}"#.into(),
            format!("a=%E3%81%84{PAN}"),
            format!("a=%84{PAN}"),
            "a=4000%0566%9655%6665".into(),
        ] {
            assert_eq!(search_raw_body(body.as_bytes()), Err(RawCardData), "{body}");
        }
    }

    fn form_encoded(text: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
        text.bytes().fold(String::new(), |out, byte| match byte {
            b' ' => out + "+",
            byte if plain(byte) => out + &char::from(byte).to_string(),
            byte => out + &format!("%{byte:02X}"),
        })
    }

    /// As PHP and Python write JSON unless told otherwise.
    fn escaped(tree: &Value) -> String {
        let mut out = String::new();
        for unit in tree.to_string().encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
                _ => out.push_str(&format!("\\u{unit:04x}")),
            }
        }
        out
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
