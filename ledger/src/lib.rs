//! The access ledger's own mathematics: how a row becomes a leaf, how leaves become a tree (RFC 9162), how a tree is vouched
//! for (C2SP signed notes), and how all of it is verified from an export, on a machine that has no database.
//!
//! Purpose: vault, console, runner and tests compute the same hashes with the same code. No I/O, no clock, no randomness, no
//! private key: signatures are made by whoever holds the vault's identity.
//! What may enter: rows of the ledger, hashes, notes, a stream to read.
//! What may leave: hashes, proofs, findings.
//! What never does: anything that the ledger's rows don't say: they name records, never what is in them.
#![forbid(unsafe_code)]

pub mod export;
pub mod note;
pub mod opening;
pub mod proof;
pub mod tree;
pub mod verify;
pub mod witnessed;
