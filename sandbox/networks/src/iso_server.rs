//! ISO 8583 over TLS 1.3. Only holders of a certificate of the networks' CA get through the handshake.
//!
//! Many requests may be in flight on one connection, each in its own task; answers go out in the order in which they are ready,
//! as many in one write as wait. Everything is bounded: connections, time to shake hands, requests in flight, frame length.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kura_iso8583::{FrameReader, Message};
use kura_platform::tls::TlsConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::acquirer::Acquirer;

const MAX_CONNECTIONS: usize = 64;
const MAX_IN_FLIGHT: usize = 1024;
const ANSWERS_IN_ONE_WRITE: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(3600);
const DRAIN: Duration = Duration::from_secs(5);
const LINGER: Duration = Duration::from_secs(1);

/// A TLS set-up that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or is not PEM.
    #[error("can't read {0}: {1}")]
    File(std::path::PathBuf, rustls::pki_types::pem::Error),
    /// The parts don't make a configuration.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The CA can't verify clients.
    #[error("TLS client verifier: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// TLS 1.3, with a client certificate of the networks' CA and no other.
///
/// # Errors
/// [`TlsError`] for files that are missing or don't fit together.
pub fn tls(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.ca)? {
        roots.add(certificate)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let key = PrivateKeyDer::from_pem_file(&config.private_key)
        .map_err(|error| TlsError::File(config.private_key.clone(), error))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&config.certificate)?, key)?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |error| TlsError::File(path.to_owned(), error);
    CertificateDer::pem_file_iter(path).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)
}

/// Accepts connections until `stop` turns true; then lets what is in flight be answered.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: std::net::TcpListener,
    tls: Arc<ServerConfig>,
    acquirer: Arc<Acquirer>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let acceptor = TlsAcceptor::from(tls);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "can't accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(limit = MAX_CONNECTIONS, "too many connections");
            continue;
        };
        let connection = connection(acceptor.clone(), stream, Arc::clone(&acquirer), stop.clone(), permit);
        tokio::spawn(connection);
    }
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(DRAIN, permits.acquire_many(all)).await;
    Ok(())
}

async fn connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    acquirer: Arc<Acquirer>,
    stop: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // Answers are small and awaited: no use in holding them back.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::warn!(%error, "handshake failed"),
        Err(_) => return tracing::warn!("handshake timed out"),
    };
    let (mut reader, writer) = tokio::io::split(stream);
    let (answers, outbox) = mpsc::channel(MAX_IN_FLIGHT);
    let writing = tokio::spawn(write_answers(writer, outbox));
    if let Err(error) = read_requests(&mut reader, acquirer, answers, stop).await {
        tracing::warn!(%error, "connection closed");
    }
    // The outbox closes once the last request in flight is answered or given up.
    let _ = timeout(DRAIN, writing).await;
    let _ = timeout(LINGER, discard(reader)).await;
}

/// Reads what nobody wants any more, until the peer ends too: to close on unread bytes is a reset, and a reset takes answers
/// away from the peer that it hasn't read yet.
async fn discard(mut stream: impl AsyncRead + Unpin) {
    let mut bytes = Zeroizing::new([0; 4096]);
    while matches!(stream.read(&mut bytes[..]).await, Ok(1..)) {}
}

/// Reads until the peer ends, something is wrong, or `stop` turns true.
async fn read_requests(
    mut stream: impl AsyncRead + Unpin,
    acquirer: Arc<Acquirer>,
    answers: mpsc::Sender<Zeroizing<Vec<u8>>>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut frames = FrameReader::new();
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    loop {
        while let Some(message) = frames.next_message().map_err(io::Error::other)? {
            match message {
                Ok(message) => {
                    let permit = Arc::clone(&in_flight).acquire_owned().await.map_err(io::Error::other)?;
                    tokio::spawn(answer(Arc::clone(&acquirer), message, answers.clone(), permit));
                }
                // One bad message must not fail those around it; its sender will time out and ask.
                Err(error) => tracing::warn!(%error, "a message was dropped"),
            }
        }
        let len = tokio::select! {
            read = timeout(IDLE, stream.read(frames.spare())) => read??,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        match len {
            0 if frames.is_empty() => return Ok(()),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => frames.filled(len),
        }
    }
}

async fn answer(
    acquirer: Arc<Acquirer>,
    message: Message,
    answers: mpsc::Sender<Zeroizing<Vec<u8>>>,
    _permit: OwnedSemaphorePermit,
) {
    match acquirer.answer(message).await {
        // A peer that is gone doesn't get its answer; the books have it, and an inquiry finds it.
        Ok(Some(answer)) => _ = answers.send(answer.encode_frame()).await,
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a message was not answered"),
    }
}

/// Writes what waits, as much as waits at once.
async fn write_answers(
    mut stream: impl AsyncWrite + Unpin,
    mut outbox: mpsc::Receiver<Zeroizing<Vec<u8>>>,
) -> io::Result<()> {
    let (mut waiting, mut bytes) = (Vec::with_capacity(ANSWERS_IN_ONE_WRITE), Vec::new());
    while outbox.recv_many(&mut waiting, ANSWERS_IN_ONE_WRITE).await > 0 {
        bytes.clear();
        waiting.drain(..).for_each(|frame| bytes.extend_from_slice(&frame));
        timeout(WRITE, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        })
        .await??;
    }
    stream.shutdown().await
}
