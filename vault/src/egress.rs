//! The way to the networks' services that speak HTTPS: mutual TLS 1.3 to one configured address and name, HTTP/2, one answer
//! for one question. No proxy, no redirect, no repeat.
//!
//! What may leave: what a service needs for one question, a PAN among it. What may enter: an answer of a bounded length.
//! What matters is the difference between *not sent* (nothing can have happened) and *doubt* (it may have arrived).

use std::time::Duration;

use kura_platform::tls::TlsError;
use reqwest::{Client, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::config::ServicesConfig;

const MAX_ANSWER_LEN: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// It could not be reached: nothing was sent.
    #[error("the service is away")]
    Away,
    /// It has no such thing (404).
    #[error("the service knows nothing of it")]
    Unknown,
    /// It refused with this status, other than 404, of the range 400 to 499.
    #[error("the service refused: {0}")]
    Refused(u16),
    /// It may or may not have done what it was asked.
    #[error("the service gave no usable answer")]
    Doubt,
}

/// A client of one mode's services. Cheap to share.
#[derive(Debug, Clone)]
pub struct Egress {
    client: Client,
    base: String,
    patience: Duration,
}

impl Egress {
    /// For the services at this address.
    ///
    /// # Errors
    /// [`TlsError`] when the certificates can't be used.
    pub fn new(config: &ServicesConfig) -> Result<Self, TlsError> {
        let patience = Duration::from_millis(config.response_timeout_ms);
        let client = config.tls.http_client_named(&config.server_name, config.address, patience)?;
        let base = format!("https://{}:{}", config.server_name, config.address.port());
        Ok(Self { client, base, patience })
    }

    /// How long a question may be under way.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`EgressError`].
    pub async fn post<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> Result<A, EgressError> {
        let request = self.client.post(format!("{}{path}", self.base)).json(question);
        answer(request).await
    }

    /// Reads.
    ///
    /// # Errors
    /// [`EgressError`].
    pub async fn get<A: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<A, EgressError> {
        answer(self.client.get(format!("{}{path}", self.base)).query(query)).await
    }
}

async fn answer<A: DeserializeOwned>(request: RequestBuilder) -> Result<A, EgressError> {
    let response = match request.send().await {
        Ok(response) => response,
        // Without its address: it may name what was asked.
        Err(error) => {
            let away = error.is_connect();
            tracing::warn!(away, error = error.without_url().to_string(), "a service of the networks did not answer");
            return Err(if away { EgressError::Away } else { EgressError::Doubt });
        }
    };
    let status = response.status();
    if status.is_success() {
        return whole(response).await;
    }
    tracing::warn!(status = status.as_u16(), "a service of the networks refused");
    Err(match status.as_u16() {
        404 => EgressError::Unknown,
        refused @ 400..=499 => EgressError::Refused(refused),
        _ => EgressError::Doubt,
    })
}

/// Reads an answer to its end, no further than it may be long.
async fn whole<A: DeserializeOwned>(mut response: Response) -> Result<A, EgressError> {
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|_| EgressError::Doubt)? {
        if bytes.len() + chunk.len() > MAX_ANSWER_LEN {
            tracing::warn!("a service of the networks answers too much");
            return Err(EgressError::Doubt);
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|_| {
        tracing::warn!("a service of the networks answers what is not its form");
        EgressError::Doubt
    })
}
