//! Who may talk to whom: every control plane answers the console's certificate alone, every data plane the gateway's alone,
//! and the wrong one is refused in the handshake.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::Arc;

use kura_platform::tls::{Gateway, TlsConfig, Vault, Zone};
use kura_tests::{Stack, block_on};
use kura_wire::{control, vault};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn certificate_of(stack: &Stack, service: &str) -> TlsConfig {
    let directory = &stack.run().tls[service];
    let file = |name: &str| directory.join(name);
    TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") }
}

/// The first line of a zone's answer to a certificate, or why there is none. Below HTTP clients on purpose: TLS 1.3 tells a
/// refused client only when it reads, and an HTTP client would hide that alert.
fn ask<Z: Zone>(tls: ClientConfig, address: SocketAddr, path: &str) -> Result<String, String> {
    ask_named(Z::NAME, tls, address, path)
}

fn ask_named(name: &str, tls: ClientConfig, address: SocketAddr, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let conversation = async {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    block_on(conversation).map_err(|error| format!("{error:?}"))
}

fn of(certificate: &TlsConfig) -> ClientConfig {
    certificate.client_config().expect("a configuration")
}

/// Refused by a TLS alert about the certificate: not by HTTP, not by silence.
fn assert_refused(outcome: Result<String, String>, who: &str) {
    let error = outcome.expect_err(who);
    let alerts = ["CertificateRequired", "UnknownCA", "AccessDenied", "UnsupportedCertificate"];
    assert!(
        alerts.iter().any(|alert| error.contains(&format!("AlertReceived({alert})"))),
        "{who}: not refused by TLS: {error}"
    );
}

const OK: &str = "HTTP/1.1 200 OK";

/// The right certificate gets in: without this, the refusals below would prove nothing.
#[test]
fn each_plane_answers_its_own_peer() {
    let stack = Stack::shared();
    let run = stack.run();
    let certificate = |service| of(&certificate_of(stack, service));
    let answered = |outcome: Result<String, String>| assert_eq!(outcome.as_deref(), Ok(OK));
    answered(ask::<Vault>(certificate("gateway"), run.vault_data_plane, vault::PATH_SEALING_KEYS));
    answered(ask::<Vault>(certificate("admin"), run.control["vault"], control::PATH_STATUS));
    answered(ask::<Gateway>(certificate("admin"), run.control["gateway"], control::PATH_STATUS));
}

/// The gateway's certificate is refused on both control planes, the console's on the data plane, the vault's everywhere.
#[test]
fn a_certificate_of_another_zone_is_refused() {
    let stack = Stack::shared();
    let run = stack.run();
    let certificate = |service| of(&certificate_of(stack, service));
    let status = control::PATH_STATUS;
    let control = |service: &str| run.control[service];
    assert_refused(ask::<Vault>(certificate("gateway"), control("vault"), status), "gateway, vault's control plane");
    assert_refused(
        ask::<Gateway>(certificate("gateway"), control("gateway"), status),
        "gateway, its own control plane",
    );
    assert_refused(
        ask::<Vault>(certificate("admin"), run.vault_data_plane, vault::PATH_SEALING_KEYS),
        "admin, vault's data plane",
    );
    assert_refused(ask::<Vault>(certificate("vault"), run.vault_data_plane, status), "vault, its own data plane");
    assert_refused(ask::<Vault>(certificate("vault"), control("vault"), status), "vault, its own control plane");
}

/// A certificate of the networks' CA, which the zones don't know, and none at all, are refused on every plane.
#[test]
fn a_stranger_is_refused() {
    let stack = Stack::shared();
    let run = stack.run();
    let inside = certificate_of(stack, "gateway");
    let stranger = TlsConfig { ca: inside.ca.clone(), ..certificate_of(stack, "vault_to_acquirer") };
    let nobody = || inside.anonymous_client_config().expect("a configuration");
    for address in [run.vault_data_plane, run.control["vault"]] {
        assert_refused(ask::<Vault>(of(&stranger), address, control::PATH_STATUS), "the networks' CA");
        assert_refused(ask::<Vault>(nobody(), address, control::PATH_STATUS), "no certificate");
    }
    assert_refused(ask::<Gateway>(of(&stranger), run.control["gateway"], control::PATH_STATUS), "the networks' CA");
    assert_refused(ask::<Gateway>(nobody(), run.control["gateway"], control::PATH_STATUS), "no certificate");
}

/// The networks' services answer the certificate that the vault has of them, and no other: none of the zones, none of their own,
/// no holder of none.
#[test]
fn the_networks_services_answer_the_vault_alone() {
    let stack = Stack::shared();
    let run = stack.run();
    let vaults = certificate_of(stack, "vault_to_acquirer");
    let with_ca = |service| of(&TlsConfig { ca: vaults.ca.clone(), ..certificate_of(stack, service) });
    let ask = |tls| ask_named("services.networks.example", tls, run.services, "/healthz");
    assert_eq!(ask(of(&vaults)).as_deref(), Ok(OK));
    for stranger in ["vault", "gateway", "admin", "networks", "networks_services"] {
        assert_refused(ask(with_ca(stranger)), stranger);
    }
    assert_refused(ask(vaults.anonymous_client_config().expect("a configuration")), "no certificate");
}
