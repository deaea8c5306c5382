pub mod config;
pub mod control;
pub mod domain;
pub mod hasher;
pub mod store;
