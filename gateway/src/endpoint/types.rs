//! What parameters are made of: bounded texts, amounts, moments, metadata, and the difference between a parameter that is
//! absent and one that is emptied.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use kura_wire::money::{Currency, MAX_AMOUNT_MINOR, parse_currency};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use url::Url;

use super::read::{refuse, refuse_as};
use crate::codes::Code;
use crate::error::{ApiError, ApiResult};

const MAX_METADATA_KEYS: usize = 50;
const MAX_METADATA_KEY_LEN: usize = 40;
const MAX_METADATA_VALUE_LEN: usize = 500;

/// A text of one to `MAX` characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize = 1000>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Some parameters are names and addresses of people.
impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.chars().count() {
            0 => Err(refuse_as(Code::ParameterInvalidEmpty)),
            len if len > MAX => Err(refuse(format_args!("at most {MAX} characters"))),
            _ => Ok(Self(text)),
        }
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX })
    }
}

/// Another object's id. What is not even well-formed is as absent as what is somebody else's: 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdOf<T>(pub T);

impl<'de, T: FromStr> Deserialize<'de> for IdOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::<255>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| refuse_as(Code::ResourceMissing))
    }
}

impl<T> JsonSchema for IdOf<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 255 })
    }
}

/// A parameter of an update: absent, emptied (`name=`, which unsets), or given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Not sent: it stays.
    #[default]
    Keep,
    /// Sent empty: it goes.
    Clear,
    /// Sent.
    Set(T),
}

impl<T> Patch<T> {
    /// What becomes of a value that is there or not.
    pub fn apply(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The same of another type.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.as_str() == Some("") {
            return Ok(Self::Clear);
        }
        super::read::again(value).map(Self::Set)
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}OrEmpty", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "type": "string", "maxLength": 0 }] })
    }
}

/// An amount of one payment, in the smallest unit of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub i64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            ..1 => Err(refuse_as(Code::AmountTooSmall)),
            amount if amount > MAX_AMOUNT_MINOR => Err(refuse_as(Code::AmountTooLarge)),
            amount => Ok(Self(amount)),
        }
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_AMOUNT_MINOR })
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const MIN: i64, const MAX: i64>(pub i64);

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(refuse(format_args!("between {MIN} and {MAX}")))
        }
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// An amount in minor units as decimal text, as the SDKs write it. Parts of a minor unit are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeDecimal(pub i64);

impl<'de> Deserialize<'de> for WholeDecimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
        let is_whole = !part.is_empty() && part.bytes().all(|byte| byte == b'0');
        let amount = whole.parse::<i64>().ok().filter(|amount| is_whole && amount.abs() <= MAX_AMOUNT_MINOR);
        amount.map(Self).ok_or_else(|| refuse("a whole number of minor units"))
    }
}

impl JsonSchema for WholeDecimal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WholeDecimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^-?[0-9]{1,8}$", "examples": ["1500"] })
    }
}

/// A currency that cards can be charged in, by its three letters in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

impl<'de> Deserialize<'de> for CurrencyCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::<255>::deserialize(deserializer)?;
        let expected = "a three-letter ISO 4217 code of a currency that cards can be charged in";
        parse_currency(&text).map(Self).map_err(|_| refuse(expected))
    }
}

impl JsonSchema for CurrencyCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["jpy"] })
    }
}

/// A moment in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub OffsetDateTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let second = i64::deserialize(deserializer)?;
        moment(second).map(Self).ok_or_else(|| refuse("a Unix time in seconds"))
    }
}

/// The moment, where both calendars, ours and PostgreSQL's, have it.
pub fn moment(second: i64) -> Option<OffsetDateTime> {
    let plausible = (0..=253_402_300_799).contains(&second);
    plausible.then(|| OffsetDateTime::from_unix_timestamp(second).ok()).flatten()
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": 253_402_300_799_i64, "format": "unix-time" })
    }
}

/// The address of a page: https, or http where the shopper's own machine is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebAddress(String);

impl WebAddress {
    /// The address.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::<2000>::deserialize(deserializer)?;
        let url = Url::parse(&text).map_err(|_| refuse("an address such as https://shop.example/thanks"))?;
        let plain = url.username().is_empty() && url.password().is_none() && url.host().is_some();
        let own = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.scheme() {
            "https" if plain => Ok(Self(url.into())),
            "http" if plain && own => Ok(Self(url.into())),
            _ => Err(refuse("an https address without a name and password in it")),
        }
    }
}

impl JsonSchema for WebAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WebAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "uri", "maxLength": 2000, "examples": ["https://shop.example/thanks"] })
    }
}

/// The merchant's own data. An empty value removes its key, an empty whole removes all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Metadata {
    /// Not sent.
    #[default]
    Keep,
    /// `metadata=`.
    Clear,
    /// Each entry is set, or removed where it is empty.
    Merge(Vec<(String, String)>),
}

impl Metadata {
    /// Of a new object.
    ///
    /// # Errors
    /// `metadata_too_large`.
    pub fn of_new(self) -> ApiResult<Map<String, Value>> {
        self.apply(Map::new())
    }

    /// What becomes of the data that is there.
    ///
    /// # Errors
    /// `metadata_too_large`.
    pub fn apply(self, mut to: Map<String, Value>) -> ApiResult<Map<String, Value>> {
        match self {
            Self::Keep => {}
            Self::Clear => to.clear(),
            Self::Merge(entries) => {
                for (key, value) in entries {
                    if value.is_empty() {
                        to.remove(&key);
                    } else {
                        to.insert(key, Value::String(value));
                    }
                }
            }
        }
        if to.len() > MAX_METADATA_KEYS {
            return Err(ApiError::new(Code::MetadataTooLarge).on("metadata"));
        }
        Ok(to)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MetadataVisitor(PhantomData))
    }
}

struct MetadataVisitor(PhantomData<()>);

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Metadata, E> {
        if text.is_empty() { Ok(Metadata::Clear) } else { Err(refuse("an object of strings")) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            let value = match value {
                Value::String(text) => text,
                Value::Null => String::new(),
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Array(_) | Value::Object(_) => return Err(refuse("a string")),
            };
            let fits = (1..=MAX_METADATA_KEY_LEN).contains(&key.chars().count())
                && !key.contains(['[', ']', '\0'])
                && value.chars().count() <= MAX_METADATA_VALUE_LEN
                && !value.contains('\0');
            if !fits || entries.len() >= MAX_METADATA_KEYS {
                return Err(refuse_as(Code::MetadataTooLarge));
            }
            entries.push((key, value));
        }
        Ok(Metadata::Merge(entries))
    }
}

impl JsonSchema for Metadata {
    fn schema_name() -> Cow<'static, str> {
        "MetadataParam".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Your own data: 50 keys, each with a text. An empty value removes its key.",
            "anyOf": [
                {
                    "type": "object",
                    "maxProperties": MAX_METADATA_KEYS,
                    "propertyNames": { "pattern": "^[^\\[\\]\\u0000]{1,40}$" },
                    "additionalProperties": { "type": "string", "maxLength": MAX_METADATA_VALUE_LEN },
                },
                { "type": "string", "maxLength": 0 },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::read;
    use super::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sent {
        amount: Option<Amount>,
        currency: Option<CurrencyCode>,
        at: Option<Moment>,
        count: Option<Whole<1, 12>>,
        name: Option<Text<5>>,
        id: Option<IdOf<kura_wire::ids::CustomerId>>,
        #[serde(default)]
        note: Patch<Text<5>>,
        #[serde(default)]
        metadata: Metadata,
    }

    fn sent(value: Value) -> Result<Sent, Code> {
        read(value.as_object().cloned().unwrap()).map_err(|error| error.code())
    }

    fn code(value: Value) -> Code {
        sent(value).unwrap_err()
    }

    /// Amounts are whole, positive and below what can be charged; the other types have their bounds.
    #[test]
    fn values_have_their_bounds() {
        assert_eq!(sent(json!({"amount": "99999999"})).unwrap().amount, Some(Amount(99_999_999)));
        assert_eq!(code(json!({"amount": 0})), Code::AmountTooSmall);
        assert_eq!(code(json!({"amount": -5})), Code::AmountTooSmall);
        assert_eq!(code(json!({"amount": 100_000_000})), Code::AmountTooLarge);
        assert_eq!(code(json!({"amount": "1.5"})), Code::ParameterInvalidInteger);
        assert!(sent(json!({"currency": "JPY"})).unwrap().currency.is_some());
        assert_eq!(code(json!({"currency": "xxx"})), Code::ParameterInvalid);
        assert!(sent(json!({"at": "253402300799"})).unwrap().at.is_some());
        assert_eq!(code(json!({"at": 253_402_300_800_i64})), Code::ParameterInvalid);
        assert_eq!(sent(json!({"count": 12})).unwrap().count, Some(Whole(12)));
        assert_eq!(
            (code(json!({"count": 0})), code(json!({"count": 13}))),
            (Code::ParameterInvalid, Code::ParameterInvalid)
        );
        assert_eq!(sent(json!({"name": "あいうえお"})).unwrap().name.as_deref(), Some("あいうえお"));
        assert_eq!(code(json!({"name": "123456"})), Code::ParameterInvalid);
        assert_eq!(code(json!({"name": ""})), Code::ParameterInvalidEmpty);
        assert_eq!(code(json!({"id": "cus_1"})), Code::ResourceMissing);
        assert!(sent(json!({"id": format!("cus_{}", "0".repeat(26))})).unwrap().id.is_some());
    }

    /// Absent keeps, empty clears, a value sets.
    #[test]
    fn a_patch_tells_absent_from_empty() {
        let after = |value| sent(value).unwrap().note.map(Text::into_string).apply(Some("old".to_owned()));
        assert_eq!(after(json!({})), Some("old".to_owned()));
        assert_eq!(after(json!({"note": null})), Some("old".to_owned()));
        assert_eq!(after(json!({"note": ""})), None);
        assert_eq!(after(json!({"note": "new"})), Some("new".to_owned()));
        assert_eq!(code(json!({"note": "too long"})), Code::ParameterInvalid);
    }

    /// Entries are merged; an empty one is removed, an empty whole clears; the limits are Stripe's.
    #[test]
    fn metadata_is_merged_within_limits() {
        let before = json!({"a": "1", "b": "2"}).as_object().cloned().unwrap();
        let after = |value| {
            sent(json!({ "metadata": value }))
                .and_then(|sent| sent.metadata.apply(before.clone()).map(Value::Object).map_err(|error| error.code()))
        };
        assert_eq!(after(json!({"b": "", "c": 3, "d": true})), Ok(json!({"a": "1", "c": "3", "d": "true"})));
        assert_eq!(after(json!("")), Ok(json!({})));
        assert_eq!(after(Value::Null), Ok(json!({"a": "1", "b": "2"})));
        let many = |count: usize| (0..count).map(|n| (format!("k{n}"), json!("v"))).collect::<Map<String, Value>>();
        assert!(after(many(48).into()).is_ok());
        assert_eq!(after(many(49).into()), Err(Code::MetadataTooLarge));
        assert_eq!(after(many(51).into()), Err(Code::MetadataTooLarge));
        assert_eq!(after(json!({"k".repeat(41): "v"})), Err(Code::MetadataTooLarge));
        assert_eq!(after(json!({"k[0]": "v"})), Err(Code::MetadataTooLarge));
        assert_eq!(after(json!({"k": "v".repeat(501)})), Err(Code::MetadataTooLarge));
        assert_eq!(after(json!({"k": {"deep": 1}})), Err(Code::ParameterInvalid));
        assert_eq!(after(json!("text")), Err(Code::ParameterInvalid));
    }
}
