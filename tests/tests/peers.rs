//! Who may talk to whom: every control plane answers the console's certificate alone, every data plane the gateway's alone,
//! and the wrong one is refused in the handshake.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::time::Duration;

use kura_platform::tls::{Gateway, TlsConfig, Vault, Zone};
use kura_tests::{Stack, block_on};
use kura_wire::{control, vault};

fn certificate_of(stack: &Stack, service: &str) -> TlsConfig {
    let directory = &stack.run().tls[service];
    let file = |name: &str| directory.join(name);
    TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") }
}

/// The status that a zone answers a certificate with, or how the connection ended.
fn ask<Z: Zone>(tls: &TlsConfig, address: SocketAddr, path: &str) -> Result<u16, String> {
    let client = tls.http_client::<Z>(address, Duration::from_secs(5)).expect("a client");
    let url = format!("{}{path}", TlsConfig::base_url::<Z>(address));
    block_on(async {
        client.get(url).send().await.map(|answer| answer.status().as_u16()).map_err(|e| format!("{e:?}"))
    })
}

fn assert_refused_in_handshake(outcome: Result<u16, String>, who: &str) {
    let error = outcome.expect_err(who);
    assert!(!error.contains("Connection refused"), "{who}: nobody listens there: {error}");
    assert!(
        [
            "CertificateUnknown",
            "AccessDenied",
            "BadCertificate",
            "UnknownCA",
            "CertificateRequired",
            "UnknownCa",
            "HandshakeFailure",
            "InvalidCertificate"
        ]
        .iter()
        .any(|alert| error.contains(alert)),
        "{who}: not refused by TLS: {error}"
    );
}

/// The right certificate gets in: without this, the refusals below would prove nothing.
#[test]
fn each_plane_answers_its_own_peer() {
    let stack = Stack::shared();
    let run = stack.run();
    let (gateway, admin) = (certificate_of(stack, "gateway"), certificate_of(stack, "admin"));
    assert_eq!(ask::<Vault>(&gateway, run.vault_data_plane, vault::PATH_SEALING_KEYS), Ok(200));
    assert_eq!(ask::<Vault>(&admin, run.control["vault"], control::PATH_STATUS), Ok(200));
    assert_eq!(ask::<Gateway>(&admin, run.control["gateway"], control::PATH_STATUS), Ok(200));
}

/// The gateway's certificate is refused on both control planes, the console's on the data plane, the vault's everywhere.
#[test]
fn a_certificate_of_another_zone_is_refused() {
    let stack = Stack::shared();
    let run = stack.run();
    let certificate = |service| certificate_of(stack, service);
    let status = control::PATH_STATUS;
    let refused = |outcome, who| assert_refused_in_handshake(outcome, who);
    refused(
        ask::<Vault>(&certificate("gateway"), run.control["vault"], status),
        "gateway on the vault's control plane",
    );
    refused(
        ask::<Gateway>(&certificate("gateway"), run.control["gateway"], status),
        "gateway on its own control plane",
    );
    refused(
        ask::<Vault>(&certificate("admin"), run.vault_data_plane, vault::PATH_SEALING_KEYS),
        "admin on the vault's data plane",
    );
    for (address, plane) in [(run.vault_data_plane, "data plane"), (run.control["vault"], "control plane")] {
        let who = format!("the vault itself on its {plane}");
        assert_refused_in_handshake(ask::<Vault>(&certificate("vault"), address, status), &who);
    }
}

/// A certificate of the networks' CA, which the zones don't know, and none at all, are refused on every plane.
#[test]
fn a_stranger_is_refused() {
    let stack = Stack::shared();
    let run = stack.run();
    let inside = certificate_of(stack, "gateway");
    let outside = certificate_of(stack, "vault_to_acquirer");
    let stranger = TlsConfig { ca: inside.ca.clone(), ..outside };
    for address in [run.vault_data_plane, run.control["vault"]] {
        assert_refused_in_handshake(ask::<Vault>(&stranger, address, control::PATH_STATUS), "the networks' CA");
        assert_refused_in_handshake(ask_without_certificate::<Vault>(&inside, address), "no certificate");
    }
    let address = run.control["gateway"];
    assert_refused_in_handshake(ask::<Gateway>(&stranger, address, control::PATH_STATUS), "the networks' CA");
    assert_refused_in_handshake(ask_without_certificate::<Gateway>(&inside, address), "no certificate");
}

/// The same handshake with nothing to show for it.
fn ask_without_certificate<Z: Zone>(trusting: &TlsConfig, address: SocketAddr) -> Result<u16, String> {
    let config = trusting.anonymous_client_config().expect("a configuration");
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .resolve(Z::NAME, address)
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()
        .expect("a client");
    let url = format!("{}{}", TlsConfig::base_url::<Z>(address), control::PATH_STATUS);
    block_on(async {
        client.get(url).send().await.map(|answer| answer.status().as_u16()).map_err(|e| format!("{e:?}"))
    })
}
