//! Objects as the API shows them, in Stripe's current shapes. Pure: rows in, JSON out.

pub mod card;
pub mod charge;
pub mod customer;
pub mod payment_intent;
pub mod refund;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::store::Listed;

/// The type of an object's `object` field: one word, in the answer and in its schema.
macro_rules! word {
    ($name:ident, $word:literal) => {
        #[doc = concat!("The word `", $word, "`.")]
        #[derive(Debug, Clone, Copy, Default, serde::Serialize, schemars::JsonSchema)]
        pub enum $name {
            #[doc = "It."]
            #[default]
            #[serde(rename = $word)]
            Word,
        }
    };
}
pub(crate) use word;

/// Unix seconds, as the API has it.
pub fn unix(at: OffsetDateTime) -> i64 {
    at.unix_timestamp()
}

/// A list object.
pub fn list(url: &str, listed: Listed<Value>) -> Value {
    json!({ "object": "list", "url": url, "has_more": listed.has_more, "data": listed.items })
}
