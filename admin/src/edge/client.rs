//! Who is on the other end of a request, as far as the wire tells. Headers that a proxy could have set are not believed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use kura_wire::ids::RequestId;

use super::error::PageError;
use crate::domain::secret::sha256;
use crate::store::audit::Origin;
use crate::text::{Language, Texts};

/// One request's other end.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// This request.
    pub request_id: RequestId,
    /// The peer of the connection.
    pub address: IpAddr,
    /// SHA-256 of its user agent.
    pub user_agent_hash: [u8; 32],
    /// What it reads.
    pub language: Language,
}

impl Client {
    /// Looks at a request that has just arrived.
    pub fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            request_id: RequestId::from_bytes(kura_platform::random::time_ordered()),
            address: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical()),
            user_agent_hash: user_agent_hash(request.headers()),
            language: Language::preferred(request.headers()),
        }
    }

    /// What the audit keeps of it.
    pub fn origin(&self) -> Origin {
        Origin { request_id: self.request_id, address: self.address, user_agent_hash: self.user_agent_hash }
    }

    /// The texts in its language.
    pub fn texts(&self) -> &'static Texts {
        self.language.texts()
    }
}

fn user_agent_hash(headers: &HeaderMap) -> [u8; 32] {
    sha256(headers.get(header::USER_AGENT).map_or(&[], |value| value.as_bytes()))
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, PageError> {
        parts.extensions.get::<Self>().copied().ok_or(PageError::Internal)
    }
}
