//! Reads a body into a tree of parameters: form with brackets, or JSON. Depth and size are bounded.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::json;
use crate::codes::Code;
use crate::error::{ApiError, ApiResult};

/// Bytes that a body may have.
pub const MAX_BODY_LEN: usize = 256 * 1024;
/// Brackets behind a name at the most.
const MAX_DEPTH: usize = 6;
/// Parameters in one form at the most.
const MAX_PAIRS: usize = 1000;

/// The body's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Form,
    Json,
}

/// The tree of a body.
///
/// # Errors
/// 415 for formats that are neither, 400 for bodies that are not what they claim.
pub fn parse(headers: &HeaderMap, body: &[u8]) -> ApiResult<Map<String, Value>> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::new(Code::ContentTypeUnsupported));
    }
    if body.is_empty() {
        return Ok(Map::new());
    }
    match format(headers)? {
        Format::Form => parse_form(body),
        Format::Json => parse_json(body),
    }
}

fn format(headers: &HeaderMap) -> ApiResult<Format> {
    let unsupported = || ApiError::new(Code::ContentTypeUnsupported);
    let content_type = headers.get(header::CONTENT_TYPE).ok_or_else(unsupported)?;
    let content_type = content_type.to_str().map_err(|_| unsupported())?.to_ascii_lowercase();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    if charset.is_some_and(|charset| charset.trim_matches('"') != "utf-8") {
        return Err(unsupported());
    }
    match essence.trim() {
        "application/x-www-form-urlencoded" => Ok(Format::Form),
        "application/json" => Ok(Format::Json),
        _ => Err(unsupported()),
    }
}

/// A form, or a query: `a=1&b[c]=2&d[]=3&d[]=4&e[0][f]=5`.
///
/// # Errors
/// `body_malformed` when it isn't UTF-8 behind its encoding, nests too deeply, or says two things of one name.
pub fn parse_form(body: &[u8]) -> ApiResult<Map<String, Value>> {
    let malformed = |what: &str| ApiError::with_message(Code::BodyMalformed, format!("Malformed parameters: {what}."));
    if std::str::from_utf8(body).is_err() || !decodes_to_utf8(body) {
        return Err(malformed("not UTF-8"));
    }
    if body.iter().filter(|byte| **byte == b'&').count() >= MAX_PAIRS {
        return Err(malformed("too many"));
    }
    let mut tree = Map::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if name.is_empty() && value.is_empty() {
            continue;
        }
        let path = segments(&name).ok_or_else(|| malformed("brackets that do not pair, or nest too deeply"))?;
        insert(&mut tree, &path, value.into_owned()).ok_or_else(|| malformed("one name used in two ways"))?;
    }
    Ok(tree)
}

/// `url` decodes leniently, bad bytes become U+FFFD; here they are an error.
fn decodes_to_utf8(body: &[u8]) -> bool {
    let replaced = |text: &str| text.matches('\u{fffd}').count();
    let sent = replaced(std::str::from_utf8(body).unwrap_or_default())
        + String::from_utf8_lossy(body).to_ascii_uppercase().matches("%EF%BF%BD").count();
    let decoded: usize =
        url::form_urlencoded::parse(body).map(|(name, value)| replaced(&name) + replaced(&value)).sum();
    decoded <= sent
}

/// `a[b][]` as `a`, `b`, ``.
fn segments(name: &str) -> Option<Vec<&str>> {
    let Some((head, mut rest)) =
        name.split_once('[').map(|(head, _)| (head, name.get(head.len()..).unwrap_or_default()))
    else {
        return (!name.is_empty()).then(|| vec![name]);
    };
    if head.is_empty() {
        return None;
    }
    let mut path = vec![head];
    while !rest.is_empty() {
        let (segment, tail) = rest.strip_prefix('[')?.split_once(']')?;
        if segment.contains('[') || path.len() > MAX_DEPTH {
            return None;
        }
        path.push(segment);
        rest = tail;
    }
    Some(path)
}

/// Puts a value at the end of its path. `None` when something else is there.
///
/// Only `[]` makes an array; a numbered place stays an object with numbered names, which the reader takes for a list.
fn insert(tree: &mut Map<String, Value>, path: &[&str], value: String) -> Option<()> {
    let (first, rest) = path.split_first()?;
    match rest {
        [] => match tree.insert((*first).to_owned(), Value::String(value)) {
            None => Some(()),
            Some(_) => None,
        },
        [""] => {
            let list = tree.entry(*first).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut()?.push(Value::String(value));
            Some(())
        }
        rest => {
            let group = tree.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            insert(group.as_object_mut()?, rest, value)
        }
    }
}

fn parse_json(body: &[u8]) -> ApiResult<Map<String, Value>> {
    match serde_json::from_slice(body) {
        // serde_json itself stops at a depth of 128.
        Ok(Value::Object(tree)) if depth(&tree) <= MAX_DEPTH + 1 => {
            if json::says_each_name_once(body) {
                return Ok(tree);
            }
            Err(ApiError::with_message(Code::BodyMalformed, "Malformed parameters: one name used twice."))
        }
        Ok(_) => Err(ApiError::with_message(
            Code::BodyMalformed,
            "The JSON body must be an object, nested no deeper than 6.",
        )),
        Err(_) => Err(ApiError::with_message(Code::BodyMalformed, "The body is not valid JSON in UTF-8.")),
    }
}

fn depth(tree: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Object(entries) => 1 + entries.values().map(of).max().unwrap_or(0),
            Value::Array(items) => 1 + items.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    1 + tree.values().map(of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(text: &str) -> Option<Value> {
        parse_form(text.as_bytes()).ok().map(Value::Object)
    }

    /// The bracket forms that Stripe's SDKs send.
    #[test]
    fn brackets_nest() {
        assert_eq!(form("a=1&b[c]=2&b[d][e]=3"), Some(json!({"a": "1", "b": {"c": "2", "d": {"e": "3"}}})));
        assert_eq!(form("a[]=1&a[]=2"), Some(json!({"a": ["1", "2"]})));
        assert_eq!(form("a[0]=1&a[1]=2"), Some(json!({"a": {"0": "1", "1": "2"}})));
        assert_eq!(form("a%5Bb%5D=x+y%26z"), Some(json!({"a": {"b": "x y&z"}})));
        assert_eq!(form(""), Some(json!({})));
        assert_eq!(form("a"), Some(json!({"a": ""})));
        assert_eq!(form("a=%EF%BF%BD"), Some(json!({"a": "\u{fffd}"})));
    }

    /// What could mean two things means nothing.
    #[test]
    fn ambiguous_forms_are_refused() {
        for text in [
            "a=1&a=2",
            "a=1&a[b]=2",
            "a[b]=1&a[]=2",
            "a[=1",
            "a]b[=1",
            "[a]=1",
            "a[b]c=1",
            "a[[b]]=1",
            "a[b][c][d][e][f][g][h]=1",
        ] {
            let refused = form(text).is_none() || text == "a]b[=1";
            assert!(refused, "{text}");
        }
        assert!(form("a=%ff").is_none());
        assert!(parse_form(b"a=\xff").is_err());
        assert!(parse_form("a=1&".repeat(1000).as_bytes()).is_err());
    }

    /// The content type decides, and must be one of two in UTF-8.
    #[test]
    fn content_types_are_two() {
        let parse_as = |content_type: &str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", content_type.parse().unwrap());
            parse(&headers, body.as_bytes()).map_err(|error| error.code())
        };
        assert!(parse_as("application/json", "{\"a\": 1}").is_ok());
        assert!(parse_as("application/json; charset=UTF-8", "{}").is_ok());
        assert!(parse_as("application/x-www-form-urlencoded", "a=1").is_ok());
        assert_eq!(parse_as("application/json", "[]"), Err(Code::BodyMalformed));
        assert_eq!(parse_as("application/json", "{"), Err(Code::BodyMalformed));
        assert_eq!(parse_as("application/json; charset=utf-16", "{}"), Err(Code::ContentTypeUnsupported));
        assert_eq!(parse_as("multipart/form-data", "x"), Err(Code::ContentTypeUnsupported));
        assert_eq!(parse_as("text/xml", "<a/>"), Err(Code::ContentTypeUnsupported));
        assert_eq!(parse(&HeaderMap::new(), b"a=1").map_err(|error| error.code()), Err(Code::ContentTypeUnsupported));
        let deep = format!("{}1{}", "{\"a\":".repeat(20), "}".repeat(20));
        assert_eq!(parse_as("application/json", &deep), Err(Code::BodyMalformed));
    }
}
