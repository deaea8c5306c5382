//! `GET /checkout/sealing_keys`: the vault's keys, as the vault signed them. The gateway can delay them, not alter them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kura_wire::sealed_box::SignedKeySet;
use tokio::sync::Mutex;

use crate::app::App;
use crate::error::ApiResult;

/// Keys live for an hour and open for longer, so some seconds late is never too late.
const KEPT_FOR: Duration = Duration::from_secs(20);

/// The last set, and when it came.
#[derive(Default)]
pub struct SealingKeyCache(Mutex<Option<(Instant, Arc<SignedKeySet>)>>);

/// Runs it.
pub async fn run(State(app): State<App>) -> ApiResult<Response> {
    let keys = current(&app).await?;
    let mut response = Json(keys.as_ref()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=10"));
    Ok(response)
}

/// One question to the vault at a time; the others wait for its answer.
async fn current(app: &App) -> ApiResult<Arc<SignedKeySet>> {
    let mut kept = app.sealing_keys.0.lock().await;
    if let Some((_, keys)) = kept.as_ref().filter(|(since, _)| since.elapsed() < KEPT_FOR) {
        return Ok(Arc::clone(keys));
    }
    let keys = Arc::new(app.vault.sealing_keys().await?);
    *kept = Some((Instant::now(), Arc::clone(&keys)));
    Ok(keys)
}
