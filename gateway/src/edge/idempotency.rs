//! `Idempotency-Key`: the same request, once, however often it is sent.
//!
//! A key's row is made *before* the request runs, with a random seed from which all ids follow
//! ([`crate::request_ids`]). From then on there are four cases for a request that brings the same key:
//!
//! - its parameters differ: 400, whatever the row says;
//! - the row is `finished`: the same status and body again, marked `Idempotent-Replayed`;
//! - the row is `in_flight`: 409, unless whoever ran it surely does no more (this process knows what it runs; another one's is
//!   older than a minute, or of before this one's start): then this request takes it over, **with the old seed**;
//! - the row is `retryable` (it ended in a 503 or 429: an outage in the middle of it): it runs again, with the old seed. A 500
//!   is an answer like any other, and is replayed.
//!
//! Running again is safe because the second run computes the first run's ids, finds what it wrote, and goes on from there.
//! A row lives for 24 hours. The answer in it is sealed under a key of this service: it may hold a secret that is shown once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use data_encoding::BASE64;
use kura_platform::clock;
use kura_wire::ids::RequestId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::app::App;
use crate::codes::Code;
use crate::error::{ApiError, ApiResult};
use crate::request_ids::SEED_LEN;
use crate::store::idempotency::{self as store, Claim, Row, RowKey};

/// Pauses before a row is let go of again, where the database could not be reached: half a minute in all.
const TRY_AGAIN_AFTER: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];
const MAX_KEY_LEN: usize = 255;
/// After so long, whoever ran a request is not running it any more: every step of it has a shorter limit.
const STALE_AFTER: time::Duration = time::Duration::seconds(60);
/// How long an answer can be had again.
pub const KEPT_FOR: time::Duration = time::Duration::hours(24);

/// The requests with a key that this process runs at this moment.
#[derive(Default)]
pub struct Running(Mutex<HashSet<RequestId>>);

impl Running {
    /// This one, for as long as the answer lives.
    pub fn enter(app: &App, request: RequestId) -> Runs {
        app.running.set().insert(request);
        Runs { app: app.clone(), request }
    }

    fn has(&self, row: &Row) -> bool {
        self.set().contains(&RequestId::from_bytes(row.request_id.into_bytes()))
    }

    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<RequestId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that runs.
pub struct Runs {
    app: App,
    request: RequestId,
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.app.running.set().remove(&self.request);
    }
}

/// How a request goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It runs, with this seed; `first` unless somebody ran it before.
    Run {
        /// For the ids.
        seed: [u8; SEED_LEN],
        /// Nobody ran it before.
        first: bool,
    },
    /// It ran; this was the answer.
    Replay {
        /// HTTP.
        status: u16,
        /// JSON.
        body: String,
        /// The request that ran.
        original: RequestId,
    },
}

/// The header's value, if it was sent.
///
/// # Errors
/// `idempotency_key_invalid`.
pub fn key_of(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=MAX_KEY_LEN).contains(&text.len()));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| ApiError::new(Code::IdempotencyKeyInvalid))
}

/// May it run?
///
/// # Errors
/// `idempotency_key_reused`, `idempotency_key_in_use`, or the database's.
pub async fn admit(app: &App, key: RowKey<'_>, fingerprint: [u8; 32], request: RequestId) -> ApiResult<Admission> {
    let seed = kura_platform::random::bytes();
    let claim = Claim { fingerprint, seed, instance: app.instance, request, at: clock::now() };
    let mut connection = app.db.of(key.tenant).await?;
    // Twice, for a row may be forgotten between the two statements.
    for _ in 0..2 {
        if store::insert(&mut connection, key, &claim).await? {
            return Ok(Admission::Run { seed, first: true });
        }
        let Some(row) = store::find(&mut connection, key).await? else { continue };
        return match decide(&row, &fingerprint, (app.instance, app.running.has(&row)), claim.at)? {
            Decision::Replay { status, sealed, original } => {
                Ok(Admission::Replay { status, body: open(app, key, &sealed)?, original })
            }
            Decision::TakeOver(seed) if store::take_over(&mut connection, key, &row, &claim).await? => {
                Ok(Admission::Run { seed, first: false })
            }
            Decision::TakeOver(_) => Err(ApiError::new(Code::IdempotencyKeyInUse)),
        };
    }
    Err(ApiError::new(Code::IdempotencyKeyInUse))
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Replay { status: u16, sealed: String, original: RequestId },
    TakeOver([u8; SEED_LEN]),
}

/// What to do about a row that is there, in a process that runs its request or does not.
fn decide(
    row: &Row,
    fingerprint: &[u8; 32],
    (instance, running): (Uuid, bool),
    now: OffsetDateTime,
) -> ApiResult<Decision> {
    if row.fingerprint != fingerprint {
        return Err(ApiError::new(Code::IdempotencyKeyReused));
    }
    if let (Some(status), Some(body)) = (row.status, &row.body) {
        let status = u16::try_from(status).map_err(ApiError::internal)?;
        let original = RequestId::from_bytes(row.request_id.into_bytes());
        return Ok(Decision::Replay { status, sealed: body.clone(), original });
    }
    let seed = row.seed.as_slice().try_into().map_err(ApiError::internal)?;
    let left = row.instance == instance && !running;
    let abandoned = row.state == "retryable" || now - row.claimed_at > STALE_AFTER || left || died(row, instance);
    if abandoned { Ok(Decision::TakeOver(seed)) } else { Err(ApiError::new(Code::IdempotencyKeyInUse)) }
}

/// Whether the row was claimed by another process before this one started. With one process that one is dead. With several
/// replicas it may live: taking over is safe then too, for both runs have the same ids and there is one attempt; the
/// merchant is told `processing` instead of `409`.
fn died(row: &Row, instance: Uuid) -> bool {
    row.instance != instance && row.claimed_at < started_at(instance)
}

/// The start of a process, to the millisecond: its id is a UUID of version 7.
fn started_at(instance: Uuid) -> OffsetDateTime {
    let (seconds, nanos) = instance.get_timestamp().map_or((0, 0), |timestamp| timestamp.to_unix());
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Keeps, releases or forgets the row, by how the request ended. Failing here costs a replay, never a payment.
pub async fn conclude(app: &App, key: RowKey<'_>, request: RequestId, outcome: Result<&str, (&ApiError, &str)>) {
    if outcome.is_err_and(|(error, _)| error.code().is_transient()) {
        return release(app, key, request);
    }
    let mut connection = match app.db.of(key.tenant).await {
        Ok(connection) => connection,
        Err(error) => return keeps_its_claim(request, &error),
    };
    let done = match outcome {
        Err((error, _)) if error.code().is_validation() => store::forget(&mut connection, key, request).await,
        outcome => {
            let (status, body) = match outcome {
                Err((error, body)) => (status_of(error), body),
                Ok(body) => (200, body),
            };
            let Ok(sealed) = seal(app, key, body) else { return };
            store::finish(&mut connection, key, request, status, &sealed).await
        }
    };
    if let Err(error) = done {
        keeps_its_claim(request, &error);
    }
}

/// Lets go of the row, for other processes too. The answer does not wait for it: the database may be what is away.
fn release(app: &App, key: RowKey<'_>, request: RequestId) {
    let (app, tenant, scope, name) = (app.clone(), key.tenant, key.scope, key.key.to_owned());
    tokio::spawn(async move {
        let mut pauses = TRY_AGAIN_AFTER.into_iter();
        let key = RowKey { tenant, scope, key: &name };
        while let Err(error) = try_release(&app, key, request).await {
            let Some(pause) = pauses.next() else { return keeps_its_claim(request, &error) };
            tokio::time::sleep(pause).await;
        }
    });
}

async fn try_release(app: &App, key: RowKey<'_>, request: RequestId) -> sqlx::Result<()> {
    store::release(&mut *app.db.of(key.tenant).await?, key, request).await
}

fn seal(app: &App, key: RowKey<'_>, body: &str) -> ApiResult<String> {
    let sealed = in_its_place(key, |place| app.secrets.answers.seal(place, body.as_bytes()));
    sealed.map(|sealed| BASE64.encode(&sealed)).map_err(ApiError::internal)
}

fn open(app: &App, key: RowKey<'_>, kept: &str) -> ApiResult<String> {
    let sealed = BASE64.decode(kept.as_bytes()).map_err(ApiError::internal)?;
    let plain = in_its_place(key, |place| app.secrets.answers.open(place, &sealed)).map_err(ApiError::internal)?;
    String::from_utf8(plain.to_vec()).map_err(ApiError::internal)
}

fn in_its_place<T>(key: RowKey<'_>, act: impl FnOnce(&[&[u8]]) -> T) -> T {
    let merchant = key.tenant.merchant();
    let mode = [u8::from(key.tenant.livemode())];
    act(&[b"idempotency_keys.body", merchant.as_bytes(), &mode, key.scope.as_str().as_bytes(), key.key.as_bytes()])
}

fn keeps_its_claim(request: RequestId, error: &sqlx::Error) {
    tracing::error!(request_id = %request, %error, "an idempotency row keeps its claim");
}

fn status_of(error: &ApiError) -> i16 {
    i16::try_from(error.status().as_u16()).unwrap_or(500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, claimed: OffsetDateTime, instance: Uuid) -> Row {
        let finished = state == "finished";
        Row {
            fingerprint: vec![1; 32],
            seed: vec![2; 16],
            state: state.into(),
            instance,
            claimed_at: claimed,
            request_id: Uuid::from_bytes([3; 16]),
            status: finished.then_some(200),
            body: finished.then(|| "{}".into()),
        }
    }

    fn instance() -> Uuid {
        Uuid::from_bytes(kura_platform::random::time_ordered())
    }

    /// The row of another request refuses, whatever its state.
    #[test]
    fn other_parameters_are_refused() {
        let (me, now) = (instance(), clock::now());
        for state in ["in_flight", "retryable", "finished"] {
            let error = decide(&row(state, now, me), &[9; 32], (me, true), now).unwrap_err();
            assert_eq!(error.code(), Code::IdempotencyKeyReused);
        }
    }

    /// A finished row is replayed with its status, body and first request.
    #[test]
    fn finished_rows_are_replayed() {
        let (me, now) = (instance(), clock::now());
        let decision = decide(&row("finished", now, me), &[1; 32], (me, false), now).unwrap();
        let original = RequestId::from_bytes([3; 16]);
        assert_eq!(decision, Decision::Replay { status: 200, sealed: "{}".into(), original });
    }

    /// While somebody runs it, nobody else does; when he is gone, the next one runs it with his seed.
    #[test]
    fn abandoned_rows_are_taken_over_with_their_seed() {
        let (me, now) = (instance(), clock::now());
        let hour = time::Duration::hours(1);
        let in_use = decide(&row("in_flight", now, me), &[1; 32], (me, true), now).unwrap_err();
        assert_eq!(in_use.code(), Code::IdempotencyKeyInUse);
        let taken = Ok(Decision::TakeOver([2; 16]));
        let decided = |row: Row| decide(&row, &[1; 32], (me, true), now).map_err(|error| error.code());
        let left = decide(&row("in_flight", now, me), &[1; 32], (me, false), now).map_err(|error| error.code());
        assert_eq!(left, taken, "this process knows that it runs it no more");
        assert_eq!(decided(row("retryable", now, me)), taken);
        assert_eq!(decided(row("in_flight", now - hour, me)), taken, "older than any request can be");
        let other = Uuid::from_bytes([9; 16]);
        assert_eq!(
            decided(row("in_flight", now - time::Duration::seconds(5), other)),
            taken,
            "of a process before this one"
        );
        assert_eq!(
            decided(row("in_flight", now + hour, other)),
            Err(Code::IdempotencyKeyInUse),
            "of a replica that lives"
        );
    }

    /// 1 to 255 printable characters.
    #[test]
    fn keys_are_bounded() {
        let key = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", axum::http::HeaderValue::from_bytes(value).unwrap());
            key_of(&headers).map_err(|error| error.code())
        };
        assert_eq!(key(b"a"), Ok(Some("a".into())));
        assert!(key(&[b'a'; 255]).is_ok());
        assert_eq!(key(&[b'a'; 256]), Err(Code::IdempotencyKeyInvalid));
        assert_eq!(key(b""), Err(Code::IdempotencyKeyInvalid));
        assert_eq!(key(&[0xff]), Err(Code::IdempotencyKeyInvalid));
        assert_eq!(key_of(&HeaderMap::new()).unwrap(), None);
    }
}
