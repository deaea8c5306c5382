//! The vault's side of the acquirer: one long-lived TLS connection, many requests in flight, ISO 8583.

mod connection;
mod messages;

pub use connection::{Acquirer, Reply};
pub(crate) use messages::merchant_code;
pub use messages::{Answer, Presented, Proof, authorization, capture, inquiry, refund, reversal_advice, void};
