//! Brings notices to the gateway: signed, again and again until it says that it has them, each with the same id.
//!
//! What is not answered with a 2xx stays in its journal, and is tried again after a restart.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_platform::standard_webhooks::{ID, SIGNATURE, Secret, SignatureError, TIMESTAMP};
use kura_platform::tls::{TlsError, public_http_client};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::task::JoinSet;

const LOOK_EVERY: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Of one outbox, at a time.
const MAX_UNDER_WAY: usize = 32;

/// Where notices go, and with what they are signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourierConfig {
    /// The gateway's public listener: `http://127.0.0.1:7101`.
    pub gateway: String,
    /// By the network's word, a file with `whsec_…`.
    pub secrets: BTreeMap<String, PathBuf>,
}

/// A notice to bring.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The same each time.
    pub id: String,
    /// The network's word.
    pub network: &'static str,
    /// What is told.
    pub body: Value,
    /// Brought twice on purpose.
    pub twice: bool,
}

/// Where notices wait until the gateway has them.
pub trait Outbox: Send + Sync + 'static {
    /// Those that may be brought now and are wanted, this many at the most.
    fn due(&self, now: OffsetDateTime, is_wanted: impl Fn(&str) -> bool, count: usize) -> Vec<Outgoing>;

    /// The gateway has it. False when that can't be written down.
    fn told(&self, id: String) -> impl Future<Output = bool> + Send;
}

/// The configuration makes no courier.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// A secret.
    #[error("notices: {0}")]
    Secret(#[from] SignatureError),
    /// The client.
    #[error(transparent)]
    Client(#[from] TlsError),
}

/// Knows the way and the secrets.
#[derive(Debug)]
pub struct Courier {
    client: reqwest::Client,
    gateway: String,
    secrets: HashMap<String, Secret>,
}

impl Courier {
    /// Reads the secrets.
    ///
    /// # Errors
    /// [`CourierError`].
    pub fn new(config: &CourierConfig) -> Result<Self, CourierError> {
        let secrets = config.secrets.iter().map(|(network, path)| Ok((network.clone(), Secret::read(path)?)));
        Ok(Self {
            client: public_http_client(ANSWER_WITHIN)?,
            gateway: config.gateway.trim_end_matches('/').to_owned(),
            secrets: secrets.collect::<Result<_, SignatureError>>()?,
        })
    }

    /// Brings what waits, for as long as the process lives.
    pub async fn run<O: Outbox>(self: Arc<Self>, outbox: Arc<O>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // By id: how often it was tried, and when it is next; `None` while it is under way.
        let mut tried: HashMap<String, (u32, Option<Instant>)> = HashMap::new();
        let mut under_way: JoinSet<(String, bool)> = JoinSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(Ok((id, told))) = under_way.join_next() => {
                    if told {
                        tried.remove(&id);
                    } else if let Some((times, next)) = tried.get_mut(&id) {
                        *next = Some(Instant::now() + pause(*times));
                    }
                    continue;
                }
            }
            let now = Instant::now();
            // One that is refused for ever must not stand in the way of the others.
            let is_wanted = |id: &str| tried.get(id).is_none_or(|(_, next)| next.is_some_and(|next| next <= now));
            let room = MAX_UNDER_WAY.saturating_sub(under_way.len());
            for notice in outbox.due(clock::now(), is_wanted, room) {
                let (times, next) = tried.entry(notice.id.clone()).or_default();
                (*times, *next) = (times.saturating_add(1), None);
                under_way.spawn(Arc::clone(&self).bring(Arc::clone(&outbox), notice));
            }
        }
    }

    async fn bring<O: Outbox>(self: Arc<Self>, outbox: Arc<O>, notice: Outgoing) -> (String, bool) {
        let mut told = self.send(&notice).await;
        if told && notice.twice {
            self.send(&notice).await;
        }
        if told {
            told = outbox.told(notice.id.clone()).await;
        }
        (notice.id, told)
    }

    /// Sends it once. True when the gateway has it.
    async fn send(&self, notice: &Outgoing) -> bool {
        let Some(secret) = self.secrets.get(notice.network) else {
            tracing::error!(network = notice.network, "no secret to sign this network's notices with");
            return false;
        };
        let (body, second) = (notice.body.to_string(), clock::now().unix_timestamp());
        let request = self
            .client
            .post(format!("{}/networks/{}/notices", self.gateway, notice.network))
            .header("content-type", "application/json")
            .header(ID, &notice.id)
            .header(TIMESTAMP, second.to_string())
            .header(SIGNATURE, secret.sign(&notice.id, second, body.as_bytes()))
            .body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::warn!(notice = notice.id, status = answer.status().as_u16(), "the gateway refused a notice");
                false
            }
            Err(error) => {
                tracing::warn!(notice = notice.id, error = error.without_url().to_string(), "no answer to a notice");
                false
            }
        }
    }
}

/// Before the next try.
fn pause(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use serde_json::json;

    use super::*;

    struct Waiting(Mutex<Vec<Outgoing>>);

    impl Outbox for Waiting {
        fn due(&self, _: OffsetDateTime, is_wanted: impl Fn(&str) -> bool, count: usize) -> Vec<Outgoing> {
            self.0.lock().unwrap().iter().filter(|notice| is_wanted(&notice.id)).take(count).cloned().collect()
        }

        async fn told(&self, id: String) -> bool {
            self.0.lock().unwrap().retain(|notice| notice.id != id);
            true
        }
    }

    type Heard = Arc<Mutex<Vec<(String, bool)>>>;

    /// Refuses the first of all, and notes whether each was signed right.
    async fn hear(State((heard, secret)): State<(Heard, String)>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let secret = Secret::parse(&secret).unwrap();
        let (id, time, signature) = (text(ID), text(TIMESTAMP), text(SIGNATURE));
        let right = secret.verify(&id, &time, &signature, &body, clock::now().unix_timestamp()).is_ok();
        let mut heard = heard.lock().unwrap();
        heard.push((id, right));
        if heard.len() == 1 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
    }

    /// A notice is brought until it is taken, signed each time; one that comes twice has one id; and then it is over.
    #[tokio::test]
    async fn notices_are_brought_until_they_are_taken() {
        let secret = Secret::draw();
        let file = std::env::temp_dir().join(format!("kura-courier-{}", std::process::id()));
        std::fs::write(&file, secret.as_bytes()).unwrap();
        let heard = Heard::default();
        let routes = Router::new().route("/networks/konbini/notices", post(hear));
        let routes = routes.with_state((Arc::clone(&heard), secret.to_string()));
        let listener = kura_platform::serve::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let gateway = format!("http://{}", listener.local_addr().unwrap());
        let handle = kura_platform::serve::handle_until_signal();
        tokio::spawn(kura_platform::serve::plain(listener, routes, handle));
        let secrets = BTreeMap::from([("konbini".to_owned(), file.clone())]);
        let courier = Courier::new(&CourierConfig { gateway, secrets }).unwrap();
        std::fs::remove_file(file).unwrap();
        let notice =
            |id: &str, twice| Outgoing { id: id.to_owned(), network: "konbini", body: json!({ "x": 1 }), twice };
        let outbox = Arc::new(Waiting(Mutex::new(vec![notice("a", false)])));
        tokio::spawn(Arc::new(courier).run(Arc::clone(&outbox)));
        let empty = async || {
            for _ in 0..100 {
                if outbox.0.lock().unwrap().is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("still there");
        };
        empty().await;
        outbox.0.lock().unwrap().push(notice("b", true));
        empty().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let said = |id: &str| (id.to_owned(), true);
        assert_eq!(*heard.lock().unwrap(), [said("a"), said("a"), said("b"), said("b")]);
    }

    /// Longer each time, and never longer than a minute.
    #[test]
    fn pauses_grow() {
        let pauses: Vec<u128> = (1..=9).map(|times| pause(times).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
