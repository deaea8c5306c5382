//! What the tests stand on: a whole Kura of their own, started by `kura up` with the processes, roles and mutual TLS that
//! a person gets, on free ports and throwaway data.
//!
//! A [`Stack`] ends with the test program, even with one that is killed. The state of a run in which no test failed is
//! deleted; that of a failed one stays under `target/kura-tests/` to be looked at.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // A harness fails by panicking.

pub mod authority;
mod frozen;
pub mod fuzz;
pub mod generated;
pub mod held;
pub mod issuer;
pub mod key_material;
pub mod ledger;
pub mod linked;
mod operator;
pub mod planes;
pub mod receiver;
mod run;
pub mod search;
pub mod softhsm;
mod stack;
mod vault_peer;

pub use frozen::Frozen;
pub use run::{Keys, Merchants, Run, VaultNode};
pub use stack::{Answer, Options, Stack, program};
pub use vault_peer::VaultPeer;

use std::future::Future;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The clone that is tested.
pub fn workspace() -> PathBuf {
    // Cargo says it at run time too, which is right even where a built target directory was moved.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().expect("the tests crate is in the workspace").to_owned()
}

/// Waits for a future, from a test that isn't asynchronous itself.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    });
    runtime.block_on(future)
}

/// Looks again and again until it is so.
///
/// # Panics
/// After a minute.
pub fn wait_until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}
