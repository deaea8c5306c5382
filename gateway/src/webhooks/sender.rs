//! Sends one webhook over HTTP and says what came of it. Every limit is here: where it may go, for how long, how much of an
//! answer is read; no redirect is followed, for it could lead anywhere.

use std::path::Path;
use std::time::{Duration, Instant};

use kura_platform::tls::{self, TlsError};
use url::{Host, Url};

use super::address::Reach;
use super::resolver::{Guarded, NotPublic, Resolver};
use crate::edge::pan_guard;

/// Characters of an answer that are kept.
const MAX_ANSWER_LEN: usize = 500;
/// Bytes of it that are read: enough that no card begins in what is kept and is not seen whole.
const MAX_READ_LEN: usize = 4 * MAX_ANSWER_LEN + 64;
const USER_AGENT: &str = concat!("Kura/", env!("CARGO_PKG_VERSION"), " (webhooks)");

/// The way out.
#[derive(Debug)]
pub struct Sender {
    client: reqwest::Client,
    reach: Reach,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it was answered.
    pub http_status: Option<u16>,
    /// Why it was not, as one of our words.
    pub failure: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

impl Outcome {
    /// Whether the endpoint took it.
    pub fn is_success(&self) -> bool {
        self.http_status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Sender {
    /// One that reaches so far, trusts the public authorities and those of this file, and waits no longer than this.
    ///
    /// # Errors
    /// [`TlsError`] when the file can't be used.
    pub fn new(reach: Reach, resolver: Resolver, ca: Option<&Path>, timeout: Duration) -> Result<Self, TlsError> {
        let client = tls::egress_client(Guarded::new(reach, resolver), ca, timeout, USER_AGENT)?;
        Ok(Self { client, reach })
    }

    /// How far it reaches.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Sends it, once.
    pub async fn send(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Outcome {
        let began = Instant::now();
        let done = self.try_send(url, headers, body).await;
        let took = began.elapsed();
        match done {
            Ok((status, answer)) => Outcome { http_status: Some(status), failure: None, took, answer },
            Err(failure) => Outcome { http_status: None, failure: Some(failure), took, answer: None },
        }
    }

    async fn try_send(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<(u16, Option<String>), &'static str> {
        let url = Url::parse(url).map_err(|_| "address_refused")?;
        self.check(&url)?;
        let mut request = self.client.post(url).header("content-type", "application/json; charset=utf-8").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(|error| word_for(&error))?;
        let status = response.status().as_u16();
        let mut read = Vec::new();
        // The status has said all that counts; what is cut off here is not missed.
        while read.len() < MAX_READ_LEN {
            match response.chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        read.truncate(MAX_READ_LEN);
        Ok((status, kept(&read)))
    }

    /// A name is looked up under guard; a numeric address is never looked up, so it is checked here.
    fn check(&self, url: &Url) -> Result<(), &'static str> {
        let literal = match url.host() {
            Some(Host::Ipv4(v4)) => Some(v4.into()),
            Some(Host::Ipv6(v6)) => Some(v6.into()),
            Some(Host::Domain(_)) => None,
            None => return Err("address_refused"),
        };
        let permitted = literal.is_none_or(|address| self.reach.permits(address)) && self.reach.check(url).is_ok();
        if permitted { Ok(()) } else { Err("address_refused") }
    }
}

/// The beginning of an answer, as text, unless there is what looks like a card in it.
fn kept(read: &[u8]) -> Option<String> {
    if pan_guard::search_raw_body(read).is_err() {
        return None;
    }
    let text = String::from_utf8_lossy(read);
    let text: String = text.chars().filter(|character| *character != '\0').take(MAX_ANSWER_LEN).collect();
    (!text.is_empty()).then_some(text)
}

fn word_for(error: &reqwest::Error) -> &'static str {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.is::<NotPublic>() {
            return "address_refused";
        }
        if let Some(error) = of_tls(cause) {
            return word_for_tls(error);
        }
        source = cause.source();
    }
    match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connection_failed",
        _ => "answer_unreadable",
    }
}

/// An error of TLS, in as many wrappings of I/O as there are: those don't show what is in them as their source.
fn of_tls<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.downcast_ref().or_else(|| inner.and_then(|inner| of_tls(inner)))
}

/// What is wrong with a certificate, where that is what is wrong.
fn word_for_tls(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as E;
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            E::UnknownIssuer | E::BadSignature => "certificate_untrusted",
            E::NotValidForName | E::NotValidForNameContext { .. } => "certificate_of_other_name",
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
                "certificate_out_of_date"
            }
            _ => "certificate_invalid",
        },
        _ => "tls_failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server on loopback that counts who comes and answers this.
    async fn server(answer: impl Into<String>) -> (SocketAddr, Arc<AtomicUsize>) {
        let answer: Arc<str> = answer.into().into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, came) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        (address, came)
    }

    /// A resolver whose answers come from this list, the last one for ever.
    fn answering(answers: Vec<Vec<SocketAddr>>) -> (Resolver, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let resolver: Resolver = Arc::new(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let answer = answers[number].clone();
            Box::pin(async move { Ok(answer) })
        });
        (resolver, asked)
    }

    fn sender(reach: Reach, resolver: Resolver) -> Sender {
        Sender::new(reach, resolver, None, Duration::from_secs(3)).unwrap()
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const PUBLIC: &str = "93.184.215.14:0";

    /// A name that was fine when the endpoint was made, and whenever somebody looked, leads inside at the moment of connecting:
    /// no connection is made. Neither is one where a name leads to both sides, or a number is inside.
    #[tokio::test]
    async fn rebinding_leads_nowhere() {
        let (address, came) = server(OK).await;
        let inner: SocketAddr = address;
        let public: SocketAddr = PUBLIC.parse().unwrap();
        let url = format!("https://rebind.example:{}/", address.port());
        // With a port of the test's own the check of ports would refuse first: the guard of addresses is asked alone.
        let (resolver, _) = answering(vec![vec![public], vec![inner]]);
        let looked = resolver("rebind.example".into()).await.unwrap();
        assert!(looked.iter().all(|address| Reach::Public.permits(address.ip())), "it looks well at first");
        let guarded = sender(Reach::Public, resolver);
        let sent = guarded.client.post(&url).send().await.unwrap_err();
        assert_eq!(word_for(&sent), "address_refused", "{sent:?}");
        for answers in [vec![inner], vec![public, inner], vec![inner, public], vec!["[::1]:0".parse().unwrap()]] {
            let (resolver, _) = answering(vec![answers]);
            let sent = sender(Reach::Public, resolver).client.post(&url).send().await.unwrap_err();
            assert_eq!(word_for(&sent), "address_refused", "{sent:?}");
        }
        let (resolver, asked) = answering(vec![vec![public]]);
        let guarded = sender(Reach::Public, resolver);
        for literal in ["http://127.0.0.1", "https://127.0.0.1", "https://[::ffff:127.0.0.1]", "https://2130706433"] {
            let outcome = guarded.send(&format!("{literal}:{}/", address.port()), &[], String::new()).await;
            assert_eq!(outcome.failure, Some("address_refused"), "{literal}");
        }
        assert_eq!((came.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (0, 0), "nobody came");
    }

    /// In development the machine itself is reached, by the address that was checked, after one look-up.
    #[tokio::test]
    async fn the_checked_address_is_the_one_connected_to() {
        let (address, came) = server(OK).await;
        let (resolver, asked) = answering(vec![vec![address], vec!["127.0.0.2:0".parse().unwrap()]]);
        let sender = sender(Reach::Loopback, resolver);
        let outcome = sender.send(&format!("http://localhost:{}/", address.port()), &[], "{}".into()).await;
        assert_eq!((outcome.http_status, outcome.answer.as_deref()), (Some(200), Some("ok")));
        assert_eq!((came.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (1, 1));
    }

    /// A redirect is an answer like another, and is not followed.
    #[tokio::test]
    async fn redirects_are_not_followed() {
        let (inner, came) = server(OK).await;
        let answer = format!("HTTP/1.1 307 x\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\n\r\n");
        let (address, _) = server(answer).await;
        let sender = sender(Reach::Loopback, super::super::resolver::system());
        let outcome = sender.send(&format!("http://{address}/"), &[], "{}".into()).await;
        assert_eq!((outcome.http_status, outcome.is_success()), (Some(307), false));
        assert_eq!(came.load(Ordering::SeqCst), 0);
    }

    /// Silence is a timeout; of an endless answer little is read; a card in an answer is not kept.
    #[tokio::test]
    async fn answers_are_bounded() {
        let system = super::super::resolver::system;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let short = Sender::new(Reach::Loopback, system(), None, Duration::from_millis(300)).unwrap();
        let outcome = short.send(&format!("http://{}/", silent.local_addr().unwrap()), &[], "{}".into()).await;
        assert_eq!(outcome.failure, Some("timeout"));
        let long = format!("HTTP/1.1 500 x\r\ncontent-length: 9000000\r\n\r\n{}", "é".repeat(4000));
        let (address, _) = server(long).await;
        let outcome = short.send(&format!("http://{address}/"), &[], "{}".into()).await;
        assert_eq!((outcome.http_status, outcome.is_success()), (Some(500), false));
        assert!(outcome.answer.unwrap().chars().count() <= MAX_ANSWER_LEN);
        assert_eq!(kept(b"card 4539578763621486 refused"), None);
        assert_eq!(kept(b"thanks\0!"), Some("thanks!".to_owned()));
    }
}
