//! The edge: everything between a socket and an endpoint. Request ids, limits, reading of bodies, the guard against raw card
//! data, authentication, idempotency, the envelope of errors, security headers.
//!
//! What may enter: anything at all. What may pass: a bounded, parsed, card-free request of a known merchant.

pub mod auth;
pub mod body;
pub mod call;
pub mod client_secret;
pub mod envelope;
pub mod idempotency;
pub mod intake;
pub mod json;
pub mod limits;
pub mod pan_guard;
pub mod request_log;
