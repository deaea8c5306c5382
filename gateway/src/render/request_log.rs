//! A merchant's requests: an object of our own.

use schemars::JsonSchema;
use serde::Serialize;

use super::{unix, word};
use crate::store::Tenant;
use crate::store::request_logs::RequestLog as Row;

word!(RequestLogWord, "request_log");

/// A request that you made. What was in it is not kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RequestLog {
    /// `req_…`: the answer's `Request-Id`.
    pub id: String,
    /// `request_log`.
    pub object: RequestLogWord,
    /// Unix seconds.
    pub created: i64,
    /// The error's code.
    pub code: Option<String>,
    /// How long it took.
    pub duration_ms: i32,
    /// The request's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// With which key: its prefix and last four letters.
    pub key: String,
    /// Live or test.
    pub livemode: bool,
    /// `POST`.
    pub method: String,
    /// Words and ids of the API; everything else is a star.
    pub path: String,
    /// What it was answered.
    pub status: i16,
}

/// As the API shows it.
pub fn request_log(tenant: Tenant, row: Row) -> RequestLog {
    RequestLog {
        id: row.id.to_string(),
        object: RequestLogWord::default(),
        created: unix(row.created_at),
        code: row.code,
        duration_ms: row.duration_ms,
        idempotency_key: row.idempotency_key,
        key: row.key_hint,
        livemode: tenant.livemode(),
        method: row.method,
        path: row.path,
        status: row.status,
    }
}
