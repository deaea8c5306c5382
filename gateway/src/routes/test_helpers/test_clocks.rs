//! `/v1/test_helpers/test_clocks`: clocks that a merchant turns, to see what its customers' subscriptions will do.

use kura_platform::clock;
use kura_wire::ids::TestClockId;
use schemars::JsonSchema;
use serde::Deserialize;
use time::Duration;

use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::{Moment, Text};
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::test_clock::{DeletedClock, TestClock, test_clock};
use crate::routes::customers::delete;
use crate::store::Listed;
use crate::store::test_clocks::{self, ClockStatus, TestClock as Row, cursor};

/// How far a clock is turned at once.
const FURTHEST: Duration = Duration::days(731);

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::TestHelpers)
        .post("/v1/test_helpers/test_clocks", "Create a test clock", create)
        .list("/v1/test_helpers/test_clocks", "List test clocks", list)
        .get("/v1/test_helpers/test_clocks/{id}", "Retrieve a test clock", retrieve)
        .delete("/v1/test_helpers/test_clocks/{id}", "Delete a test clock and all that lives by it", remove)
        .post("/v1/test_helpers/test_clocks/{id}/advance", "Turn a test clock", advance)
}

/// A new clock.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClock {
    /// What it shows. Unix seconds.
    frozen_time: Moment,
    /// Your name for it.
    name: Option<Text<300>>,
}

async fn create(context: Context, asked: CreateClock) -> ApiResult<TestClock> {
    let tenant = context.tenant();
    if tenant.livemode() {
        return Err(ApiError::with_message(Code::ParameterInvalid, "Test clocks are for test mode."));
    }
    let row = Row {
        id: context.ids().one(),
        name: asked.name.map(Text::into_string),
        frozen_at: asked.frozen_time.0,
        target_at: None,
        status: ClockStatus::Ready,
        created_at: clock::now(),
    };
    let mut tx = context.begin().await?;
    if !test_clocks::insert(&mut tx, tenant, &row).await? {
        drop(tx);
        return by_id(&context, &row.id.to_string()).await;
    }
    let shown = test_clock(tenant, &row);
    events::tell(&mut tx, &context.cause(), row.created_at, [Happened::to(&shown, Kind::TestClockCreated)?]).await?;
    tx.commit().await?;
    Ok(shown)
}

async fn list(context: Context, _: Nothing, list: ListParams) -> ApiResult<List<TestClock>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|row| cursor(&row)));
    let page = list.page(place).await?;
    let tenant = context.tenant();
    let found = test_clocks::list(&mut *context.db().await?, tenant, &page).await?;
    let items = found.items.iter().map(|row| test_clock(tenant, row)).collect();
    Ok(List::new("/v1/test_helpers/test_clocks", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<TestClock> {
    by_id(&context, context.raw_id()).await
}

/// The clock of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<TestClock> {
    let row = find(context, id).await?.ok_or_else(|| ApiError::missing("test_clock", "id"))?;
    Ok(test_clock(context.tenant(), &row))
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(test_clocks::find(&mut *context.db().await?, context.tenant(), id).await?)
}

/// Where a clock is turned to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// Later than it shows, at the most two years. Unix seconds.
    frozen_time: Moment,
}

/// Sets it going; the worker turns it.
async fn advance(context: Context, asked: Advance) -> ApiResult<TestClock> {
    let (tenant, id) = (context.tenant(), context.id::<TestClockId>("test_clock")?);
    let (target, at) = (asked.frozen_time.0, clock::now());
    let mut tx = context.begin().await?;
    let row = test_clocks::lock(&mut tx, tenant, id).await?.ok_or_else(|| ApiError::missing("test_clock", "id"))?;
    // An earlier run of this request set it going.
    if !context.first_run && (row.target_at == Some(target) || row.frozen_at == target) {
        return Ok(test_clock(tenant, &row));
    }
    if row.status == ClockStatus::Advancing {
        return Err(ApiError::new(Code::TestClockAdvancing));
    }
    if target <= row.frozen_at || target > row.frozen_at + FURTHEST {
        let expected = "later than the clock shows, by two years at the most";
        return Err(ApiError::invalid("frozen_time", expected));
    }
    let row = Row { target_at: Some(target), status: ClockStatus::Advancing, ..row };
    test_clocks::update(&mut tx, tenant, &row, Some(at)).await?;
    let shown = test_clock(tenant, &row);
    events::tell(&mut tx, &context.cause(), at, [Happened::to(&shown, Kind::TestClockAdvancing)?]).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Its customers go with it, and so their subscriptions end.
async fn remove(context: Context, _: Nothing) -> ApiResult<DeletedClock> {
    let (tenant, id) = (context.tenant(), context.id::<TestClockId>("test_clock")?);
    let found = test_clocks::find(&mut *context.db().await?, tenant, id).await?;
    let found = found.ok_or_else(|| ApiError::missing("test_clock", "id"))?;
    if found.status == ClockStatus::Advancing {
        return Err(ApiError::new(Code::TestClockAdvancing));
    }
    let customers = test_clocks::customers(&mut *context.db().await?, tenant, id).await?;
    for customer in customers {
        delete::erase(&context, customer).await?;
    }
    let at = clock::now();
    let mut tx = context.begin().await?;
    let deleted = DeletedClock { id: id.to_string(), object: Default::default(), deleted: true };
    if let Some(row) = test_clocks::lock(&mut tx, tenant, id).await? {
        test_clocks::delete(&mut tx, tenant, id, at).await?;
        let told = Happened::to(&test_clock(tenant, &row), Kind::TestClockDeleted)?;
        events::tell(&mut tx, &context.cause(), at, [told]).await?;
        tx.commit().await?;
    }
    Ok(deleted)
}
