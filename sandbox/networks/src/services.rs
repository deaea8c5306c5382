//! The services beside the acquirer: what the vault asks of them over HTTPS, and the pages on which they meet people.
//!
//! What may enter by [`Service::asked`]: requests of the holder of the certificate of [`KuraVault`], refused in the handshake otherwise;
//! they may carry a PAN. What may enter by [`Service::pages`]: anybody's, who is shown nothing but what a link names.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use kura_platform::tls::Zone;

const MAX_BODY_LEN: usize = 32 * 1024;

/// The vault, as the networks know it: the name in the certificate that they gave it.
#[derive(Debug, Clone, Copy)]
pub struct KuraVault;

impl Zone for KuraVault {
    const NAME: &'static str = "kura-vault.networks.example";
}

/// The routes of one service.
#[derive(Debug, Default)]
pub struct Service {
    /// For the vault, over mutual TLS.
    pub asked: Router,
    /// For people, over plain HTTP.
    pub pages: Router,
}

/// The routes of all: those for the vault, and those for people.
pub fn merge(services: impl IntoIterator<Item = Service>) -> (Router, Router) {
    let nothing = (Router::new().route("/healthz", get(|| async { "ok" })), Router::new());
    let (asked, pages) = services
        .into_iter()
        .fold(nothing, |(asked, pages), service| (asked.merge(service.asked), pages.merge(service.pages)));
    (asked.layer(DefaultBodyLimit::max(MAX_BODY_LEN)), pages.layer(DefaultBodyLimit::max(MAX_BODY_LEN)))
}
