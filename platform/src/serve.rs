//! Listeners, with a limit on everything: connections, time to the first request, header time, streams.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
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
    let acceptor = Bounded::new(NoDelayAcceptor::new());
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
    let acceptor = Bounded::new(rustls.acceptor(NoDelayAcceptor::new()));
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

/// At most [`MAX_CONNECTIONS`] at a time; the next is closed at once, rather than held while memory grows.
#[derive(Clone)]
struct Bounded<A> {
    inner: A,
    permits: Arc<Semaphore>,
}

impl<A> Bounded<A> {
    fn new(inner: A) -> Self {
        Self { inner, permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

/// A service that keeps its connection's permit for as long as it lives.
#[derive(Clone)]
struct Permitted<S> {
    inner: S,
    _permit: Arc<OwnedSemaphorePermit>,
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
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let inner = self.inner.clone();
        Box::pin(async move {
            let permit = permit.map_err(|_| io::Error::other("too many connections"))?;
            let (stream, service) = inner.accept(stream, service).await?;
            Ok((stream, Permitted { inner: service, _permit: Arc::new(permit) }))
        })
    }
}
