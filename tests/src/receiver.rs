//! A merchant's server: it takes webhooks on loopback, keeps what came, and answers as a test tells it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::block_on;

const WAIT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(25);

/// A request as it came.
#[derive(Debug, Clone, Serialize)]
pub struct Received {
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As text.
    pub body: String,
}

impl Received {
    /// The body as JSON.
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The event's kind.
    pub fn kind(&self) -> String {
        self.event()["type"].as_str().unwrap_or_default().to_owned()
    }
}

/// How it answers.
#[derive(Debug, Clone)]
struct Manner {
    status: u16,
    body: String,
    after: Duration,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Vec<Received>>,
    manner: Mutex<Manner>,
}

/// The server. It lives as long as the test program.
#[derive(Debug, Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
    port: u16,
    https: bool,
}

impl Receiver {
    /// On a free port, answering 200.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// The same, over https.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start_https(tls: Arc<rustls::ServerConfig>) -> Self {
        Self::start_with(Some(TlsAcceptor::from(tls)))
    }

    fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let https = tls.is_some();
        let manner = Manner { status: 200, body: "ok".into(), after: Duration::ZERO };
        let shared = Arc::new(Shared { received: Mutex::default(), manner: Mutex::new(manner) });
        let serving = Arc::clone(&shared);
        let port = block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (shared, tls) = (Arc::clone(&serving), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            Some(tls) => shared.serve(tls.accept(stream).await.ok()?).await,
                            None => shared.serve(stream).await,
                        }
                    });
                }
            });
            port
        });
        Self { shared, port, https }
    }

    /// Where it is.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// From now on it answers this.
    ///
    /// # Panics
    /// Never.
    pub fn answer(&self, status: u16, body: &str, after: Duration) {
        *self.shared.manner.lock().expect("the lock") = Manner { status, body: body.into(), after };
    }

    /// What came so far.
    ///
    /// # Panics
    /// Never.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("the lock").clone()
    }

    /// Waits until so many came that are like this; gives those.
    ///
    /// # Panics
    /// When they don't in time.
    pub fn wait(&self, count: usize, like: impl Fn(&Received) -> bool) -> Vec<Received> {
        let began = Instant::now();
        loop {
            let found: Vec<Received> = self.received().into_iter().filter(&like).collect();
            if found.len() >= count {
                return found;
            }
            let kinds: Vec<String> = self.received().iter().map(Received::kind).collect();
            assert!(began.elapsed() < WAIT, "{} of {count} came; in all {kinds:?}", found.len());
            std::thread::sleep(TICK);
        }
    }
}

impl Shared {
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let len = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
        let mut body = vec![0; len];
        stream.read_exact(&mut body).await.ok()?;
        let body = String::from_utf8_lossy(&body).into_owned();
        self.received.lock().ok()?.push(Received { path, headers, body });
        let manner = self.manner.lock().ok()?.clone();
        tokio::time::sleep(manner.after).await;
        let Manner { status, body, .. } = manner;
        let answer =
            format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }
}
