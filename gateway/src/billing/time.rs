//! Whose time it is.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::TestClockId;
use time::OffsetDateTime;

use crate::codes::Code;
use crate::error::{ApiError, ApiResult};
use crate::store::Tenant;
use crate::store::test_clocks::{self, ClockStatus};

/// Now, by this clock or by ours.
///
/// # Errors
/// The database's.
pub async fn now(conn: &mut PgConnection, tenant: Tenant, by: Option<TestClockId>) -> ApiResult<OffsetDateTime> {
    let Some(id) = by else { return Ok(clock::now()) };
    let found = test_clocks::find(conn, tenant, id).await?;
    Ok(found.map_or_else(clock::now, |found| found.frozen_at))
}

/// The same, for a request that would change what lives by it.
///
/// # Errors
/// 404 for a clock that is not there; 400 while it is being turned.
pub async fn for_request(
    conn: &mut PgConnection,
    tenant: Tenant,
    by: Option<TestClockId>,
) -> ApiResult<OffsetDateTime> {
    let Some(id) = by else { return Ok(clock::now()) };
    let found = test_clocks::find(conn, tenant, id).await?;
    let found = found.ok_or_else(|| ApiError::missing("test_clock", "test_clock"))?;
    if found.status == ClockStatus::Advancing {
        return Err(ApiError::new(Code::TestClockAdvancing));
    }
    Ok(found.frozen_at)
}
