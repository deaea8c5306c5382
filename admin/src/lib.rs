//! Zone 3, the console: people who run Kura sign in here, with a password and a passkey, and see what the other zones say.
//!
//! Purpose: own its people, sessions and audit; read the gateway and the vault through their control planes.
//! What may enter: forms of its own pages; payments without card data beyond brand, BIN and last four.
//! What may leave: pages for people who are signed in, enrolment links on the command line.
//! What never does: a PAN, a CVC, any key that opens them; this crate can't even name their types.
#![forbid(unsafe_code)]

pub mod config;
pub mod control;
pub mod domain;
pub mod edge;
pub mod hasher;
pub mod invite;
pub mod routes;
pub mod state;
pub mod store;
pub mod sweep;
pub mod text;
pub mod witness;
