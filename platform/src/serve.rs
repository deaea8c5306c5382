//! Listeners, with a limit on everything: connections, time to the first request, header time, streams.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::{Accept, NoDelayAcceptor};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

const FIRST_REQUEST: Duration = Duration::from_secs(15);
const HEADER_READ: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(5);
const MAX_STREAMS: u32 = 512;
const MAX_CONNECTIONS: usize = 1024;
/// Connections of one address at a time, where nobody says otherwise.
pub const CONNECTIONS_PER_ADDRESS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(127);

/// How many of something each address holds at a time, with an upper limit. Only addresses that hold some are remembered.
#[derive(Debug, Clone)]
pub struct PerAddress {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    limit: NonZeroUsize,
}

/// One of an address's places, for as long as it lives.
#[derive(Debug)]
pub struct AddressPlace {
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    network: IpAddr,
}

impl PerAddress {
    /// At most so many for each.
    pub fn new(limit: NonZeroUsize) -> Self {
        Self { held: Arc::default(), limit }
    }

    /// One more for this address, or `None` when it holds all it may.
    pub fn enter(&self, address: IpAddr) -> Option<AddressPlace> {
        let network = network_of(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&network).copied().unwrap_or(0);
        if count >= self.limit.get() {
            return None;
        }
        held.insert(network, count + 1);
        drop(held);
        Some(AddressPlace { held: Arc::clone(&self.held), network })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.network)),
        }
    }
}

/// One household has one IPv4 address, or 2^64 IPv6 addresses: what is limited for one is limited for all of them.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

/// Binds, and says clearly when the port is taken.
///
/// # Errors
/// The operating system's, with the address in the message.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("can't listen on {address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves plain HTTP until the handle says stop. The peer's address is in the request's extensions (`ConnectInfo`).
///
/// # Errors
/// When the listener breaks.
pub async fn plain(listener: TcpListener, router: Router, handle: Handle<SocketAddr>) -> io::Result<()> {
    plain_limited(listener, router, handle, CONNECTIONS_PER_ADDRESS).await
}

/// The same, with a limit of one's choice on the connections of one address.
///
/// # Errors
/// When the listener breaks.
pub async fn plain_limited(
    listener: TcpListener,
    router: Router,
    handle: Handle<SocketAddr>,
    per_address: NonZeroUsize,
) -> io::Result<()> {
    let acceptor = Bounded::new(NoDelayAcceptor::new(), per_address);
    let mut server =
        axum_server::from_tcp(listener)?.acceptor(acceptor).handle(handle).first_request_timeout(FIRST_REQUEST);
    limit(server.http_builder());
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Serves HTTP over mutual TLS. Handlers take the peer's identity as [`crate::tls::Peer`].
///
/// # Errors
/// When the listener breaks.
pub async fn mutual_tls(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let rustls = RustlsAcceptor::new(RustlsConfig::from_config(tls)).handshake_timeout(HANDSHAKE);
    let acceptor = Bounded::new(rustls.acceptor(NoDelayAcceptor::new()), CONNECTIONS_PER_ADDRESS);
    let mut server =
        axum_server::from_tcp(listener)?.acceptor(acceptor).handle(handle).first_request_timeout(FIRST_REQUEST);
    limit(server.http_builder());
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// A handle that drains and stops its listeners when the process is told to end.
///
/// # Errors
/// When signal handlers can't be installed.
pub fn handle_until_signal() -> Handle<SocketAddr> {
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        if let Err(error) = crate::shutdown_signal().await {
            tracing::error!(%error, "no signal handlers; stopping");
        }
        stopping.graceful_shutdown(Some(DRAIN));
    });
    handle
}

fn limit(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(32 * 1024)
        .keep_alive_interval(Duration::from_secs(20));
}

/// At most [`MAX_CONNECTIONS`] at a time, and of one address a part of them, so that nobody has them all; the next is
/// closed at once, rather than held while memory grows.
#[derive(Clone)]
struct Bounded<A> {
    inner: A,
    permits: Arc<Semaphore>,
    addresses: PerAddress,
}

impl<A> Bounded<A> {
    fn new(inner: A, per_address: NonZeroUsize) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Self { inner, permits, addresses: PerAddress::new(per_address) }
    }
}

/// A service that keeps its connection's places for as long as it lives.
#[derive(Clone)]
struct Permitted<S> {
    inner: S,
    _places: Arc<(OwnedSemaphorePermit, AddressPlace)>,
}

impl<S: Service<R>, R> Service<R> for Permitted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

type Accepting<I, S> = Pin<Box<dyn Future<Output = io::Result<(I, S)>> + Send>>;

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S> + Clone + Send + 'static,
    A::Future: Send,
    S: Send + 'static,
{
    type Stream = A::Stream;
    type Service = Permitted<A::Service>;
    type Future = Accepting<Self::Stream, Self::Service>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = stream.peer_addr().map(|peer| self.addresses.enter(peer.ip()));
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let inner = self.inner.clone();
        Box::pin(async move {
            let place = place?.ok_or_else(|| io::Error::other("too many connections of one address"))?;
            let permit = permit.map_err(|_| io::Error::other("too many connections"))?;
            let (stream, service) = inner.accept(stream, service).await?;
            Ok((stream, Permitted { inner: service, _places: Arc::new((permit, place)) }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// An address has so many places and not one more, another has its own, and what is given back leaves no trace.
    #[test]
    fn an_address_holds_no_more_than_its_limit() {
        let places = PerAddress::new(NonZeroUsize::MIN.saturating_add(1));
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let held = [places.enter(one).unwrap(), places.enter(one).unwrap()];
        assert!(places.enter(one).is_none());
        assert!(places.enter("::ffff:192.0.2.1".parse().unwrap()).is_none());
        assert!(places.enter(other).is_some());
        let [first, second] = held;
        drop(first);
        drop(places.enter(one).unwrap());
        drop(second);
        assert!(places.held.lock().unwrap().is_empty());
    }

    /// One IPv6 network is one address, and IPv4 written as IPv6 is IPv4.
    #[test]
    fn networks_count_as_one_address() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    async fn is_open(address: SocketAddr, stream: &mut TcpStream) -> bool {
        let _ = stream.write_all(format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await;
        matches!(stream.read(&mut [0; 12]).await, Ok(len) if len > 0)
    }

    /// The connection beyond an address's limit is closed without an answer, and has a place once another ends.
    #[tokio::test]
    async fn connections_of_one_address_are_limited() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (handle, limit) = (Handle::new(), NonZeroUsize::MIN.saturating_add(1));
        let serving = tokio::spawn(plain_limited(listener, Router::new(), handle.clone(), limit));
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(is_open(address, &mut first).await && is_open(address, &mut second).await);
        let mut third = TcpStream::connect(address).await.unwrap();
        assert!(!is_open(address, &mut third).await);
        drop(first);
        let mut freed = false;
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut next = TcpStream::connect(address).await.unwrap();
            freed = freed || is_open(address, &mut next).await;
        }
        assert!(freed);
        handle.shutdown();
        serving.await.unwrap().unwrap();
    }
}
