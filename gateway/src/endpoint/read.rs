//! Reads a request's tree of parameters into the type that the endpoint declares, and says of what does not fit which
//! parameter it is, by the name that the merchant wrote (`card[sealed_box][origin]`).
//!
//! The tree comes from a form, where all is text, or from JSON. So a whole number may come as digits, a boolean as `true` or
//! `false`, a list with empty or numbered brackets, an empty list as an empty text. A type that names unknown fields (with
//! `#[serde(deny_unknown_fields)]`, as all parameter types do) gets `parameter_unknown` for them at any depth.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::codes::Code;
use crate::error::{ApiError, ApiResult};

/// Items that a list has at the most.
const MAX_LIST_LEN: usize = 100;

/// Reads the parameters.
///
/// # Errors
/// `parameter_missing`, `parameter_unknown`, `parameter_invalid_empty`, `parameter_invalid_integer`, `parameter_invalid`, or
/// the code that the parameter's own type names with [`refuse`].
pub fn read<T: DeserializeOwned>(tree: Map<String, Value>) -> ApiResult<T> {
    T::deserialize(Reader(Value::Object(tree))).map_err(ReadError::into_api)
}

/// What a parameter's own type says when its value won't do: `must be …`.
pub fn refuse<E: serde::de::Error>(expected: impl fmt::Display) -> E {
    E::custom(expected)
}

/// The same with a code of its own, whose own words are used.
pub fn refuse_as<E: serde::de::Error>(code: Code) -> E {
    E::custom(ReadError::of(Problem::As(code)))
}

/// Reads a value that a type has taken as it is, to look at it first.
pub fn again<'de, T: Deserialize<'de>, E: serde::de::Error>(value: Value) -> Result<T, E> {
    T::deserialize(Reader(value)).map_err(E::custom)
}

/// What did not fit, and where.
#[derive(Debug, Serialize, Deserialize)]
struct ReadError {
    problem: Problem,
    /// From the inside out.
    path: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Problem {
    Missing,
    Unknown,
    Integer,
    Invalid(String),
    #[serde(with = "word")]
    As(Code),
}

/// A code as its word.
mod word {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::codes::Code;

    pub(super) fn serialize<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(code.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let word = String::deserialize(deserializer)?;
        Code::of_word(&word).ok_or_else(|| serde::de::Error::custom("a code"))
    }
}

impl ReadError {
    const fn of(problem: Problem) -> Self {
        Self { problem, path: Vec::new() }
    }

    fn must_be(expected: impl fmt::Display) -> Self {
        Self::of(Problem::Invalid(expected.to_string()))
    }

    fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }

    fn name(&self) -> String {
        let mut parts = self.path.iter().rev();
        let head = parts.next().cloned().unwrap_or_default();
        parts.fold(head, |name, part| format!("{name}[{part}]"))
    }

    fn into_api(self) -> ApiError {
        let name = printable(self.name());
        match self.problem {
            Problem::Missing => {
                ApiError::with_message(Code::ParameterMissing, format!("Missing required param: {name}."))
            }
            Problem::Unknown => {
                ApiError::with_message(Code::ParameterUnknown, format!("Received unknown parameter: {name}."))
            }
            Problem::As(Code::ParameterInvalidEmpty) => ApiError::with_message(
                Code::ParameterInvalidEmpty,
                format!("You passed an empty string for '{name}'. Leave it out, or give it a value."),
            ),
            Problem::As(Code::ResourceMissing) => {
                ApiError::missing(self.path.first().map_or("object", String::as_str), &name)
            }
            Problem::As(code) => ApiError::new(code),
            Problem::Integer => {
                ApiError::with_message(Code::ParameterInvalidInteger, format!("Invalid integer: {name}."))
            }
            Problem::Invalid(expected) => {
                ApiError::with_message(Code::ParameterInvalid, format!("Invalid {name}: must be {expected}."))
            }
        }
        .on(name)
    }
}

/// A parameter's name can hold anything; a strange one is not echoed.
fn printable(name: String) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    if name.len() <= 200 && name.bytes().all(plain) { name } else { "(unprintable)".to_owned() }
}

/// Marks a text that stands for a whole [`ReadError`]: serde's errors can carry nothing but text through a type's own code.
const MARK: char = '\u{1}';

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        write!(f, "{MARK}{whole}")
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        match text.strip_prefix(MARK).and_then(|whole| serde_json::from_str(whole).ok()) {
            Some(error) => error,
            None => Self::must_be(text),
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::must_be(expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::must_be(expected)
    }

    fn unknown_variant(given: &str, expected: &'static [&'static str]) -> Self {
        if given.is_empty() {
            Self::of(Problem::As(Code::ParameterInvalidEmpty))
        } else {
            Self::must_be(format!("one of {}", expected.join(", ")))
        }
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::of(Problem::Unknown).within(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of(Problem::Missing).within(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::must_be("given once").within(field)
    }
}

/// One value of the tree.
struct Reader(Value);

/// `+5` and ` 5` parse in some languages; here a number is written in one way.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => text.parse().ok(),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text == "true" => Some(true),
        Value::String(text) if text == "false" => Some(false),
        _ => None,
    }
}

/// The items of a list, each with its place. `None` when it isn't one.
fn items(value: Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Array(items) => {
            Some(items.into_iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect())
        }
        Value::Object(places) => {
            let mut numbered = places
                .into_iter()
                .map(|(place, item)| Some((place.parse::<u16>().ok()?, place, item)))
                .collect::<Option<Vec<_>>>()?;
            numbered.sort_by_key(|(number, ..)| *number);
            Some(numbered.into_iter().map(|(_, place, item)| (place, item)).collect())
        }
        // How the SDKs write an empty list.
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        _ => None,
    }
}

impl<'de> Deserializer<'de> for Reader {
    type Error = ReadError;

    /// For types that look at the value themselves.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(ref number) => match number.as_i64() {
                Some(number) => visitor.visit_i64(number),
                None => Err(ReadError::of(Problem::Integer)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(entries) => visitor.visit_map(Entries::all(entries)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match boolean(&self.0) {
            Some(value) => visitor.visit_bool(value),
            None => Err(ReadError::must_be("true or false")),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match integer(&self.0) {
            Some(number) => visitor.visit_i64(number),
            None => Err(ReadError::of(Problem::Integer)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::String(text) if text.contains('\0') => Err(ReadError::must_be("text without null characters")),
            Value::String(text) => visitor.visit_string(text),
            _ => Err(ReadError::must_be("a string")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match items(self.0) {
            Some(items) if items.len() > MAX_LIST_LEN => {
                Err(ReadError::must_be(format!("at most {MAX_LIST_LEN} items")))
            }
            Some(items) => visitor.visit_seq(Items(items.into_iter())),
            None => Err(ReadError::must_be("an array")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Object(entries) => visitor.visit_map(Entries::present(entries)),
            _ => Err(ReadError::must_be("an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    /// Words only: `one of a, b`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::String(text) => StringDeserializer::<ReadError>::new(text).deserialize_enum(name, variants, visitor),
            _ => Err(ReadError::must_be(format!("one of {}", variants.join(", ")))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_i64(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Entries {
    rest: serde_json::map::IntoIter,
    with_null: bool,
    value: Option<(String, Value)>,
}

impl Entries {
    /// JSON's `null` is an absent parameter.
    fn present(entries: Map<String, Value>) -> Self {
        Self { rest: entries.into_iter(), with_null: false, value: None }
    }

    /// For types that look for themselves.
    fn all(entries: Map<String, Value>) -> Self {
        Self { rest: entries.into_iter(), with_null: true, value: None }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let with_null = self.with_null;
        let Some((name, value)) = self.rest.find(|(_, value)| with_null || !value.is_null()) else { return Ok(None) };
        let key = seed.deserialize(StringDeserializer::<ReadError>::new(name.clone()))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Reader(value)).map_err(|error| error.within(&name))
    }
}

struct Items(std::vec::IntoIter<(String, Value)>);

impl<'de> SeqAccess<'de> for Items {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some((place, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(item)).map(Some).map_err(|error| error.within(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        price: String,
        quantity: Option<i64>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(deny_unknown_fields)]
    struct Everything {
        name: String,
        amount: Option<i64>,
        active: Option<bool>,
        colour: Option<Colour>,
        items: Option<Vec<Item>>,
        nested: Option<Item>,
        words: Option<Vec<String>>,
    }

    fn read_as(value: Value) -> Result<Everything, (String, String)> {
        let Value::Object(tree) = value else { panic!("an object") };
        read(tree).map_err(|error| {
            let body = error.body("");
            let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
            (text("code"), text("param"))
        })
    }

    fn refused(value: Value) -> (String, String) {
        read_as(value).unwrap_err()
    }

    fn pair(code: &str, param: &str) -> (String, String) {
        (code.to_owned(), param.to_owned())
    }

    /// A form's text and JSON's own types are the same parameters.
    #[test]
    fn forms_and_json_are_read_alike() {
        let form = json!({
            "name": "x", "amount": "1000", "active": "true", "colour": "red",
            "items": {"0": {"price": "p", "quantity": "2"}, "1": {"price": "q"}}, "words": ["a", "b"],
        });
        let json = json!({
            "name": "x", "amount": 1000, "active": true, "colour": "red", "nested": null,
            "items": [{"price": "p", "quantity": 2}, {"price": "q", "quantity": null}], "words": ["a", "b"],
        });
        assert_eq!(read_as(form).unwrap(), read_as(json).unwrap());
        assert_eq!(read_as(json!({"name": "x", "words": ""})).unwrap().words, Some(Vec::new()));
    }

    /// Numbered places are in the order of their numbers, not of their letters.
    #[test]
    fn numbered_lists_keep_their_order() {
        let places: Map<String, Value> = (0..12).map(|n| (n.to_string(), json!(format!("w{n}")))).collect();
        let words = read_as(json!({"name": "x", "words": places})).unwrap().words.unwrap();
        assert_eq!(words.first().map(String::as_str), Some("w0"));
        assert_eq!(words.get(10).map(String::as_str), Some("w10"));
    }

    /// What does not fit is named as the merchant wrote it, brackets and all.
    #[test]
    fn errors_name_the_parameter_with_its_brackets() {
        assert_eq!(refused(json!({})), pair("parameter_missing", "name"));
        assert_eq!(refused(json!({"name": "x", "typo": 1})), pair("parameter_unknown", "typo"));
        assert_eq!(
            refused(json!({"name": "x", "items": [{"price": "p"}, {"price": "p", "typo": 1}]})),
            pair("parameter_unknown", "items[1][typo]")
        );
        assert_eq!(refused(json!({"name": "x", "nested": {}})), pair("parameter_missing", "nested[price]"));
        assert_eq!(refused(json!({"name": "x", "nested": "p"})), pair("parameter_invalid", "nested"));
        assert_eq!(
            refused(json!({"name": "x", "nested": {"price": "p", "quantity": "1.5"}})),
            pair("parameter_invalid_integer", "nested[quantity]")
        );
        for bad in [json!("yes"), json!(1), json!("True"), json!("")] {
            assert_eq!(refused(json!({"name": "x", "active": bad})), pair("parameter_invalid", "active"));
        }
        assert_eq!(refused(json!({"name": "x", "colour": "green"})), pair("parameter_invalid", "colour"));
        assert_eq!(refused(json!({"name": "x", "words": "a"})), pair("parameter_invalid", "words"));
        assert_eq!(refused(json!({"name": "x", "words": {"a": "b"}})), pair("parameter_invalid", "words"));
        assert_eq!(refused(json!({"name": ["x"]})), pair("parameter_invalid", "name"));
        assert_eq!(refused(json!({"name": "a\u{0}"})), pair("parameter_invalid", "name"));
    }

    /// Whole numbers are written in one way.
    #[test]
    fn integers_are_strict() {
        for bad in [json!(10.5), json!("1e3"), json!(""), json!(" 5"), json!("+5"), json!([1]), json!("9".repeat(20))] {
            let error = refused(json!({"name": "x", "amount": bad}));
            assert_eq!(error, pair("parameter_invalid_integer", "amount"));
        }
    }

    /// A parameter's name can carry anything, so a strange one is not echoed.
    #[test]
    fn strange_names_are_not_echoed() {
        let error = refused(json!({"name": "x", "<script>": "1"}));
        assert_eq!(error, pair("parameter_unknown", "(unprintable)"));
    }
}
