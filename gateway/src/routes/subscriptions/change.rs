//! Changing a subscription, its items among it: the way that updates of subscriptions, updates of items and previews share.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{SubscriptionId, SubscriptionItemId};
use time::{Duration, OffsetDateTime};

use super::parts::{NowOr, Proration, check_together};
use crate::billing::changes::{self, Change, Parts};
use crate::billing::charge::{self, How};
use crate::billing::subscriptions::{after_payment, refused};
use crate::billing::{self, invoices, views};
use crate::domain::calendar::Recurring;
use crate::domain::invoice::{Collection, Status as InvoiceStatus};
use crate::domain::subscription::{Event, Status};
use crate::edge::call::Context;
use crate::endpoint::types::Metadata;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::store::invoices::{self as invoice_rows, Invoice};
use crate::store::prices::Price;
use crate::store::subscription_items::{self, Item, MOST};
use crate::store::subscriptions::{self, Subscription as Row};

/// How long a payment that is due at once may wait before the worker makes it.
const LOOK_AFTER: Duration = Duration::seconds(20);

/// An item to be added, changed or taken out, with its price.
#[derive(Debug)]
pub struct ItemChange {
    /// A new one, where there is none.
    pub id: Option<SubscriptionItemId>,
    /// Take it out.
    pub deleted: bool,
    /// Another price, and the name of its product.
    pub price: Option<(Price, Recurring, String)>,
    /// How many.
    pub quantity: Option<i64>,
    /// The merchant's data.
    pub metadata: Metadata,
}

/// What changes besides the words.
#[derive(Debug)]
pub struct What {
    /// Items.
    pub items: Vec<ItemChange>,
    /// What is done for the period that has begun.
    pub behavior: Proration,
    /// From when parts are counted.
    pub from: Option<OffsetDateTime>,
    /// A new period begins now.
    pub restart: bool,
    /// Until when nothing is due.
    pub trial_end: Option<NowOr>,
    /// The shopper is there for a payment that is due at once.
    pub on_session: bool,
}

/// Changes it, and pays what is due at once.
///
/// # Errors
/// 400, 404; the database's.
pub async fn run(
    context: &Context,
    id: SubscriptionId,
    what: What,
    words: impl FnOnce(Row, OffsetDateTime) -> ApiResult<Row>,
) -> ApiResult<()> {
    let (tenant, on_session) = (context.tenant(), what.on_session);
    let mut tx = context.begin().await?;
    let before = subscriptions::lock(&mut tx, tenant, id).await?;
    let before = before.ok_or_else(|| ApiError::missing("subscription", "id"))?;
    let at = billing::time::for_request(&mut tx, tenant, before.test_clock).await?;
    if before.status.is_over() {
        return Err(refused(&before));
    }
    let shown_before = views::subscription(&mut tx, tenant, &before).await?;
    let row = words(before, at)?;
    let (after, draft) = apply(context, &mut tx, row, what, at).await?;
    subscriptions::update(&mut tx, tenant, &after).await?;
    let mut told = Vec::new();
    let mut after = after;
    let mut due = None;
    if let Some(draft) = draft {
        told.push(Happened::to(&views::invoice(&mut tx, tenant, &draft).await?, Kind::InvoiceCreated)?);
        let invoice = invoices::finalize(context, &mut tx, draft, at, &mut told).await?;
        let charged = invoice.collection() == Collection::ChargeAutomatically;
        if invoice.status == InvoiceStatus::Open && charged {
            let invoice = Invoice { due_at: Some(at), ..invoice };
            invoice_rows::update(&mut tx, tenant, &invoice, Some(clock::now() + LOOK_AFTER)).await?;
            due = Some(invoice.id);
        } else if invoice.status == InvoiceStatus::Open {
            told.push(Happened::to(&views::invoice(&mut tx, tenant, &invoice).await?, Kind::InvoiceSent)?);
        } else {
            after = after_payment(context, &mut tx, after, Event::Paid(true), &mut told).await?;
        }
    }
    let shown = views::subscription(&mut tx, tenant, &after).await?;
    if let Some(update) = Happened::update(&shown_before, &shown, Kind::CustomerSubscriptionUpdated)? {
        told.insert(0, update);
    }
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    if let Some(invoice) = due {
        // Refused, it is overdue, and tried again by the schedule.
        charge::pay(context, invoice, How { begin: true, on_session, card: None }).await?;
    }
    Ok(())
}

/// The subscription with its items changed, and the draft of what is to be paid at once.
///
/// # Errors
/// 400; the database's.
pub async fn apply(
    context: &Context,
    conn: &mut PgConnection,
    mut row: Row,
    what: What,
    at: OffsetDateTime,
) -> ApiResult<(Row, Option<Invoice>)> {
    let tenant = context.tenant();
    let items = subscription_items::of(conn, tenant, &[row.id]).await?;
    let changed = !what.items.is_empty() || what.restart || what.trial_end.is_some();
    if !changed {
        return Ok((row, None));
    }
    if row.status == Status::Incomplete {
        return Err(refused(&row));
    }
    let after = changed_items(context, &row, &items, what.items, at)?;
    let from = what.from.unwrap_or(at);
    if from < row.period_start_at || from > row.period_end_at {
        return Err(ApiError::invalid("proration_date", "within the period that has begun"));
    }
    let mut restart = what.restart;
    match what.trial_end {
        None => {}
        Some(_) if row.status != Status::Trialing => {
            return Err(ApiError::invalid("trial_end", "left out where there is no trial"));
        }
        Some(NowOr::Now) => restart = true,
        Some(NowOr::At(end)) if end <= at || end > at + Duration::days(731) => {
            return Err(ApiError::invalid("trial_end", "later than now, by two years at the most"));
        }
        Some(NowOr::At(end)) => {
            (row.trial_end_at, row.anchor_at, row.period_end_at) = (Some(end), end, end);
            row.trial_end_told = false;
        }
    }
    let parts = match what.behavior {
        Proration::CreateProrations => Parts::Wait,
        Proration::AlwaysInvoice => Parts::Invoice,
        Proration::None => Parts::None,
    };
    let change = Change { items: after, parts, restart, from };
    changes::apply(context, conn, row, &items, change, at).await
}

fn changed_items(
    context: &Context,
    row: &Row,
    before: &[Item],
    asked: Vec<ItemChange>,
    at: OffsetDateTime,
) -> ApiResult<Vec<Item>> {
    let mut items = before.to_vec();
    for (number, change) in (0..).zip(asked) {
        let param = format!("items[{number}]");
        let id = change.id.unwrap_or_else(|| context.ids().nth(number));
        let place = items.iter().position(|item| item.id == id);
        match (place, change.id, change.price) {
            // A new one; where an earlier run of this request has added it, it is there.
            (Some(_), None, _) => {}
            (None, None, Some((price, recurring, product_name))) => items.push(Item {
                id,
                subscription: row.id,
                price,
                recurring,
                product_name,
                quantity: change.quantity.unwrap_or(1),
                metadata: change.metadata.of_new()?,
                created_at: at + Duration::microseconds(i64::from(number)),
            }),
            (Some(place), Some(_), _) if change.deleted => {
                items.remove(place);
            }
            (Some(place), Some(_), price) => {
                if let Some(item) = items.get_mut(place) {
                    if let Some((price, recurring, product_name)) = price {
                        (item.price, item.recurring, item.product_name) = (price, recurring, product_name);
                    }
                    item.quantity = change.quantity.unwrap_or(item.quantity);
                    item.metadata = change.metadata.apply(std::mem::take(&mut item.metadata))?;
                }
            }
            (None, ..) => return Err(ApiError::missing("subscription_item", &format!("{param}[id]"))),
        }
    }
    if items.len() > MOST {
        return Err(ApiError::invalid("items", "at the most 20"));
    }
    check_together(&items)?;
    if items.iter().any(|item| item.price.currency != row.currency) {
        return Err(ApiError::invalid("items", "prices in the subscription's currency"));
    }
    Ok(items)
}
