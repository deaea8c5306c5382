//! The way to the gateway.

use std::io::BufRead;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::failure::Failure;

const SILENCE: Duration = Duration::from_secs(60);
const USER_AGENT: &str = concat!("kura/", env!("CARGO_PKG_VERSION"));
const KEY_VARIABLE: &str = "KURA_API_KEY";

/// How to reach the gateway.
#[derive(Debug, clap::Args)]
pub(super) struct Connection {
    /// Where the gateway is
    #[arg(long, value_name = "URL", env = "KURA_API_BASE", default_value = "http://localhost:7101")]
    api_base: Url,
    /// Read the API key from the first line of standard input, not from KURA_API_KEY
    #[arg(long)]
    key_stdin: bool,
}

/// What the gateway said.
pub(super) struct Answer {
    /// HTTP.
    pub(super) status: u16,
    /// `req_…`.
    pub(super) request_id: Option<String>,
    /// JSON.
    pub(super) body: Value,
}

impl Answer {
    /// The body, unless it is an error.
    pub(super) fn succeeded(self) -> Result<Value, Failure> {
        let good = (200..300).contains(&self.status);
        if good { Ok(self.body) } else { Err(Failure::of_answer(self.status, &self.body)) }
    }
}

/// A gateway, and the key to it.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<Zeroizing<String>>,
}

impl Connection {
    /// With a key.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let key = self.key()?.ok_or(Failure::NoKey)?;
        Ok(Client { key: Some(key), ..self.without_key()? })
    }

    /// For what is public.
    pub(super) fn without_key(&self) -> Result<Client, Failure> {
        let plain_is_safe = matches!(self.api_base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !(self.api_base.scheme() == "https" || (self.api_base.scheme() == "http" && plain_is_safe)) {
            return Err(Failure::Usage("--api-base: a key goes over https, or to this machine itself".to_owned()));
        }
        Ok(Client { http: http()?, base: self.api_base.as_str().trim_end_matches('/').to_owned(), key: None })
    }

    fn key(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let key = if self.key_stdin {
            let mut line = Zeroizing::new(String::new());
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map_err(|error| Failure::Other(format!("can't read standard input: {error}")))?;
            Some(line)
        } else {
            std::env::var(KEY_VARIABLE).ok().map(Zeroizing::new)
        };
        Ok(key.map(|key| Zeroizing::new(key.trim().to_owned())).filter(|key| !key.is_empty()))
    }
}

/// For the gateway, and for whom events are forwarded to.
pub(super) fn http() -> Result<reqwest::Client, Failure> {
    kura_platform::tls::outside_client(SILENCE, USER_AGENT).map_err(|error| Failure::Other(error.to_string()))
}

impl Client {
    /// The key, for what follows from it.
    pub(super) fn key(&self) -> &str {
        self.key.as_deref().map_or("", |key| key.as_str())
    }

    /// Calls the API; parameters go where the method has them.
    pub(super) async fn call(
        &self,
        method: &Method,
        path: &str,
        parameters: &[(String, String)],
        idempotency_key: Option<&str>,
    ) -> Result<Value, Failure> {
        self.ask(method, path, parameters, idempotency_key).await?.succeeded()
    }

    /// The same, and its answer whatever it is.
    pub(super) async fn ask(
        &self,
        method: &Method,
        path: &str,
        parameters: &[(String, String)],
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut request = self.request(method.clone(), path);
        if *method == Method::POST {
            request = request.form(parameters);
        } else if !parameters.is_empty() {
            request = request.query(parameters);
        }
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let response = self.sent(request).await?;
        let status = response.status().as_u16();
        let request_id = response.headers().get("request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { status, request_id, body: serde_json::from_str(&text).unwrap_or_default() })
    }

    /// Reads from the API.
    pub(super) async fn get(&self, path: &str, query: &[(String, String)]) -> Result<Value, Failure> {
        self.call(&Method::GET, path, query, None).await
    }

    /// A stream of the API.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(String, String)],
        last: Option<&str>,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = self.request(Method::GET, path).query(query);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = self.sent(request).await?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        Err(Failure::of_answer(status, &serde_json::from_str(&text).unwrap_or_default()))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key.as_str()),
            None => request,
        }
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::Unreachable(self.base.clone(), cause.to_string())
    }
}
