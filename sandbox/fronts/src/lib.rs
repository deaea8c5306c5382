//! Sample front systems: shops as a merchant of Kura would build them, on the public API and `kura.js` alone.
//!
//! May enter: what a participant types into the shop's own fields, single-use tokens. May leave: payment requests with a
//! token to the gateway. Never here: card data. The card's fields are a frame of the gateway's origin.

mod config;
mod gateway;
mod headers;
mod marathon;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;

pub use config::{FrontsConfig, SecretKey};
use gateway::Gateway;

/// A form with a name, an e-mail address and a token.
const MAX_BODY_LEN: usize = 16 * 1024;
/// Longer than the gateway takes for the slowest network.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the fronts until the process is told to end.
///
/// # Errors
/// When the configuration can't be used or the listener breaks.
pub async fn serve(config: FrontsConfig) -> anyhow::Result<()> {
    let secret = SecretKey::read(&config.secret_key_file)?;
    let listener = kura_platform::serve::bind(config.listener)?;
    let handle = kura_platform::serve::handle_until_signal();
    let router = router(&config, secret)?;
    tracing::info!(address = %config.listener, url = %config.public_url, "ready");
    kura_platform::serve::plain(listener, router, handle).await?;
    Ok(())
}

/// Every page of the fronts. Starts to ask the gateway for the checksum of its script, and keeps asking until it is there.
///
/// # Errors
/// When no HTTP client can be made, or the gateway's address can't stand in a content security policy.
pub fn router(config: &FrontsConfig, secret: SecretKey) -> anyhow::Result<Router> {
    let client = kura_platform::tls::public_http_client(GATEWAY_TIMEOUT)?;
    let gateway = Arc::new(Gateway::new(client, &config.gateway_url, secret));
    tokio::spawn(Arc::clone(&gateway).learn_script_integrity());
    let policy = headers::Policy::for_gateway(&gateway.origin())?;
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .merge(marathon::router(gateway, config.publishable_key.clone()))
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN))
        .layer(axum::middleware::from_fn_with_state(policy, headers::add)))
}
