//! Turning a clock: what is due by it happens one after the other, each at its own moment, until the clock shows what its
//! merchant wants.

use kura_platform::clock;
use kura_wire::ids::TestClockId;
use time::{Duration, OffsetDateTime};

use super::subscriptions;
use crate::edge::call::Context;
use crate::error::ApiResult;
use crate::events::{self, Happened, Kind};
use crate::render::test_clock::test_clock;
use crate::store::test_clocks::{self, ClockStatus, Due, TestClock};

/// How long one step may take before another worker goes on.
const LEASE: Duration = Duration::seconds(60);
/// Times that one thing may stay due though it was done.
const PATIENCE: u32 = 3;

/// Turns it, to the end.
///
/// # Errors
/// The database's; the vault's, where a payment could not be asked for. Somebody goes on later.
pub async fn turn(context: &Context, id: TestClockId) -> ApiResult<()> {
    let mut last = None;
    let mut times = 0;
    while let Some(due) = next(context, id).await? {
        times = if last == Some(due) { times + 1 } else { 0 };
        last = Some(due);
        if times == PATIENCE {
            return end(context, id, ClockStatus::Failed).await;
        }
        match due.1 {
            Due::Subscription(id) => subscriptions::turn(context, id).await?,
            Due::Invoice(id) => subscriptions::turn_invoice(context, id).await?,
        }
    }
    Ok(())
}

/// Turns it to what is due next. `None` when it shows what was wanted.
async fn next(context: &Context, id: TestClockId) -> ApiResult<Option<(OffsetDateTime, Due)>> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let Some(row) = test_clocks::lock(&mut tx, tenant, id).await? else { return Ok(None) };
    let Some(target) = row.target_at.filter(|_| row.status == ClockStatus::Advancing) else { return Ok(None) };
    let Some(due) = test_clocks::next_due(&mut tx, tenant, id, target).await? else {
        drop(tx);
        end(context, id, ClockStatus::Ready).await?;
        return Ok(None);
    };
    let turned = TestClock { frozen_at: row.frozen_at.max(due.0), ..row };
    test_clocks::update(&mut tx, tenant, &turned, Some(clock::now() + LEASE)).await?;
    tx.commit().await?;
    Ok(Some(due))
}

async fn end(context: &Context, id: TestClockId, status: ClockStatus) -> ApiResult<()> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let Some(row) = test_clocks::lock(&mut tx, tenant, id).await? else { return Ok(()) };
    let Some(target) = row.target_at.filter(|_| row.status == ClockStatus::Advancing) else { return Ok(()) };
    let (frozen_at, kind) = match status {
        ClockStatus::Failed => (row.frozen_at, Kind::TestClockInternalFailure),
        ClockStatus::Ready | ClockStatus::Advancing => (target, Kind::TestClockReady),
    };
    let ended = TestClock { frozen_at, target_at: None, status, ..row };
    test_clocks::update(&mut tx, tenant, &ended, None).await?;
    let told = Happened::to(&test_clock(tenant, &ended), kind)?;
    events::tell(&mut tx, &context.cause(), clock::now(), [told]).await?;
    tx.commit().await?;
    Ok(())
}
