//! Test clocks.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{unix, word};
use crate::store::Tenant;
use crate::store::test_clocks::TestClock as Row;

word!(ClockWord, "test_helpers.test_clock");

/// How long a clock is kept at Stripe. Here it stays until it is deleted.
const DELETED_AFTER: time::Duration = time::Duration::days(30);

/// A clock that you turn.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TestClock {
    /// `clock_…`.
    pub id: String,
    /// `test_helpers.test_clock`.
    pub object: ClockWord,
    /// Unix seconds, by our time.
    pub created: i64,
    /// Unix seconds. Nothing is deleted then.
    pub deletes_after: i64,
    /// What it shows. Unix seconds.
    pub frozen_time: i64,
    /// Always test.
    pub livemode: bool,
    /// Your name for it.
    pub name: Option<String>,
    /// `ready`, `advancing` or `internal_failure`.
    pub status: &'static str,
    /// Where it is being turned to.
    pub status_details: StatusDetails,
}

/// Where a clock is being turned to.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct StatusDetails {
    /// While it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advancing: Option<Value>,
}

/// What is left of a deleted clock.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedClock {
    /// `clock_…`.
    pub id: String,
    /// `test_helpers.test_clock`.
    pub object: ClockWord,
    /// True.
    pub deleted: bool,
}

/// A clock.
pub fn test_clock(tenant: Tenant, row: &Row) -> TestClock {
    TestClock {
        id: row.id.to_string(),
        object: ClockWord::default(),
        created: unix(row.created_at),
        deletes_after: unix(row.created_at + DELETED_AFTER),
        frozen_time: unix(row.frozen_at),
        livemode: tenant.livemode(),
        name: row.name.clone(),
        status: row.status.as_str(),
        status_details: StatusDetails {
            advancing: row.target_at.map(|at| serde_json::json!({ "target_frozen_time": unix(at) })),
        },
    }
}
