//! `expand[]`: an id in an answer becomes the object itself, at any depth that the merchant names, up to four.
//!
//! It works on the finished answer, by the ids' own prefixes: so every object that can be read by its id can be expanded
//! wherever its id stands, with the rights of the key and within the merchant, as if it had been asked for by itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::read;
use super::types::Text;
use crate::codes::Code;
use crate::edge::call::Context;
use crate::edge::client_secret;
use crate::endpoint::rights::{Access, Resource};
use crate::error::{ApiError, ApiResult};
use crate::render::invoice::{ConfirmationSecret, PaymentIntentWord};
use crate::routes::objects;

/// What is shown of an invoice only where it is asked for.
const CONFIRMATION_SECRET: &str = "confirmation_secret";
const MAX_PATHS: usize = 20;
const MAX_DEPTH: usize = 4;

/// An id in an answer that can be expanded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Expandable(pub String);

impl<T: std::fmt::Display> From<T> for Expandable {
    fn from(id: T) -> Self {
        Self(id.to_string())
    }
}

impl JsonSchema for Expandable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expandable".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An id; the object itself where it was named in `expand`.",
            "anyOf": [{ "type": "string" }, { "type": "object" }],
        })
    }
}

/// What was asked to be expanded.
#[derive(Debug, Default)]
pub struct Asked(Vec<Vec<String>>);

/// Takes `expand` out of the tree.
///
/// # Errors
/// 400 for too many, too deep ones.
pub fn take(tree: &mut Map<String, Value>) -> ApiResult<Asked> {
    let Some((name, sent)) = tree.remove_entry("expand") else { return Ok(Asked::default()) };
    let own = std::iter::once((name, sent)).collect();
    let Sent { expand } = read::read(own)?;
    let paths: Vec<Vec<String>> =
        expand.unwrap_or_default().iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
    let depth = |path: &Vec<String>| path.iter().filter(|part| *part != "data").count();
    if paths.len() > MAX_PATHS || paths.iter().any(|path| depth(path) > MAX_DEPTH) {
        return Err(unknown());
    }
    Ok(Asked(paths))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    expand: Option<Vec<Text<200>>>,
}

/// Expands an answer, one level after the other: what stands at one level of a path is looked up together.
///
/// # Errors
/// `expand_unknown` for what is no id in this answer; what reading the object by itself would say.
pub async fn expand(context: &Context, mut answer: Value, asked: &Asked) -> ApiResult<Value> {
    let mut known = HashMap::new();
    for path in &asked.0 {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        for depth in 1..=path.len() {
            let level = path.get(..depth).unwrap_or_default();
            if let Some((&CONFIRMATION_SECRET, invoices)) = level.split_last() {
                context.require(Resource::PaymentIntents, Access::Write)?;
                at(&mut answer, invoices, &mut |value| show_secret(context, value))?;
            }
            let mut found = Vec::new();
            at(&mut answer, level, &mut |value| {
                if let Value::String(id) = value {
                    found.push(id.clone());
                }
            })?;
            look_up(context, found, &mut known).await?;
            at(&mut answer, level, &mut |value| {
                let object = value.as_str().and_then(|id| known.get(id)).cloned();
                if let Some(object) = object {
                    *value = object;
                }
            })?;
        }
    }
    Ok(answer)
}

/// An open invoice's payment is the shopper's to make, with the payment's own client secret.
fn show_secret(context: &Context, invoice: &mut Value) {
    let payment = invoice.pointer("/payments/data/0/payment/payment_intent");
    let payment = payment.and_then(|payment| payment.as_str().or_else(|| payment.get("id")?.as_str()));
    let client_secret = payment.map(|id| client_secret::of_payment(context, id));
    let Some(fields) = invoice.as_object_mut() else { return };
    let is = |name: &str, word: &str| fields.get(name).and_then(Value::as_str) == Some(word);
    if is("object", "invoice")
        && is("status", "open")
        && let Some(client_secret) = client_secret
    {
        let secret = ConfirmationSecret { client_secret, r#type: PaymentIntentWord::default() };
        fields.insert(CONFIRMATION_SECRET.to_owned(), serde_json::to_value(secret).unwrap_or_default());
    }
}

/// Looks up those of the ids that are not known yet.
async fn look_up(context: &Context, mut ids: Vec<String>, known: &mut HashMap<String, Value>) -> ApiResult<()> {
    ids.retain(|id| !known.contains_key(id));
    ids.sort_unstable();
    ids.dedup();
    known.extend(objects::load_all(context, &ids).await?);
    for id in ids {
        if let Entry::Vacant(place) = known.entry(id) {
            let object = objects::load(context, place.key()).await?.ok_or_else(unknown)?;
            place.insert(object);
        }
    }
    Ok(())
}

/// Does something to every value that stands at the end of this path; lists on the way are gone through.
fn at(value: &mut Value, path: &[&str], act: &mut impl FnMut(&mut Value)) -> ApiResult<()> {
    match (value, path.split_first()) {
        (Value::Array(items), Some(_)) => items.iter_mut().try_for_each(|item| at(item, path, act)),
        (Value::Array(items), None) => {
            items.iter_mut().for_each(act);
            Ok(())
        }
        (value, None) => {
            act(value);
            Ok(())
        }
        (Value::Object(fields), Some((first, rest))) => at(fields.get_mut(*first).ok_or_else(unknown)?, rest, act),
        // What is not there needs no expansion; what is no object has nothing to expand.
        (Value::Null, Some(_)) => Ok(()),
        (_, Some(_)) => Err(unknown()),
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::ExpandUnknown).on("expand")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn taken(value: Value) -> Result<usize, Code> {
        take(value.as_object().cloned().as_mut().unwrap()).map(|asked| asked.0.len()).map_err(|error| error.code())
    }

    /// Four deep, and a list's `data` counts for nothing; twenty at once.
    #[test]
    fn expansions_are_bounded() {
        assert_eq!(taken(json!({})), Ok(0));
        assert_eq!(taken(json!({"expand": ["data.a.b.c.d"]})), Ok(1));
        assert_eq!(taken(json!({"expand": ["a.b.c.d.e"]})), Err(Code::ExpandUnknown));
        assert_eq!(taken(json!({"expand": vec!["a"; 21]})), Err(Code::ExpandUnknown));
        assert_eq!(taken(json!({"expand": "a"})), Err(Code::ParameterInvalid));
    }
}
