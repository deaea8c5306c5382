//! The connection: keeps itself up, signs on, matches answers to requests by message type and reference.
//!
//! What it must get right is the difference between *not sent* (nothing left this process, so nothing can have happened)
//! and *unknown* (it may have arrived). When in doubt it says unknown.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kura_iso8583::{Class, Field, FrameReader, Message, Mti};
use kura_platform::clock;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::messages::{self, Answer};
use crate::config::AcquirerConfig;

const MAX_QUEUED: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RECONNECT_AFTER: Duration = Duration::from_millis(200);
/// An echo goes out this often, whatever else does, and something must come in within [`SILENCE`].
const ECHO_EVERY: Duration = Duration::from_secs(10);
/// A line that says nothing for so long is dead, whatever TCP believes.
const SILENCE: Duration = Duration::from_secs(25);
const SIGN_ON_WITHIN: Duration = Duration::from_secs(5);

/// What came of a request.
#[derive(Debug)]
pub enum Reply {
    /// An answer.
    Answered(Answer),
    /// It never left this process.
    NotSent,
    /// It may have arrived.
    Unknown,
}

type Pending = Arc<Mutex<HashMap<(Mti, String), oneshot::Sender<Answer>>>>;

struct Outgoing {
    key: (Mti, String),
    frame: Zeroizing<Vec<u8>>,
    answer: oneshot::Sender<Answer>,
    sent: Arc<AtomicBool>,
}

/// A handle to one acquirer.
pub struct Acquirer {
    queue: mpsc::Sender<Outgoing>,
    pending: Pending,
    connected: Arc<AtomicBool>,
    response_timeout: Duration,
}

/// The configuration can't make a TLS client.
#[derive(Debug, thiserror::Error)]
pub enum AcquirerError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] kura_platform::tls::TlsError),
    /// The server's name.
    #[error("acquirer: {0} is not a server name")]
    Name(String),
}

impl Acquirer {
    /// Starts the connection's task; it connects, and connects again, for as long as the process lives.
    ///
    /// # Errors
    /// [`AcquirerError`].
    pub fn start(config: &AcquirerConfig) -> Result<Self, AcquirerError> {
        let connector = TlsConnector::from(Arc::new(config.tls.client_config()?));
        let name = ServerName::try_from(config.server_name.clone())
            .map_err(|_| AcquirerError::Name(config.server_name.clone()))?;
        let (queue, outgoing) = mpsc::channel(MAX_QUEUED);
        let pending = Pending::default();
        let connected = Arc::new(AtomicBool::new(false));
        let line =
            Line { config: config.clone(), connector, name, pending: pending.clone(), connected: connected.clone() };
        tokio::spawn(line.keep_up(outgoing));
        Ok(Self { queue, pending, connected, response_timeout: Duration::from_millis(config.response_timeout_ms) })
    }

    /// Whether the line is up. It may break the next moment.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// How long a request may be under way.
    pub fn patience(&self) -> Duration {
        self.response_timeout
    }

    /// Sends a request once, and waits for its answer.
    pub async fn ask(&self, request: Message) -> Reply {
        let Mti::Request(class) = request.mti() else { return Reply::NotSent };
        let Some(reference) = request.field(Field::Reference) else { return Reply::NotSent };
        if !self.is_connected() {
            return Reply::NotSent;
        }
        let key = (Mti::Answer(class), reference.to_owned());
        let sent = Arc::new(AtomicBool::new(false));
        let (answer, arrives) = oneshot::channel();
        let outgoing = Outgoing { key: key.clone(), frame: request.encode_frame(), answer, sent: Arc::clone(&sent) };
        drop(request);
        if self.queue.try_send(outgoing).is_err() {
            return Reply::NotSent;
        }
        let reply = tokio::time::timeout(self.response_timeout, arrives).await;
        match reply {
            Ok(Ok(answer)) => Reply::Answered(answer),
            // The line dropped it: before the first byte, or after.
            Ok(Err(_)) if !sent.load(Ordering::Acquire) => Reply::NotSent,
            Ok(Err(_)) => Reply::Unknown,
            Err(_) => {
                self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                Reply::Unknown
            }
        }
    }
}

struct Line {
    config: AcquirerConfig,
    connector: TlsConnector,
    name: ServerName<'static>,
    pending: Pending,
    connected: Arc<AtomicBool>,
}

impl Line {
    async fn keep_up(self, mut outgoing: mpsc::Receiver<Outgoing>) {
        loop {
            match self.connect().await {
                Ok(stream) => self.converse(stream, &mut outgoing).await,
                Err(error) => tracing::warn!(%error, "acquirer not reachable"),
            }
            self.connected.store(false, Ordering::Release);
            // Nothing that waited here was sent; what was sent and not answered is unknown.
            while outgoing.try_recv().is_ok() {}
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
            if outgoing.is_closed() {
                return;
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let connecting = async {
            let stream = TcpStream::connect(self.config.address).await?;
            stream.set_nodelay(true)?;
            self.connector.connect(self.name.clone(), stream).await
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| std::io::ErrorKind::TimedOut)?
    }

    async fn converse(&self, stream: TlsStream<TcpStream>, outgoing: &mut mpsc::Receiver<Outgoing>) {
        let (reader, writer) = tokio::io::split(stream);
        let reading = read_answers(reader, self.pending.clone(), Arc::clone(&self.connected));
        tokio::select! {
            ended = reading => tracing::warn!(reason = %ended, "acquirer closed the line"),
            error = self.write_requests(writer, outgoing) => tracing::warn!(%error, "acquirer line broke"),
        }
    }

    async fn write_requests(
        &self,
        mut writer: WriteHalf<TlsStream<TcpStream>>,
        outgoing: &mut mpsc::Receiver<Outgoing>,
    ) -> std::io::Error {
        if let Err(error) = send(&mut writer, &messages::network_management(clock::now(), messages::SIGN_ON)).await {
            return error;
        }
        let mut batch = Vec::new();
        let mut echoes = tokio::time::interval(ECHO_EVERY);
        echoes.reset();
        loop {
            tokio::select! {
                received = outgoing.recv_many(&mut batch, 64) => if received == 0 {
                    return std::io::Error::other("the vault is stopping");
                },
                _ = echoes.tick() => {
                    let echo = messages::network_management(clock::now(), messages::ECHO);
                    if let Err(error) = send(&mut writer, &echo).await {
                        return error;
                    }
                }
            }
            for request in batch.drain(..) {
                if request.answer.is_closed() {
                    // Its sender gave up while the line was down; sent now, it would only have to be taken back.
                    continue;
                }
                self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(request.key, request.answer);
                request.sent.store(true, Ordering::Release);
                if let Err(error) = writer.write_all(&request.frame).await {
                    return error;
                }
            }
            if let Err(error) = writer.flush().await {
                return error;
            }
        }
    }
}

async fn send(writer: &mut WriteHalf<TlsStream<TcpStream>>, message: &Message) -> std::io::Result<()> {
    writer.write_all(&message.encode_frame()).await?;
    writer.flush().await
}

/// Reads until the line ends, or is silent for too long. The answer to the sign-on says that the line is up.
async fn read_answers(
    mut reader: ReadHalf<TlsStream<TcpStream>>,
    pending: Pending,
    connected: Arc<AtomicBool>,
) -> std::io::Error {
    let mut frames = FrameReader::new();
    loop {
        let patience = if connected.load(Ordering::Acquire) { SILENCE } else { SIGN_ON_WITHIN };
        match tokio::time::timeout(patience, reader.read(frames.spare())).await {
            Ok(Ok(0)) => return std::io::ErrorKind::UnexpectedEof.into(),
            Ok(Ok(len)) => frames.filled(len),
            Ok(Err(error)) => return error,
            Err(_) => return std::io::ErrorKind::TimedOut.into(),
        }
        loop {
            let message = match frames.next_message() {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => {
                    tracing::warn!(%error, "acquirer sent a message that can't be read");
                    continue;
                }
                Ok(None) => break,
                Err(error) => return std::io::Error::other(error),
            };
            let Some(answer) = Answer::of(&message) else { continue };
            if message.mti() == Mti::Answer(Class::NetworkManagement) {
                if !answer.is_approved() {
                    return std::io::Error::other("the acquirer refused the sign-on or an echo");
                }
                connected.store(true, Ordering::Release);
                continue;
            }
            let key = (message.mti(), answer.reference.clone());
            let waiting = pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if let Some(waiting) = waiting {
                drop(waiting.send(answer));
            }
        }
    }
}
