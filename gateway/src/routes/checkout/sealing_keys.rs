//! `GET /checkout/sealing_keys`: the vault's keys, as the vault signed them. The gateway can delay them, not alter them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kura_platform::clock;
use kura_wire::ids::NodeId;
use kura_wire::sealed_box::{SealingKeySet, SignedKeySet, node_of_key};

use crate::app::App;
use crate::error::ApiResult;
use crate::vault_client::VaultFailure;

/// Keys live for an hour and open for longer, so some seconds late is never too late.
const KEPT_FOR: Duration = Duration::from_secs(20);
/// How long a set is still served while the vault does not answer, if its keys live so long.
const SERVED_FOR: Duration = Duration::from_secs(300);
/// How long a failure is believed without asking again.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// How long the vault may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The keys of all nodes, by node.
#[derive(Default)]
pub struct SealingKeyCaches(Mutex<BTreeMap<NodeId, Arc<SealingKeyCache>>>);

impl SealingKeyCaches {
    fn of(&self, node: NodeId) -> Arc<SealingKeyCache> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default())
    }

    /// Gives this key to nobody any more, if it is the one that is given at present.
    pub fn forget(&self, key_id: &str) {
        let Some(node) = node_of_key(key_id) else { return };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&node).map(Arc::clone);
        if let Some(cache) = known {
            let mut state = cache.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.kept.as_ref().is_some_and(|kept| kept.keys.payload.contains(&format!("\"{key_id}\""))) {
                state.kept = None;
            }
        }
    }
}

/// The last set of a node, when it came, and the last failure.
#[derive(Default)]
struct SealingKeyCache {
    state: Mutex<Memory>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Memory {
    kept: Option<Kept>,
    failed: Option<(Instant, VaultFailure)>,
}

struct Kept {
    since: Instant,
    not_after_ms: i64,
    keys: Arc<SignedKeySet>,
}

/// What is there without a question to the vault.
enum Known {
    Fresh(Arc<SignedKeySet>),
    Old(Arc<SignedKeySet>),
    Failed(VaultFailure),
    Nothing,
}

impl SealingKeyCache {
    /// The current set. One question to the vault at a time; meanwhile the others get the last set while it is still valid,
    /// and wait only when there is none.
    async fn current<F>(&self, ask: impl FnOnce() -> F) -> Result<Arc<SignedKeySet>, VaultFailure>
    where
        F: Future<Output = Result<SignedKeySet, VaultFailure>>,
    {
        let _turn = match self.known() {
            Known::Fresh(keys) => return Ok(keys),
            Known::Failed(failure) => return Err(failure),
            Known::Old(keys) => match self.asking.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(keys),
            },
            Known::Nothing => self.asking.lock().await,
        };
        match self.known() {
            Known::Fresh(keys) => return Ok(keys),
            Known::Failed(failure) => return Err(failure),
            Known::Old(_) | Known::Nothing => {}
        }
        let answer = tokio::time::timeout(PATIENCE, ask()).await.unwrap_or(Err(VaultFailure::Doubt));
        self.learn(answer)
    }

    fn known(&self) -> Known {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = clock::now_ms();
        let kept = state.kept.as_ref().filter(|kept| kept.since.elapsed() < SERVED_FOR && now_ms < kept.not_after_ms);
        let failed = state.failed.filter(|(since, _)| since.elapsed() < FAILED_FOR);
        match (kept, failed) {
            (Some(kept), Some(_)) => Known::Fresh(Arc::clone(&kept.keys)),
            (Some(kept), None) if kept.since.elapsed() < KEPT_FOR => Known::Fresh(Arc::clone(&kept.keys)),
            (Some(kept), None) => Known::Old(Arc::clone(&kept.keys)),
            (None, Some((_, failure))) => Known::Failed(failure),
            (None, None) => Known::Nothing,
        }
    }

    fn learn(&self, answer: Result<SignedKeySet, VaultFailure>) -> Result<Arc<SignedKeySet>, VaultFailure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(keys) => {
                let keys = Arc::new(keys);
                let kept = Kept { since: Instant::now(), not_after_ms: not_after_ms(&keys), keys: Arc::clone(&keys) };
                *state = Memory { kept: Some(kept), failed: None };
                Ok(keys)
            }
            Err(failure) => {
                state.failed = Some((Instant::now(), failure));
                drop(state);
                match self.known() {
                    Known::Fresh(keys) | Known::Old(keys) => Ok(keys),
                    Known::Failed(_) | Known::Nothing => Err(failure),
                }
            }
        }
    }
}

/// When the first key of the set ends; a set that can't be read is not kept.
fn not_after_ms(keys: &SignedKeySet) -> i64 {
    let set = serde_json::from_str::<SealingKeySet>(&keys.payload).ok();
    set.and_then(|set| set.keys.iter().map(|key| key.not_after_ms).min()).unwrap_or(i64::MIN)
}

/// The set of a node that is there; they take turns.
async fn current(app: &App) -> Result<Arc<SignedKeySet>, VaultFailure> {
    let mut last = VaultFailure::Away;
    for node in app.vault.nodes() {
        match app.sealing_keys.of(node.number).current(|| app.vault.sealing_keys(node)).await {
            Ok(keys) => return Ok(keys),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// Runs it.
pub async fn run(State(app): State<App>) -> ApiResult<Response> {
    let keys = current(&app).await?;
    let mut response = Json(keys.as_ref()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=10"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(not_after_ms: i64) -> SignedKeySet {
        let key = serde_json::json!({"key_id": "k", "node": 1, "suite": "x25519-sha256-aes256gcm", "public_key": "p",
            "not_before_ms": 0, "not_after_ms": not_after_ms});
        SignedKeySet { payload: serde_json::json!({ "keys": [key] }).to_string(), signature: "s".into() }
    }

    fn cache(age: Duration, lives_ms: i64) -> SealingKeyCache {
        let cache = SealingKeyCache::default();
        cache.learn(Ok(set(clock::now_ms() + lives_ms))).unwrap();
        if let Some(kept) = cache.state.lock().unwrap().kept.as_mut() {
            kept.since = Instant::now().checked_sub(age).unwrap();
        }
        cache
    }

    async fn away() -> Result<SignedKeySet, VaultFailure> {
        Err(VaultFailure::Away)
    }

    /// While the vault is away the last set is served, as long as its keys live; and while it hangs, nobody waits for it but
    /// the one who asks.
    #[tokio::test]
    async fn the_last_set_outlives_the_vaults_absence() {
        let old = Duration::from_secs(25);
        assert!(cache(old, 60_000).current(away).await.is_ok());
        assert!(cache(old, -1).current(away).await.is_err());
        let cache = cache(old, 60_000);
        let _asking = cache.asking.lock().await;
        assert!(cache.current(std::future::pending).await.is_ok());
    }

    /// A failure is remembered, so that a crowd does not ask an ailing vault one by one.
    #[tokio::test]
    async fn a_failure_is_remembered_for_a_second() {
        let cache = SealingKeyCache::default();
        assert!(cache.current(away).await.is_err());
        assert!(cache.current(std::future::pending).await.is_err());
        let long_ago = Instant::now().checked_sub(FAILED_FOR).unwrap();
        cache.state.lock().unwrap().failed = Some((long_ago, VaultFailure::Away));
        assert!(cache.current(async || Ok(set(i64::MAX))).await.is_ok());
    }
}
