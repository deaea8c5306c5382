//! All SQL of the vault, one file for each table. Static text, checked against the schema when it is compiled.

pub mod account_updates;
pub mod alerts;
pub mod attempts;
pub mod authentications;
pub mod budget_windows;
pub mod canaries;
pub mod cards;
pub mod catalogue;
pub mod checkpoints;
pub mod custodian_sets;
pub mod customers;
pub mod deks;
pub mod erasures;
pub mod exposed_cards;
pub mod freezes;
pub mod held;
pub mod imports;
pub mod inventory;
pub mod keks;
pub mod ledger_heads;
pub mod ledger_tiles;
pub mod openings;
pub mod payers;
pub mod reseal;
pub mod reseal_customers;
pub mod reseal_payers;
pub mod retention;
pub mod rotations;
pub mod sweeps;

use kura_platform::database::PgPool;

/// What the database says went wrong. Its message never holds a value of ours: all values are bound parameters.
pub type StoreError = sqlx::Error;

/// Connections to the vault's database.
pub type Pool = PgPool;
