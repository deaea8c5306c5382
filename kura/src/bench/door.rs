//! One connection of the load: HTTP/1.1, kept alive, one request at a time. As little client as possible, since it runs on the
//! same cores as what it measures.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use kura_platform::tls::{Vault, Zone};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::target::{RunFile, Target};

/// Where connections go, and with which certificate.
#[derive(Clone)]
pub(super) struct Door {
    address: SocketAddr,
    host: String,
    tls: Option<Arc<ClientConfig>>,
}

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Door {
    /// The vault's data plane, as the gateway.
    pub(super) fn to_vault(target: &Target) -> Result<Self> {
        let tls = target.gateway_tls().client_config()?;
        Ok(Self { address: target.run.vault_data_plane, host: Vault::NAME.to_owned(), tls: Some(Arc::new(tls)) })
    }

    /// The gateway's public listener.
    pub(super) fn to_gateway(run: &RunFile) -> Result<Self> {
        let host = run.gateway.strip_prefix("http://").context("the gateway's address is plain HTTP here")?;
        let port = host.rsplit(':').next().and_then(|port| port.parse().ok()).context("an address with a port")?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), host: host.to_owned(), tls: None })
    }

    /// Connects.
    pub(super) async fn knock(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let sender = match &self.tls {
            None => open(stream).await?,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())?;
                open(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?).await?
            }
        };
        Ok(Connection { sender, host: self.host.clone() })
    }
}

async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

impl Connection {
    /// Reads a path.
    pub(super) async fn get(&mut self, path: &str, authorization: Option<&str>) -> Result<Bytes> {
        let mut request = Request::get(path).header(header::HOST, &self.host);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(Full::default())?).await
    }

    /// Posts a body; an answer other than success is an error.
    pub(super) async fn post(
        &mut self,
        path: &str,
        body: Bytes,
        kind: &'static str,
        authorization: Option<&str>,
    ) -> Result<Bytes> {
        let mut request = Request::post(path).header(header::HOST, &self.host).header(header::CONTENT_TYPE, kind);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(Full::new(body))?).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "HTTP {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}
