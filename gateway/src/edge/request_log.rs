//! The merchants' own log of their requests: what was asked, how it ended and how long it took. Never a body, never a query's
//! values, never a header but the `Idempotency-Key`; of a path only words and ids of ours.
//!
//! A request does not wait for its log: it is put into a queue of bounded length, and a worker writes what has gathered. When
//! the queue is full the log is what is given up, and that is said in ours.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use kura_wire::ids::RequestId;
use time::OffsetDateTime;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::auth::{self, AuthenticatedMerchant};
use crate::app::App;
use crate::codes::Code;
use crate::signals::Place;
use crate::store::Tenant;
use crate::store::request_logs::{self, RequestLog};

/// Requests that wait to be written.
const MAX_WAITING: usize = 20_000;
/// Requests that are written at once.
const BATCH: usize = 1000;
/// Reading the log is not worth an entry of its own: a reader that follows it would see itself.
const OWN_PATH: &str = "/v1/request_logs";

/// The queue.
pub struct RequestLogs {
    sender: Sender<(Tenant, RequestLog)>,
    receiver: Mutex<Option<Receiver<(Tenant, RequestLog)>>>,
    given_up: AtomicU64,
}

impl Default for RequestLogs {
    fn default() -> Self {
        let (sender, receiver) = channel(MAX_WAITING);
        Self { sender, receiver: Mutex::new(Some(receiver)), given_up: AtomicU64::new(0) }
    }
}

impl RequestLogs {
    fn put(&self, tenant: Tenant, log: RequestLog) {
        if self.sender.try_send((tenant, log)).is_err() {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Who asks, once that is known. It goes with a request into its inner rooms, and is looked at when it comes out.
#[derive(Debug, Clone, Default)]
pub struct Asker(Arc<OnceLock<AuthenticatedMerchant>>);

impl Asker {
    /// It is known now.
    pub fn is(&self, merchant: &AuthenticatedMerchant) {
        // The first word counts.
        let _ = self.0.set(merchant.clone());
    }

    /// If it is known.
    pub fn known(&self) -> Option<&AuthenticatedMerchant> {
        self.0.get()
    }
}

/// A request that has come in.
pub struct Asking {
    id: RequestId,
    at: OffsetDateTime,
    method: Method,
    path: String,
    headers: HeaderMap,
    asker: Asker,
}

impl Asking {
    /// This one.
    pub fn of(id: RequestId, at: OffsetDateTime, method: Method, path: &str, headers: &HeaderMap) -> Self {
        let kept = ["authorization", "idempotency-key"];
        let headers = kept.iter().filter_map(|name| {
            let name = axum::http::HeaderName::from_static(name);
            Some((name.clone(), headers.get(&name)?.clone()))
        });
        Self { id, at, method, path: shown_path(path), headers: headers.collect(), asker: Asker::default() }
    }

    /// For its inner rooms.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// It ended like this. Says whether it is on record: what was refused before its key was looked at is, if the key is one;
    /// what there was too much of is not, for then there would be too much of this too.
    pub async fn ended(self, app: &App, place: &Place, status: StatusCode, code: Option<Code>, took: Duration) -> bool {
        let unknown = self.asker.known().is_none();
        let in_vain =
            matches!(code, Some(Code::RateLimit | Code::Overloaded | Code::ApiKeyInvalid | Code::ApiKeyMissing));
        let may_be_known = status.is_client_error() && !in_vain && self.headers.contains_key("authorization");
        if unknown
            && may_be_known
            && let Ok(merchant) = auth::authenticate(app, &self.headers, place).await
        {
            self.asker.is(&merchant);
        }
        let Some(merchant) = self.asker.known() else { return false };
        if self.path.starts_with(OWN_PATH) && status.is_success() {
            return false;
        }
        let card = code == Some(Code::RawCardDataRefused);
        let idempotency_key = self.headers.get("idempotency-key").filter(|_| !card).and_then(|key| key.to_str().ok());
        let log = RequestLog {
            id: self.id,
            method: shown_method(&self.method).to_owned(),
            path: self.path,
            status: i16::try_from(status.as_u16()).unwrap_or(500),
            code: code.map(|code| code.as_str().to_owned()),
            duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
            key_hint: merchant.key_hint().to_owned(),
            idempotency_key: idempotency_key.filter(|key| key.len() <= 255).map(str::to_owned),
            created_at: self.at,
        };
        app.request_logs.put(merchant.tenant(), log);
        true
    }
}

/// A method that HTTP has; strangers can make up others.
fn shown_method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS"];
    known.into_iter().find(|name| method.as_str() == *name).unwrap_or("OTHER")
}

/// A path: words and ids of ours as they are, everything else, what strangers make up and what could be about a person, as a
/// star.
fn shown_path(path: &str) -> String {
    let word =
        |segment: &str| segment.len() <= 24 && segment.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let id = |segment: &str| {
        let body = segment.split_once('_').map_or("", |(_, body)| body);
        (26..=28).contains(&body.len())
            && segment.len() <= 40
            && segment.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let shown =
        |segment| if segment == "v1" || segment == "3d_secure" || word(segment) || id(segment) { segment } else { "*" };
    let Some(rest) = path.strip_prefix('/') else { return "/*".to_owned() };
    format!("/{}", rest.split('/').take(8).map(shown).collect::<Vec<_>>().join("/"))
}

/// Writes what has gathered, for as long as the process runs.
pub async fn run(app: App) {
    let taken = app.request_logs.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut receiver) = taken else { return };
    let mut logs = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut logs, BATCH).await > 0 {
        if let Err(error) = request_logs::insert_all(app.db.work(), &logs).await {
            tracing::warn!(%error, requests = logs.len(), "requests' logs are lost");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        logs.clear();
        let given_up = app.request_logs.given_up.swap(0, Ordering::Relaxed);
        if given_up > 0 {
            tracing::warn!(requests = given_up, "requests' logs are lost: too many at once");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids and words stay; an address, a number, a name with capitals, what is long are stars.
    #[test]
    fn paths_hold_words_and_ids_alone() {
        let id = "pi_0123456789abcdefghjkmnpqrs";
        assert_eq!(
            shown_path(&format!("/v1/payment_intents/{id}/confirm")),
            format!("/v1/payment_intents/{id}/confirm")
        );
        assert_eq!(shown_path("/v1/customers/hanako@example.jp"), "/v1/customers/*");
        assert_eq!(shown_path("/v1/customers/Hanako"), "/v1/customers/*");
        assert_eq!(shown_path("/v1/tokens/4242424242424242"), "/v1/tokens/*");
        assert_eq!(shown_path("/v1/tokens/tok_4242424242424242"), "/v1/tokens/*");
        assert_eq!(shown_path("/%E5%B1%B1/\u{5c71}"), "/*/*");
        let long = shown_path(&"/aaa_aaaaaaaaaaaaaaaaaaaaaaaaaa".repeat(20));
        assert_eq!((long.matches('/').count(), long.len() <= 400), (8, true));
        assert_eq!((shown_path("*").as_str(), shown_path("/").as_str()), ("/*", "/"), "as the database asks for it");
        assert_eq!((shown_method(&Method::GET), shown_method(&Method::from_bytes(b"x-y").unwrap())), ("GET", "OTHER"));
    }
}
