//! The edge: what every request passes on its way in, and every answer on its way out.
//!
//! In: a request id, the right host, the right site. Out: an error page where there is an error, the security headers, a log
//! line. What never gets logged: addresses (they hold enrolment links), bodies, cookies.

pub mod client;
pub mod cookie;
pub mod error;
pub mod form;
pub mod headers;
pub mod signed_in;
pub mod site;
pub mod visit;

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::info;

use self::client::Client;
use self::error::PageError;
use crate::state::App;

/// A request's body may be this long; a passkey's answer is the longest.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// A request may take this long.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// All of it, around every route.
pub async fn pass(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = std::time::Instant::now();
    let client = Client::of(&request);
    request.extensions_mut().insert(client);
    let method = request.method().clone();
    // The route, never the address itself: an enrolment link is a secret.
    let route = request.extensions().get::<MatchedPath>().map_or("-", |path| path.as_str()).to_owned();

    let answer = match site::check(&request, &app.origin) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            // In the log and not in the audit: anyone on the network can make these, and the audit is not theirs to fill.
            tracing::warn!(?refusal, address = %client.address, request_id = %client.request_id, "request refused");
            PageError::from(refusal).into_response()
        }
    };
    let mut answer = error::render(answer, client);
    headers::set(&mut answer, client.request_id, app.origin.is_https);
    let status = answer.status().as_u16();
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(%method, route, status, took_ms, request_id = %client.request_id, "request");
    answer
}
