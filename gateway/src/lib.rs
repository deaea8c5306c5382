//! The gateway: Kura's public zone. Merchant API, checkout files, control plane.
//!
//! Purpose: it authenticates merchants, keeps payments and their books, and asks the vault to *use* cards.
//! What may enter: tokens, sealed boxes, amounts, the merchant's own data. What may leave: the same, BIN and last four.
//! What never does either: a PAN, a CVC, or any key that could open one. Raw card data is refused at the edge.
//!
//! A request walks `edge → routes → domain → store / vault_client` and back out once. Handlers have five beats: extract,
//! load, decide, effect, render. The two ideas that keep money safe are in [`request_ids`] and [`money_path`]; the one that
//! keeps them fast is in [`lanes`].
#![forbid(unsafe_code)]
// The objects of the API are large `json!` literals.
#![recursion_limit = "256"]

pub mod api_key;
pub mod app;
pub mod billing;
pub mod codes;
pub mod commands;
pub mod config;
pub mod deposits;
pub mod disputes;
pub mod domain;
pub mod edge;
pub mod endpoint;
pub mod error;
pub mod events;
pub mod keys;
pub mod lanes;
pub mod merchants;
pub mod money_path;
pub mod reconciliation;
pub mod recovery;
pub mod render;
pub mod request_ids;
pub mod routes;
pub mod secret;
pub mod signals;
pub mod store;
pub mod three_d_secure;
pub mod vault_client;
pub mod vault_nodes;
pub mod webhooks;
