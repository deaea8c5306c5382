//! The listener for the vault: whose certificate gets in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // The helpers of a test fail as the test does.

mod common;

use std::time::Duration;

use common::{Authority, Folder, listen};
use kura_networks::services::{self, KuraVault};
use kura_platform::tls::{TlsConfig, Zone};

const SERVICES: &str = "services.networks.example";

async fn is_answered(tls: &TlsConfig, address: std::net::SocketAddr) -> bool {
    let client = tls.http_client_named(SERVICES, address, Duration::from_secs(5)).unwrap();
    let answer = client.get(format!("https://{SERVICES}:{}/healthz", address.port())).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// The name in the certificate decides: another client of the same CA, with a certificate as good, is refused.
#[tokio::test]
async fn only_the_vaults_certificate_gets_in() {
    let folder = Folder::new();
    let networks = Authority::new(&folder, "networks");
    let own = networks.identity(&folder, SERVICES, &networks);
    let (listener, address) = listen();
    let (asked, _) = services::merge([]);
    let handle = kura_platform::serve::handle_until_signal();
    tokio::spawn(kura_platform::serve::mutual_tls(listener, own.server_for::<KuraVault>().unwrap(), asked, handle));
    assert!(is_answered(&networks.identity(&folder, KuraVault::NAME, &networks), address).await);
    assert!(!is_answered(&networks.identity(&folder, "client.networks.example", &networks), address).await);
    let strangers = Authority::new(&folder, "strangers");
    assert!(!is_answered(&strangers.identity(&folder, KuraVault::NAME, &networks), address).await);
}
