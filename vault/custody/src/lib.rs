//! Custody of the vault's root key: shares of k of n custodians (Shamir, 1979, over GF(256)), their text form, and the boxes
//! in which they travel.
//!
//! Purpose: the vault splits and combines; a custodian's terminal opens a share's box and seals it to a vault node. Both use
//! this crate, so both agree on every byte.
//! What may enter: a root key to split, shares as people type them, custodians' own keys.
//! What may leave: shares, each sealed to one custodian or one node; a share as text, to its custodian alone.
//! What never does: two shares to one place but the vault. Gateway and console can't name these types.
#![forbid(unsafe_code)]

pub mod custodian_key;
pub mod enter;
mod published;
pub mod share;
pub mod split;
mod text;
