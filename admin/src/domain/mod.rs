//! Decisions of the console: pure functions over plain values, tested without a server.

pub mod money;
pub mod password;
pub mod role;
pub mod secret;
pub mod session;
pub mod throttle;
pub mod timeline;
pub mod witness;
