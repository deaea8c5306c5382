//! `GET /v1/events/stream`: events as they happen, as server-sent events (WHATWG HTML, 9.2). An endpoint of our own, for tools.
//!
//! Each event is sent at least once. It is committed some moments after the time that it bears, so what was sent is always
//! looked at again for a while: nothing is missed, and what is resumed repeats some seconds.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream;
use kura_platform::clock;
use kura_wire::ids::{EventId, MerchantId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Map;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::app::App;
use crate::codes::Code;
use crate::edge::auth;
use crate::edge::call::{self, Context};
use crate::endpoint::read;
use crate::endpoint::rights::Right;
use crate::endpoint::types::{Moment, Text};
use crate::error::{ApiError, ApiResult};
use crate::signals;
use crate::store::events;

/// How long after its own time an event is there for all to see: no transaction is longer.
const SETTLED_AFTER: time::Duration = time::Duration::seconds(15);
/// Pause between two looks.
const EVERY: Duration = Duration::from_millis(400);
/// A stream that is silent says so, or something between us cuts it.
const SILENCE: Duration = Duration::from_secs(15);
/// Then it ends, and the client resumes.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Events of one look.
const AT_ONCE: i64 = 200;
/// Streams at once, of one merchant and of all.
const MAX_OF_MERCHANT: usize = 8;
const MAX_STREAMS: usize = 256;

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamEvents {
    /// Of these kinds; of all where there are none.
    types: Option<Vec<Text<64>>>,
    /// `evt_…`: what happened after this one, as the header `Last-Event-ID` says it too. Without it: what happens from now on.
    after: Option<Text<255>>,
    /// A Unix time: what happens from then on.
    since: Option<Moment>,
}

/// The streams that are open, by merchant.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<MerchantId, usize>>);

/// One of a merchant's streams, for as long as it lives.
struct Place {
    app: App,
    merchant: MerchantId,
}

impl Place {
    fn take(app: &App, merchant: MerchantId) -> ApiResult<Self> {
        let mut open = app.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.entry(merchant).or_default();
        if *own >= MAX_OF_MERCHANT || all >= MAX_STREAMS {
            return Err(ApiError::with_message(Code::RateLimit, "Too many streams of events are open.").retry_after(10));
        }
        *own += 1;
        drop(open);
        Ok(Self { app: app.clone(), merchant })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.app.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.merchant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.merchant)),
        }
    }
}

/// The endpoint, for keys that have this right.
pub fn endpoint(right: Right) -> MethodRouter<App> {
    get(move |State(app): State<App>, path: RawPathParams, request: Request| async move {
        open(app, right, path, request).await.unwrap_or_else(IntoResponse::into_response)
    })
}

async fn open(app: App, right: Right, path: RawPathParams, request: Request) -> ApiResult<Response> {
    let (parts, _) = request.into_parts();
    let (context, tree) = call::reading(&app, right, &path, &parts).await?;
    let asked: StreamEvents = read::read(tree)?;
    let resumed = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let after = asked.after.map(Text::into_string).or(resumed);
    let place = Place::take(&app, context.tenant().merchant())?;
    let mut follow = Follow {
        kinds: asked.types.map(|kinds| kinds.into_iter().map(Text::into_string).collect()),
        authorization: parts.headers,
        from: asked.since.map_or_else(clock::now, |since| since.0),
        sent: HashMap::new(),
        ready: VecDeque::from([Bytes::from_static(b": open\n\n")]),
        opened: Instant::now(),
        spoke: Instant::now(),
        _place: Arc::new(place),
        context,
    };
    if let Some(text) = after {
        let missing = || {
            let error = ApiError::missing("event", "after");
            follow.context.watch(&signals::ids_in(std::slice::from_ref(&text), &Map::new()), Err(&error));
            error
        };
        let id: EventId = text.parse().map_err(|_| missing())?;
        let found = events::find(&mut *follow.context.db().await?, follow.context.tenant(), id).await?;
        let event = found.ok_or_else(missing)?;
        follow.from = event.created_at - SETTLED_AFTER;
        follow.sent.insert(Uuid::from_bytes(*id.as_bytes()), event.created_at);
    }
    let body = Body::from_stream(stream::unfold(follow, async |mut follow| {
        let chunk = follow.next().await?;
        Some((Ok::<_, Infallible>(chunk), follow))
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

struct Follow {
    context: Context,
    authorization: HeaderMap,
    kinds: Option<Vec<String>>,
    /// Everything before was sent, or is not wanted.
    from: OffsetDateTime,
    /// What was sent of what came after.
    sent: HashMap<Uuid, OffsetDateTime>,
    ready: VecDeque<Bytes>,
    opened: Instant,
    spoke: Instant,
    _place: Arc<Place>,
}

impl Follow {
    /// What is to be sent next; none when it is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                self.spoke = Instant::now();
                return Some(chunk);
            }
            // A key that was revoked hears nothing more.
            if self.opened.elapsed() > LONGEST || !self.may_go_on().await {
                return None;
            }
            self.look().await.ok()?;
            if self.ready.is_empty() {
                if self.spoke.elapsed() > SILENCE {
                    self.ready.push_back(Bytes::from_static(b": still here\n\n"));
                } else {
                    tokio::time::sleep(EVERY).await;
                }
            }
        }
    }

    async fn may_go_on(&self) -> bool {
        let Some(place) = &self.context.place else { return false };
        auth::authenticate(&self.context.app, &self.authorization, place).await.is_ok()
    }

    async fn look(&mut self) -> ApiResult<()> {
        let (tenant, settled) = (self.context.tenant(), clock::now() - SETTLED_AFTER);
        let sent: Vec<Uuid> = self.sent.keys().copied().collect();
        let mut conn = self.context.db().await?;
        let found = events::since(&mut conn, tenant, self.kinds.as_deref(), self.from, &sent, AT_ONCE).await?;
        drop(conn);
        let more = i64::try_from(found.len()).unwrap_or(0) == AT_ONCE;
        let reached = found.last().map(|event| event.created_at);
        for event in found {
            self.sent.insert(Uuid::from_bytes(*event.id.as_bytes()), event.created_at);
            let (id, pending) = (event.id, event.pending);
            let shown = crate::render::event::event(tenant, event, pending);
            let data = serde_json::to_string(&shown).map_err(ApiError::internal)?;
            self.ready.push_back(Bytes::from(format!("id: {id}\nevent: {}\ndata: {data}\n\n", shown.r#type)));
        }
        let settled = match reached {
            Some(reached) if more => settled.min(reached),
            _ => settled,
        };
        self.from = self.from.max(settled);
        self.sent.retain(|_, at| *at >= self.from);
        Ok(())
    }
}
