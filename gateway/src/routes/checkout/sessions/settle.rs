//! What became of a session: complete when its payment was made, its card kept or its subscription begun; expired when it is too
//! late. The shopper's own request settles it, or the worker does.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::CheckoutSessionId;
use time::{Duration, OffsetDateTime};

use super::shown;
use crate::billing::invoices;
use crate::codes::Code;
use crate::domain::checkout::{Event, Mode, Status};
use crate::domain::payment_intent::Status as PaymentStatus;
use crate::domain::setup_intent::Status as SetupStatus;
use crate::domain::subscription::Status as SubscriptionStatus;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::checkout_session::Session;
use crate::routes::payment_intents::cancel;
use crate::store::checkout_sessions::{self, Session as Row};
use crate::store::{payment_intents, setup_intents, subscriptions};

/// Between two looks at what is under way.
const LOOK_EVERY: Duration = Duration::seconds(30);

/// How far what a session is for has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Made, kept, begun.
    Done,
    /// The network or the shopper is still at it.
    UnderWay,
    /// Nothing came of it, or nothing was begun.
    Nothing,
}

/// Settles a session; gives it as it is then.
///
/// # Errors
/// 404; the database's.
pub async fn settle(context: &Context, id: CheckoutSessionId) -> ApiResult<Row> {
    let (tenant, now) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let row = checkout_sessions::lock(&mut tx, tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::missing("checkout session", "id"))?;
    if row.status != Status::Open {
        return Ok(row);
    }
    let progress = progress(&mut tx, context, &row).await?;
    let trying = row.trying && progress == Progress::UnderWay;
    let row = Row { trying, ..row };
    let late = row.expires_at <= now && progress == Progress::Nothing;
    let event = match progress {
        Progress::Done => Some(Event::Done),
        Progress::UnderWay | Progress::Nothing => late.then_some(Event::Expire),
    };
    let Some((event, status)) = event.and_then(|event| Some((event, row.status.after(event, trying)?))) else {
        let soon = if progress == Progress::UnderWay { now + LOOK_EVERY } else { row.expires_at };
        checkout_sessions::update(&mut tx, tenant, &row, Some(soon)).await?;
        tx.commit().await?;
        return Ok(row);
    };
    let row = over(&mut tx, context, row, event, status, now).await?;
    tx.commit().await?;
    if status == Status::Expired {
        clear(context, &row).await?;
    }
    Ok(row)
}

async fn over(
    conn: &mut PgConnection,
    context: &Context,
    row: Row,
    event: Event,
    status: Status,
    now: OffsetDateTime,
) -> ApiResult<Row> {
    let (done, tenant) = (event == Event::Done, context.tenant());
    let row = Row { status, trying: false, completed_at: done.then_some(now), ..row };
    checkout_sessions::update(conn, tenant, &row, None).await?;
    let kind = if done { Kind::CheckoutSessionCompleted } else { Kind::CheckoutSessionExpired };
    let told = Happened::to(&shown(conn, context, &row).await?, kind)?;
    events::tell(conn, &context.cause(), now, [told]).await?;
    Ok(row)
}

async fn progress(conn: &mut PgConnection, context: &Context, row: &Row) -> ApiResult<Progress> {
    let tenant = context.tenant();
    Ok(match (row.mode, row.intent, row.setup, row.subscription) {
        (Mode::Payment, Some(id), ..) => {
            match payment_intents::find(conn, tenant, id).await?.map(|it| it.progress.status) {
                Some(PaymentStatus::Succeeded | PaymentStatus::RequiresCapture) => Progress::Done,
                Some(PaymentStatus::Processing | PaymentStatus::RequiresAction) => Progress::UnderWay,
                _ => Progress::Nothing,
            }
        }
        (Mode::Setup, _, Some(id), _) => match setup_intents::find(conn, tenant, id).await?.map(|it| it.status) {
            Some(SetupStatus::Succeeded) => Progress::Done,
            Some(SetupStatus::Processing | SetupStatus::RequiresAction) => Progress::UnderWay,
            _ => Progress::Nothing,
        },
        (Mode::Subscription, .., Some(id)) => {
            let found = subscriptions::find(conn, tenant, id).await?;
            let begun =
                |status| !matches!(status, SubscriptionStatus::Incomplete | SubscriptionStatus::IncompleteExpired);
            match found {
                Some(row) if begun(row.status) && row.default_card.is_some() => Progress::Done,
                Some(row) => first_payment(conn, context, row.latest_invoice).await?,
                None => Progress::Nothing,
            }
        }
        _ => Progress::Nothing,
    })
}

async fn first_payment(
    conn: &mut PgConnection,
    context: &Context,
    invoice: Option<kura_wire::ids::InvoiceId>,
) -> ApiResult<Progress> {
    let tenant = context.tenant();
    let Some(invoice) = invoice else { return Ok(Progress::Nothing) };
    let found = crate::store::invoices::find(conn, tenant, invoice).await?;
    let intent = match found.and_then(|invoice| invoice.intent) {
        Some(id) => payment_intents::find(conn, tenant, id).await?,
        None => None,
    };
    Ok(match intent.map(|intent| intent.progress.status) {
        Some(PaymentStatus::Processing | PaymentStatus::RequiresAction | PaymentStatus::Succeeded) => {
            Progress::UnderWay
        }
        _ => Progress::Nothing,
    })
}

/// What a session began and nobody will end is called off.
async fn clear(context: &Context, row: &Row) -> ApiResult<()> {
    if let (Mode::Payment, Some(intent)) = (row.mode, row.intent) {
        cancel::call_off(context, intent, "abandoned").await?;
    }
    if let (Mode::Subscription, Some(id)) = (row.mode, row.subscription) {
        let found = subscriptions::find(&mut *context.db().await?, context.tenant(), id).await?;
        let unpaid =
            found.filter(|row| row.status == SubscriptionStatus::Incomplete).and_then(|row| row.latest_invoice);
        if let Some(invoice) = unpaid {
            invoices::void(context, invoice).await?;
        }
    }
    Ok(())
}

/// `POST /v1/checkout/sessions/{id}/expire`.
///
/// # Errors
/// 404; 400 for what is over or under way.
pub async fn expire(context: Context, _: Nothing) -> ApiResult<Session> {
    let (tenant, id) = (context.tenant(), context.id::<CheckoutSessionId>("checkout session")?);
    let row = settle(&context, id).await?;
    let mut tx = context.begin().await?;
    let row = checkout_sessions::lock(&mut tx, tenant, id).await?.unwrap_or(row);
    if row.status == Status::Expired && !context.first_run {
        return shown(&mut tx, &context, &row).await;
    }
    let under_way = progress(&mut tx, &context, &row).await? == Progress::UnderWay;
    let Some(status) = row.status.after(Event::Expire, row.trying || under_way) else {
        let message = format!("Only open sessions can be ended; this one is {}.", row.status.as_str());
        return Err(ApiError::with_message(Code::CheckoutSessionUnexpectedState, message));
    };
    let row = over(&mut tx, &context, row, Event::Expire, status, clock::now()).await?;
    tx.commit().await?;
    clear(&context, &row).await?;
    shown(&mut *context.db().await?, &context, &row).await
}
