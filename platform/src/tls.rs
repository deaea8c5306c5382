//! Mutual TLS between zones: TLS 1.3 only, our own CA only, and one named peer for each listener.
//!
//! A listener that belongs to the gateway refuses every other certificate in the handshake, before a byte of HTTP. The
//! name is the certificate's DNS subject alternative name, such as `gateway.kura.internal`.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum_server::tls::TlsInfo;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, version,
};
use serde::Deserialize;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Where a process finds its own certificate and the CA of the other zones.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM, the certificate chain.
    pub certificate: PathBuf,
    /// PEM, PKCS #8.
    pub private_key: PathBuf,
    /// PEM, the internal CA.
    pub ca: PathBuf,
}

/// A TLS set-up that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or is not PEM.
    #[error("can't read {0}: {1}")]
    File(PathBuf, String),
    /// The parts don't make a configuration.
    #[error("TLS: {0}")]
    Rustls(#[from] Error),
    /// The CA can't verify clients.
    #[error("TLS client verifier: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The client could not be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A zone as a peer: the name that its certificate must carry.
pub trait Zone: Send + Sync + 'static {
    /// DNS subject alternative name.
    const NAME: &'static str;
}

/// The public gateway.
#[derive(Debug, Clone, Copy)]
pub struct Gateway;
/// The console.
#[derive(Debug, Clone, Copy)]
pub struct Admin;
/// The vault.
#[derive(Debug, Clone, Copy)]
pub struct Vault;

impl Zone for Gateway {
    const NAME: &'static str = "gateway.kura.internal";
}
impl Zone for Admin {
    const NAME: &'static str = "admin.kura.internal";
}
impl Zone for Vault {
    const NAME: &'static str = "vault.kura.internal";
}

/// Witness: this request came over a connection whose certificate is that of the zone `Z`.
#[derive(Debug, Clone, Copy)]
pub struct Peer<Z: Zone>(PhantomData<Z>);

impl<Z: Zone> Peer<Z> {
    /// The peer's name, for ledgers.
    pub fn name(&self) -> &'static str {
        Z::NAME
    }
}

impl<Z: Zone, S: Sync> FromRequestParts<S> for Peer<Z> {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        // The handshake has refused every other name already (`OnePeer`); this holds a router to the same law that was
        // mounted on the wrong listener.
        let info = parts.extensions.get::<Arc<TlsInfo>>();
        let name = info.and_then(|info| info.peer_certificates.first()).and_then(|der| only_dns_name(der));
        if name.as_deref() == Some(Z::NAME) { Ok(Self(PhantomData)) } else { Err(StatusCode::FORBIDDEN) }
    }
}

impl TlsConfig {
    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate)?;
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::from_pem_file(&self.private_key)
            .map_err(|error| TlsError::File(self.private_key.clone(), error.to_string()))?;
        Ok((certificates(&self.certificate)?, key))
    }

    /// From when to when the certificate is valid.
    ///
    /// # Errors
    /// [`TlsError::File`] when it can't be read.
    pub fn validity(&self) -> Result<(OffsetDateTime, OffsetDateTime), TlsError> {
        let fail = || TlsError::File(self.certificate.clone(), "not an X.509 certificate".to_owned());
        let chain = certificates(&self.certificate)?;
        let (_, parsed) = X509Certificate::from_der(chain.first().ok_or_else(fail)?).map_err(|_| fail())?;
        Ok((parsed.validity().not_before.to_datetime(), parsed.validity().not_after.to_datetime()))
    }

    /// A server that only the zone `Z` can shake hands with.
    ///
    /// # Errors
    /// [`TlsError`] for files that are missing or don't fit together.
    pub fn server_for<Z: Zone>(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider()).build()?;
        let (chain, key) = self.identity()?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(Arc::new(OnePeer { chain: verifier, name: Z::NAME }))
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// A TLS client with this identity and no ALPN, for protocols other than HTTP.
    ///
    /// # Errors
    /// [`TlsError`] for files that are missing or don't fit together.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let (chain, key) = self.identity()?;
        Ok(ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)?)
    }

    /// A TLS client that trusts the same CA and shows no certificate: what a stranger would have.
    ///
    /// # Errors
    /// [`TlsError`] when the CA's file can't be read.
    pub fn anonymous_client_config(&self) -> Result<ClientConfig, TlsError> {
        Ok(ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth())
    }

    /// An HTTP/2 client that presents this identity and connects to `address` as the zone `Z`, whose name is checked.
    ///
    /// # Errors
    /// [`TlsError`] for files that are missing or don't fit together.
    pub fn http_client<Z: Zone>(&self, address: SocketAddr, timeout: Duration) -> Result<reqwest::Client, TlsError> {
        self.http_client_named(Z::NAME, address, timeout)
    }

    /// The same, for a peer outside the zones.
    ///
    /// # Errors
    /// [`TlsError`] for files that are missing or don't fit together.
    pub fn http_client_named(
        &self,
        name: &str,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<reqwest::Client, TlsError> {
        let mut config = self.client_config()?;
        // Without this reqwest silently speaks HTTP/1.1.
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .resolve(name, address)
            .timeout(timeout)
            .connect_timeout(Duration::from_secs(3))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // By default a refused HTTP/2 stream is sent again. Whether to repeat is for the caller to say.
            .retry(reqwest::retry::never())
            .build()?)
    }

    /// The address under which [`Self::http_client`] knows the zone `Z`.
    pub fn base_url<Z: Zone>(address: SocketAddr) -> String {
        format!("https://{}:{}", Z::NAME, address.port())
    }
}

/// A client for plain HTTP, for programs outside the zones.
///
/// # Errors
/// [`TlsError`] when it can't be built.
pub fn public_http_client(timeout: Duration) -> Result<reqwest::Client, TlsError> {
    Ok(public_http_client_builder(timeout)?.build()?)
}

/// The same, which goes nowhere by itself.
///
/// # Errors
/// [`TlsError`] when it can't be built.
pub fn public_http_client_without_redirects(timeout: Duration) -> Result<reqwest::Client, TlsError> {
    Ok(public_http_client_builder(timeout)?.redirect(reqwest::redirect::Policy::none()).build()?)
}

fn public_http_client_builder(timeout: Duration) -> Result<reqwest::ClientBuilder, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder().tls_backend_preconfigured(config).timeout(timeout).no_proxy())
}

/// A client for programs of people outside the zones, on their own machines: it trusts the public authorities, follows nothing,
/// and waits for the next byte no longer than this.
///
/// # Errors
/// [`TlsError`] when it can't be built.
pub fn outside_client(silence: Duration, user_agent: &'static str) -> Result<reqwest::Client, TlsError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .read_timeout(silence)
        .connect_timeout(Duration::from_secs(10))
        .user_agent(user_agent)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()?)
}

/// A client for servers on the internet whose addresses strangers name: it connects to what `resolver` gives and nowhere else,
/// through no proxy, follows nothing, repeats nothing, keeps no connection. It trusts the public authorities, and those of `ca`.
///
/// # Errors
/// [`TlsError`] when the file can't be used, or the client can't be built.
pub fn egress_client(
    resolver: impl reqwest::dns::Resolve + 'static,
    ca: Option<&Path>,
    timeout: Duration,
    user_agent: &'static str,
) -> Result<reqwest::Client, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in ca.map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .dns_resolver(Arc::new(resolver))
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .user_agent(user_agent)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(0)
        .build()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |error: rustls::pki_types::pem::Error| TlsError::File(path.to_owned(), error.to_string());
    CertificateDer::pem_file_iter(path).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)
}

/// The certificate's DNS name, if it has exactly one: a certificate that claims two zones is neither's.
fn only_dns_name(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let only = dns.next()?;
    dns.next().is_none().then_some(only)
}

/// A chain to our CA, and the one name that this listener is for.
#[derive(Debug)]
struct OnePeer {
    chain: Arc<dyn ClientCertVerifier>,
    name: &'static str,
}

impl ClientCertVerifier for OnePeer {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        match only_dns_name(end_entity) {
            Some(name) if name == self.name => Ok(verified),
            other => {
                tracing::warn!(
                    expected = self.name,
                    presented = other,
                    "peer refused: wrong certificate for this listener"
                );
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
