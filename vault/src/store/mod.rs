//! All SQL of the vault, one file for each table. Static text, checked against the schema when it is compiled.

pub mod alerts;
pub mod attempts;
pub mod cards;
pub mod deks;
pub mod imports;
pub mod inventory;
pub mod keks;
pub mod openings;
pub mod reseal;
pub mod rotations;

/// What the database says went wrong. Its message never holds a value of ours: all values are bound parameters.
pub type StoreError = sqlx::Error;

/// Connections to the vault's database.
pub type Pool = sqlx::PgPool;
