//! The payment networks, simulated: an acquirer that speaks ISO 8583 over mutual TLS and keeps books of its own.
//!
//! Purpose: the other side of every payment in the local demo, the tests and the benchmarks. It keeps its own record of what
//! moved, so that a gateway's can be held against it.
//! What may enter: ISO 8583 messages from a holder of a certificate of the networks' CA; the vault's questions to the other
//! [`services`] over mutual TLS; plain HTTP that reads, and what people enter on the services' pages.
//! What may leave: answers; the books.
//! What never does: a PAN or a CVC, neither in the books, nor in their journal, nor in a log. The last four digits are all
//! that is kept, and the message is dropped before anything is written.
//!
//! A message walks [`iso_server`] → [`acquirer`] → [`request`] (what it asks) → [`books`] (a pure decision) → [`journal`]
//! (written down) → the answer.
#![forbid(unsafe_code)]

pub mod acquirer;
pub mod books;
pub mod cards;
pub mod config;
pub mod courier;
pub mod deposits;
pub mod http;
pub mod iso_server;
pub mod journal;
pub mod request;
pub mod services;
pub mod settlement;
pub mod text;
pub mod three_d_secure;
