//! Reads a request's parameters, one by one, and refuses what is left over.
//!
//! Every endpoint takes what it knows and ends with [`Params::finish`]; so an unknown parameter, at any depth, is an error
//! that names it the way the merchant wrote it (`card[sealed_box][origin]`).

use kura_wire::money::{Money, parse_currency};
use serde_json::{Map, Value};

use crate::codes::Code;
use crate::error::{ApiError, ApiResult};

/// Characters of a text parameter at the most, where nothing narrower is said.
pub const MAX_TEXT_LEN: usize = 1000;
const MAX_LIST_LEN: usize = 100;
const MAX_METADATA_KEYS: usize = 50;
const MAX_METADATA_KEY_LEN: usize = 40;
const MAX_METADATA_VALUE_LEN: usize = 500;

/// What a merchant sent, minus what was taken of it.
#[derive(Debug, Clone, Default)]
pub struct Params {
    path: String,
    rest: Map<String, Value>,
}

impl Params {
    /// The parameters of a request.
    pub fn new(rest: Map<String, Value>) -> Self {
        Self { path: String::new(), rest }
    }

    /// How the merchant wrote this one.
    pub fn name_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.path) }
    }

    /// Takes a parameter, whatever it is. JSON's `null` is an absent one.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_null())
    }

    fn invalid(&self, name: &str, expected: &str) -> ApiError {
        let name = self.name_of(name);
        ApiError::with_message(Code::ParameterInvalid, format!("Invalid {name}: must be {expected}.")).on(name)
    }

    fn missing(&self, name: &str) -> ApiError {
        let name = self.name_of(name);
        ApiError::with_message(Code::ParameterMissing, format!("Missing required param: {name}.")).on(name)
    }

    /// The error of a parameter whose text is not one of the possible ones.
    pub fn invalid_value(&self, name: &str, expected: &str) -> ApiError {
        self.invalid(name, expected)
    }

    /// The error of a parameter that has to be there and isn't.
    pub fn missing_value(&self, name: &str) -> ApiError {
        self.missing(name)
    }

    /// A text that may be empty (which unsets, where that is possible).
    pub fn text_or_empty(&mut self, name: &str) -> ApiResult<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() > MAX_TEXT_LEN => {
                Err(self.invalid(name, &format!("at most {MAX_TEXT_LEN} characters")))
            }
            Some(Value::String(text)) if text.contains('\0') => Err(self.invalid(name, "text without null characters")),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "a string")),
        }
    }

    /// A text that is not empty.
    pub fn text(&mut self, name: &str) -> ApiResult<Option<String>> {
        match self.text_or_empty(name)? {
            Some(text) if text.is_empty() => {
                let name = self.name_of(name);
                let message = format!("You passed an empty string for '{name}'. Leave it out, or give it a value.");
                Err(ApiError::with_message(Code::ParameterInvalidEmpty, message).on(name))
            }
            text => Ok(text),
        }
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str) -> ApiResult<String> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// The same, and no longer than so many characters.
    pub fn required_text_within(&mut self, name: &str, most: usize) -> ApiResult<String> {
        match self.take(name) {
            None => Err(self.missing(name)),
            Some(Value::String(text)) if (1..=most).contains(&text.chars().count()) && !text.contains('\0') => Ok(text),
            Some(Value::String(_)) => Err(self.invalid(name, &format!("1 to {most} characters"))),
            Some(_) => Err(self.invalid(name, "a string")),
        }
    }

    /// A whole number that must be there.
    pub fn required_integer(&mut self, name: &str) -> ApiResult<i64> {
        self.integer(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number, as JSON or as digits.
    pub fn integer(&mut self, name: &str) -> ApiResult<Option<i64>> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            // `+5` and ` 5` parse in some languages; here a number is written in one way.
            Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                text.parse().ok()
            }
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| {
            let name = self.name_of(name);
            ApiError::with_message(Code::ParameterInvalidInteger, format!("Invalid integer: {name}.")).on(name)
        })
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> ApiResult<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(self.invalid(name, "true or false")),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> ApiResult<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.invalid(name, &format!("one of {}", words.join(", ")))
        })
    }

    /// A nested group: `card[…]`.
    pub fn object(&mut self, name: &str) -> ApiResult<Option<Self>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(rest)) => Ok(Some(Self { path: self.name_of(name), rest })),
            Some(_) => Err(self.invalid(name, "an object")),
        }
    }

    /// A nested group that must be there.
    pub fn required_object(&mut self, name: &str) -> ApiResult<Self> {
        self.object(name)?.ok_or_else(|| self.missing(name))
    }

    /// A list of texts: `expand[]=a&expand[]=b`, or with places.
    pub fn texts(&mut self, name: &str) -> ApiResult<Option<Vec<String>>> {
        let values = match self.take(name) {
            None => return Ok(None),
            Some(Value::Array(values)) => values,
            Some(Value::Object(places)) if places.keys().all(|key| key.bytes().all(|byte| byte.is_ascii_digit())) => {
                places.into_iter().map(|(_, value)| value).collect()
            }
            Some(_) => return Err(self.invalid(name, "an array")),
        };
        if values.len() > MAX_LIST_LEN {
            return Err(self.invalid(name, &format!("at most {MAX_LIST_LEN} items")));
        }
        let texts = values.into_iter().map(|value| match value {
            Value::String(text) => Ok(text),
            _ => Err(self.invalid(name, "an array of strings")),
        });
        texts.collect::<ApiResult<_>>().map(Some)
    }

    /// An amount within the bounds of one payment.
    pub fn amount(&mut self, name: &str) -> ApiResult<Option<i64>> {
        let Some(amount) = self.integer(name)? else { return Ok(None) };
        match amount {
            ..1 => Err(ApiError::new(Code::AmountTooSmall).on(self.name_of(name))),
            kura_wire::money::MAX_AMOUNT_MINOR.. if amount > kura_wire::money::MAX_AMOUNT_MINOR => {
                Err(ApiError::new(Code::AmountTooLarge).on(self.name_of(name)))
            }
            amount => Ok(Some(amount)),
        }
    }

    /// `amount` and `currency`, both of which must be there.
    pub fn required_money(&mut self) -> ApiResult<Money> {
        let amount = self.amount("amount")?.ok_or_else(|| self.missing("amount"))?;
        let code = self.required_text("currency")?;
        let currency = parse_currency(&code).map_err(|_| {
            self.invalid("currency", "a three-letter ISO 4217 code of a currency that cards can be charged in")
        })?;
        Money::new(amount, currency).map_err(|_| self.invalid("amount", "a possible amount"))
    }

    /// Metadata as sent: an empty value stands for removal of its key, an empty whole for removal of all.
    pub fn metadata(&mut self) -> ApiResult<Option<MetadataChange>> {
        let sent = match self.take("metadata") {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(MetadataChange::Clear)),
            Some(Value::Object(sent)) => sent,
            Some(_) => return Err(self.invalid("metadata", "an object")),
        };
        let mut entries = Vec::with_capacity(sent.len());
        for (key, value) in sent {
            let value = match value {
                Value::String(text) => text,
                Value::Null => String::new(),
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Array(_) | Value::Object(_) => return Err(self.invalid("metadata", "an object of strings")),
            };
            let fits = (1..=MAX_METADATA_KEY_LEN).contains(&key.chars().count())
                && !key.contains(['[', ']', '\0'])
                && value.chars().count() <= MAX_METADATA_VALUE_LEN
                && !value.contains('\0');
            if !fits {
                return Err(ApiError::new(Code::MetadataTooLarge).on(self.name_of("metadata")));
            }
            entries.push((key, value));
        }
        if entries.len() > MAX_METADATA_KEYS {
            return Err(ApiError::new(Code::MetadataTooLarge).on(self.name_of("metadata")));
        }
        Ok(Some(MetadataChange::Merge(entries)))
    }

    /// All was taken?
    ///
    /// # Errors
    /// `parameter_unknown`, which names what is left.
    pub fn finish(self) -> ApiResult<()> {
        let Some(first) = self.rest.keys().next() else { return Ok(()) };
        let param = shown(&self.name_of(first));
        let message = match self.rest.len() {
            1 => format!("Received unknown parameter: {param}."),
            more => format!("Received {more} unknown parameters, among them {param}."),
        };
        Err(ApiError::with_message(Code::ParameterUnknown, message).on(param))
    }
}

/// A parameter name for an error: the merchant's own, unless it is long or strange, for names can carry anything.
fn shown(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'[' | b']' | b'-' | b'.');
    if name.len() <= 100 && name.bytes().all(plain) { name.to_owned() } else { "(unprintable)".to_owned() }
}

/// What is to become of an object's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataChange {
    /// Remove all.
    Clear,
    /// Set these; remove those whose value is empty.
    Merge(Vec<(String, String)>),
}

impl MetadataChange {
    /// The metadata afterwards.
    ///
    /// # Errors
    /// `metadata_too_large` when the whole has too many keys.
    pub fn apply(self, mut to: Map<String, Value>) -> ApiResult<Map<String, Value>> {
        match self {
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

/// The metadata of a new object.
///
/// # Errors
/// As [`MetadataChange::apply`].
pub fn new_metadata(change: Option<MetadataChange>) -> ApiResult<Map<String, Value>> {
    change.map_or_else(|| Ok(Map::new()), |change| change.apply(Map::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(value: Value) -> Params {
        match value {
            Value::Object(rest) => Params::new(rest),
            _ => panic!("an object"),
        }
    }

    fn outcome(error: ApiError) -> (String, String) {
        let body = error.body("");
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("param"))
    }

    /// What was not taken is named as the merchant wrote it, brackets and all.
    #[test]
    fn leftovers_are_named_with_their_brackets() {
        let mut request = params(json!({"card": {"sealed_box": {"typo": "x"}}}));
        let mut card = request.required_object("card").unwrap();
        let sealed = card.required_object("sealed_box").unwrap();
        assert_eq!(
            outcome(sealed.finish().unwrap_err()),
            ("parameter_unknown".into(), "card[sealed_box][typo]".into())
        );
        assert!(card.finish().is_ok());
        assert!(request.finish().is_ok());
    }

    /// A parameter's name can carry anything, so a strange one is not echoed.
    #[test]
    fn strange_names_are_not_echoed() {
        let error = params(json!({"<script>": "1"})).finish().unwrap_err();
        assert_eq!(outcome(error), ("parameter_unknown".into(), "(unprintable)".into()));
    }

    /// Whole numbers come as JSON numbers or as digits; nothing else passes for one.
    #[test]
    fn integers_are_written_in_one_way() {
        for good in [json!(1000), json!("1000")] {
            assert_eq!(params(json!({"amount": good})).integer("amount").unwrap(), Some(1000));
        }
        for bad in [
            json!(10.5),
            json!("10.5"),
            json!("1e3"),
            json!(""),
            json!(" 5"),
            json!("+5"),
            json!([1]),
            json!(true),
            json!("99999999999999999999"),
        ] {
            let error = params(json!({"amount": bad})).integer("amount").unwrap_err();
            assert_eq!(outcome(error), ("parameter_invalid_integer".into(), "amount".into()));
        }
        assert_eq!(params(json!({})).integer("amount").unwrap(), None);
    }

    /// Amounts have both bounds, and a currency must be one that cards know.
    #[test]
    fn money_is_checked() {
        let code = |value: Value| outcome(params(value).required_money().unwrap_err());
        assert_eq!(code(json!({})), ("parameter_missing".into(), "amount".into()));
        assert_eq!(code(json!({"amount": 5})), ("parameter_missing".into(), "currency".into()));
        assert_eq!(code(json!({"amount": 0})), ("amount_too_small".into(), "amount".into()));
        assert_eq!(code(json!({"amount": -5})), ("amount_too_small".into(), "amount".into()));
        assert_eq!(code(json!({"amount": 100_000_000})), ("amount_too_large".into(), "amount".into()));
        assert_eq!(code(json!({"amount": 5, "currency": "xxx"})), ("parameter_invalid".into(), "currency".into()));
        assert!(params(json!({"amount": "99999999", "currency": "JPY"})).required_money().is_ok());
    }

    /// Empty is not absent.
    #[test]
    fn empty_texts_are_refused_where_they_unset_nothing() {
        let error = params(json!({"payment_method": ""})).text("payment_method").unwrap_err();
        assert_eq!(outcome(error), ("parameter_invalid_empty".into(), "payment_method".into()));
    }

    /// Lists come as arrays or with numbered places; a word in a place's stead is no list.
    #[test]
    fn lists_come_in_both_shapes() {
        for list in [json!(["a", "b"]), json!({"0": "a", "1": "b"})] {
            assert_eq!(params(json!({"expand": list})).texts("expand").unwrap().unwrap(), ["a", "b"]);
        }
        for bad in [json!("a"), json!([1]), json!({"x": "a"}), json!([["a"]])] {
            assert!(params(json!({"expand": bad})).texts("expand").is_err());
        }
    }

    /// 50 keys of 40 characters with values of 500, and not one more of any.
    #[test]
    fn metadata_has_its_limits() {
        let with = |keys: usize, key_len: usize, value_len: usize| {
            let entries: Map<String, Value> =
                (0..keys).map(|n| (format!("{n:0>key_len$}"), Value::String("é".repeat(value_len)))).collect();
            params(json!({"metadata": entries})).metadata()
        };
        assert!(with(50, 40, 500).is_ok());
        assert!(with(51, 40, 500).is_err());
        assert!(with(50, 41, 500).is_err());
        assert!(with(50, 40, 501).is_err());
        assert!(params(json!({"metadata": {"a[b": "1"}})).metadata().is_err());
    }

    /// An empty value removes its key, an empty whole removes all, and the sum keeps to the limit.
    #[test]
    fn metadata_is_merged_as_stripe_does() {
        let have = || json!({"a": "1", "b": "2"}).as_object().cloned().unwrap();
        let change = params(json!({"metadata": {"a": "", "c": "3"}})).metadata().unwrap().unwrap();
        assert_eq!(Value::Object(change.apply(have()).unwrap()), json!({"b": "2", "c": "3"}));
        let clear = params(json!({"metadata": ""})).metadata().unwrap().unwrap();
        assert_eq!(Value::Object(clear.apply(have()).unwrap()), json!({}));
        let fifty = (0..50).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        assert!(MetadataChange::Merge(fifty).apply(have()).is_err());
    }
}
