//! What endpoints are made of: kinds of events, and addresses.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Deserializer;
use url::Url;

use crate::edge::call::Context;
use crate::endpoint::read::refuse;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::events::Kind;

/// A kind of events, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnabledEvent(&'static str);

impl<'de> Deserialize<'de> for EnabledEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Text::<64>::deserialize(deserializer)?;
        if &*word == "*" {
            return Ok(Self("*"));
        }
        let kind =
            Kind::parse(&word).ok_or_else(|| refuse("a kind of events such as payment_intent.succeeded, or *"))?;
        Ok(Self(kind.as_str()))
    }
}

impl JsonSchema for EnabledEvent {
    fn schema_name() -> Cow<'static, str> {
        "EnabledEvent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = std::iter::once("*").chain(Kind::ALL.iter().map(|kind| kind.as_str())).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

/// As they are kept: each once; a star stands for all.
///
/// # Errors
/// `parameter_invalid` for none at all.
pub fn enabled_events(sent: Vec<EnabledEvent>) -> ApiResult<Vec<String>> {
    let mut words: Vec<&str> = sent.into_iter().map(|event| event.0).collect();
    words.sort_unstable();
    words.dedup();
    if words.first() == Some(&"*") {
        words.truncate(1);
    }
    if words.is_empty() {
        return Err(ApiError::invalid("enabled_events", "at least one kind of events"));
    }
    Ok(words.into_iter().map(str::to_owned).collect())
}

/// The address, if webhooks may go there.
///
/// # Errors
/// `parameter_invalid`.
pub fn address(context: &Context, sent: &str) -> ApiResult<String> {
    let example = "an https address such as https://shop.example/webhooks";
    let mut url = Url::parse(sent).map_err(|_| ApiError::invalid("url", example))?;
    context.app.webhooks.reach().check(&url).map_err(|expected| ApiError::invalid("url", expected))?;
    url.set_fragment(None);
    Ok(url.into())
}
