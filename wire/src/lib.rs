//! The vocabulary between Kura's zones: ids, money, requests, answers and closed error codes.
//!
//! Purpose: two zones that talk agree on these types and on nothing else. No I/O, no clock, no randomness, no keys.
//! What may enter: names, amounts, tokens, BIN and last four, boxes that are already sealed.
//! What never does: a PAN, a CVC, or any type that could hold one open. Those types live inside the vault.
#![forbid(unsafe_code)]

pub mod card;
pub mod control;
pub mod custody;
pub mod deposit;
pub mod dispute;
pub mod erasure;
pub mod exposed;
pub mod guard;
pub mod ids;
pub mod import;
pub mod keys;
pub mod ledger;
pub mod money;
pub mod notice;
pub mod operator_box;
pub mod payer;
pub mod rotation;
pub mod sealed_box;
pub mod settlement;
pub mod three_d_secure;
pub mod vault;
