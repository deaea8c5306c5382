//! All SQL of the vault, one file for each table. Static text, checked against the schema when it is compiled.

pub mod alerts;
pub mod attempts;
pub mod budget_windows;
pub mod canaries;
pub mod cards;
pub mod deks;
pub mod freezes;
pub mod keks;
pub mod openings;

/// What the database says went wrong. Its message never holds a value of ours: all values are bound parameters.
pub type StoreError = sqlx::Error;
