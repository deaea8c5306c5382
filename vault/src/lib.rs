//! Zone 2: the vault.
//!
//! Purpose: the only process that ever holds card data open. It opens the browsers' sealed boxes, seals each PAN under the
//! merchant's own key, writes every later opening into the access ledger before it happens, and talks to the payment
//! networks, since they need the PAN.
//! What may enter: requests of the gateway (data plane) and of the console (control plane), each over its own mutual TLS
//! listener; answers of the payment networks.
//! What may leave: tokens, BIN and last four, outcomes. To the networks: the PAN, for one attempt.
//! What never does: a PAN or a CVC towards the gateway or the console. There is no call that would.

pub mod acquirer;
pub mod card;
pub mod commit;
pub mod config;
pub mod crypto;
pub mod custody;
pub mod cvc_store;
pub mod deposit_network;
pub mod directory;
pub mod domain;
pub mod egress;
pub mod guard;
pub mod import;
pub mod inventory;
pub mod ledger;
pub mod memory;
pub mod person;
pub mod rotation;
pub mod routes;
pub mod serve;
pub mod store;
