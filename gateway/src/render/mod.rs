//! Objects as the API shows them, in Stripe's current shapes. Pure: rows in, an object out.

pub mod balance;
pub mod card;
pub mod charge;
pub mod checkout_session;
pub mod customer;
pub mod dispute;
pub mod event;
pub mod invoice;
pub mod invoice_item;
pub mod payment_intent;
pub mod product;
pub mod refund;
pub mod request_log;
pub mod setup_intent;
pub mod subscription;
pub mod test_clock;
pub mod webhook_delivery;
pub mod webhook_endpoint;

use time::OffsetDateTime;

/// The version of the API whose shapes these are.
pub const API_VERSION: &str = "2026-10-28.endive";

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

/// Properties of Stripe's shape that there is nothing to say for here. They are there, for clients that look at them.
macro_rules! nulls {
    ($name:ident { $($field:ident),* $(,)? }) => {
        /// What there is nothing to say for here.
        #[derive(Debug, Clone, Copy, Default, serde::Serialize, schemars::JsonSchema)]
        pub struct $name {
            $(
                /// Always null.
                pub $field: (),
            )*
        }
    };
}
pub(crate) use nulls;

/// Unix seconds, as the API has it.
pub fn unix(at: OffsetDateTime) -> i64 {
    at.unix_timestamp()
}
