//! Webhooks: telling merchants' servers of events.
//!
//! Purpose: each event is sent to each endpoint that wanted it when it happened, at least once, signed, for three days.
//! What may leave: the event as `GET /v1/events/{id}` shows it, to an https address that is public. What never does: anything
//! to an address of an inner network ([`address`]), whatever a name resolves to at whatever moment ([`resolver`]).
//!
//! The queue is written in the statement that writes the event ([`crate::store::events`]); [`worker`] empties it; when to try
//! again is for [`crate::domain::webhook`] to say.

pub mod address;
pub mod deliver;
pub mod resolver;
pub mod secret;
pub mod sender;
pub mod worker;
