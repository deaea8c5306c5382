//! What every Kura process needs and none should write twice: configuration, TLS, listeners, telemetry, the database
//! pool, the clock, randomness, hardening of the process itself, health.
//!
//! Purpose: plumbing. It knows no payment words and no other crate of Kura.
//! What may enter: sockets, files that the configuration names, environment.
//! What never does: card data, or any key that could open it.

pub mod clock;
pub mod config;
pub mod database;
pub mod harden;
pub mod health;
pub mod random;
pub mod redact;
pub mod sealing;
pub mod serve;
pub mod signature;
pub mod standard_webhooks;
pub mod telemetry;
pub mod tls;
pub mod webhook_signature;

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// When the signal handlers can't be installed.
pub async fn shutdown_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
