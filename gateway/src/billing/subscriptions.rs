//! What a subscription does by itself, and what follows from its payments.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, InvoiceId, SubscriptionId};
use time::OffsetDateTime;

use super::lines::{self, Span};
use super::{invoices, views};
use crate::codes::Code;
use crate::domain::invoice::{Collection, Reason, Status as InvoiceStatus};
use crate::domain::subscription::{AfterLastTry, DRAFT_FOR, Event, PauseBehavior, Status, Step};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render;
use crate::request_ids::RequestIds;
use crate::store::cards::Card;
use crate::store::invoices::{self as invoice_rows, Invoice};
use crate::store::payment_intents::NamedCard;
use crate::store::subscription_items::Item;
use crate::store::subscriptions::{self, Subscription};
use crate::store::{cards, customers, invoice_lines, subscription_items};

/// The status that follows from a payment, and what is to be told of it. The subscription is locked.
///
/// # Errors
/// The database's.
pub async fn after_payment(
    context: &Context,
    conn: &mut PgConnection,
    subscription: Subscription,
    event: Event,
    told: &mut Vec<Happened>,
) -> ApiResult<Subscription> {
    let tenant = context.tenant();
    let Some(status) = subscription.status.after(event) else { return Ok(subscription) };
    let before = views::subscription(conn, tenant, &subscription).await?;
    let after = Subscription { status, ..subscription };
    subscriptions::update(conn, tenant, &after).await?;
    let shown = views::subscription(conn, tenant, &after).await?;
    told.extend(Happened::update(&before, &shown, Kind::CustomerSubscriptionUpdated)?);
    Ok(after)
}

/// A subscription ends, or stays unpaid: its invoices do nothing by themselves any more, and what waited for the next one is
/// forgotten. It is locked.
///
/// # Errors
/// 400 for what is over; the database's.
pub async fn end(
    context: &Context,
    conn: &mut PgConnection,
    subscription: Subscription,
    event: Event,
    at: OffsetDateTime,
    told: &mut Vec<Happened>,
) -> ApiResult<Subscription> {
    let tenant = context.tenant();
    let status = subscription.status.after(event).ok_or_else(|| refused(&subscription))?;
    let before = views::subscription(conn, tenant, &subscription).await?;
    let mut after = Subscription { status, ..subscription };
    if status.is_over() {
        after.ended_at = Some(at);
        after.canceled_at = after.canceled_at.or(Some(at));
        invoice_lines::forget_waiting(conn, tenant, after.id).await?;
        for id in invoice_rows::unpaid_of(conn, tenant, after.id).await? {
            stand_still(conn, context, id).await?;
        }
    }
    match event {
        Event::Exhausted(AfterLastTry::Cancel) => after.cancellation_reason = Some("payment_failed".to_owned()),
        Event::Canceled => {
            after.cancellation_reason.get_or_insert_with(|| "cancellation_requested".to_owned());
        }
        _ => {}
    }
    subscriptions::update(conn, tenant, &after).await?;
    let shown = views::subscription(conn, tenant, &after).await?;
    if status == Status::Canceled {
        told.push(Happened::to(&shown, Kind::CustomerSubscriptionDeleted)?);
    } else {
        told.extend(Happened::update(&before, &shown, Kind::CustomerSubscriptionUpdated)?);
    }
    Ok(after)
}

/// An invoice is neither made final nor tried by itself any more. A try that is under way is settled.
async fn stand_still(conn: &mut PgConnection, context: &Context, id: InvoiceId) -> ApiResult<()> {
    let tenant = context.tenant();
    let Some(invoice) = invoice_rows::lock(conn, tenant, id).await? else { return Ok(()) };
    let look_at = invoice.trying.then(clock::now);
    let invoice = Invoice { auto_advance: false, due_at: None, ..invoice };
    invoice_rows::update(conn, tenant, &invoice, look_at).await?;
    Ok(())
}

/// The 400 of what a status refuses.
pub fn refused(subscription: &Subscription) -> ApiError {
    let message =
        format!("You cannot change this subscription because it has a status of {}.", subscription.status.as_str());
    ApiError::with_message(Code::SubscriptionUnexpectedState, message)
}

/// Ends a customer's subscriptions, for the customer goes.
///
/// # Errors
/// The database's.
pub async fn cancel_all(context: &Context, customer: CustomerId) -> ApiResult<()> {
    let tenant = context.tenant();
    let living = subscriptions::living(&mut *context.db().await?, tenant, customer).await?;
    for id in living {
        let mut tx = context.begin().await?;
        let Some(subscription) = subscriptions::lock(&mut tx, tenant, id).await? else { continue };
        if subscription.status.is_over() {
            continue;
        }
        let at = super::time::now(&mut tx, tenant, subscription.test_clock).await?;
        let mut told = Vec::new();
        end(context, &mut tx, subscription, Event::Canceled, at, &mut told).await?;
        events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Does what is due, one step at a time, until nothing is.
///
/// # Errors
/// The database's.
pub async fn turn(context: &Context, id: SubscriptionId) -> ApiResult<()> {
    while step(context, id).await? {}
    Ok(())
}

/// Does the next thing that is due; says whether there was one.
async fn step(context: &Context, id: SubscriptionId) -> ApiResult<bool> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let Some(subscription) = subscriptions::lock(&mut tx, tenant, id).await? else { return Ok(false) };
    let at = super::time::now(&mut tx, tenant, subscription.test_clock).await?;
    let Some((_, step)) = subscription.course().next().filter(|(due, _)| *due <= at) else {
        subscriptions::update(&mut tx, tenant, &subscription).await?;
        tx.commit().await?;
        return Ok(false);
    };
    let mut told = Vec::new();
    let unpaid = subscription.latest_invoice.filter(|_| step == Step::Expire);
    match step {
        Step::Expire => {
            end(context, &mut tx, subscription, Event::Expired, at, &mut told).await?;
        }
        Step::TellTrialEnd => {
            let after = Subscription { trial_end_told: true, ..subscription };
            subscriptions::update(&mut tx, tenant, &after).await?;
            let shown = views::subscription(&mut tx, tenant, &after).await?;
            told.push(Happened::to(&shown, Kind::CustomerSubscriptionTrialWillEnd)?);
        }
        Step::Cancel => {
            end(context, &mut tx, subscription, Event::Canceled, at, &mut told).await?;
        }
        Step::Resume => {
            let before = views::subscription(&mut tx, tenant, &subscription).await?;
            let after = Subscription { pause: None, ..subscription };
            subscriptions::update(&mut tx, tenant, &after).await?;
            let shown = views::subscription(&mut tx, tenant, &after).await?;
            told.extend(Happened::update(&before, &shown, Kind::CustomerSubscriptionUpdated)?);
        }
        Step::Renew => renew(context, &mut tx, subscription, at, &mut told).await?,
    }
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    // Only now: it asks for other locks.
    if let Some(invoice) = unpaid {
        invoices::void(context, invoice).await?;
    }
    Ok(true)
}

/// A new period begins, with a draft of its invoice.
async fn renew(
    context: &Context,
    conn: &mut PgConnection,
    subscription: Subscription,
    at: OffsetDateTime,
    told: &mut Vec<Happened>,
) -> ApiResult<()> {
    let tenant = context.tenant();
    let trial_over = subscription.status == Status::Trialing;
    if trial_over && subscription.cancels_without_card && !has_card(context, conn, &subscription).await? {
        end(context, conn, subscription, Event::Canceled, at, told).await?;
        return Ok(());
    }
    let before = views::subscription(conn, tenant, &subscription).await?;
    let items = subscription_items::of(conn, tenant, &[subscription.id]).await?;
    let start = subscription.period_end_at;
    let recurring = items.first().map(|item| item.recurring);
    let end = recurring.and_then(|recurring| recurring.next_after(subscription.anchor_at, start));
    let end = end.ok_or_else(|| ApiError::internal("a subscription without an end of its period"))?;
    let seed =
        RequestIds::seed_of(&context.app.secrets.ids, subscription.id.as_bytes(), b"period", start.unix_timestamp());
    let own = context.within(seed);
    let status = if trial_over { subscription.status.after(Event::TrialOver) } else { Some(subscription.status) };
    let renewed = Subscription {
        status: status.ok_or_else(|| refused(&subscription))?,
        period_start_at: start,
        period_end_at: end,
        ..subscription.clone()
    };
    let pause = renewed.pause.map(|pause| pause.behavior);
    let invoice = invoices::draft(
        &own,
        conn,
        invoices::Draft {
            id: own.ids().one(),
            customer: renewed.customer,
            test_clock: renewed.test_clock,
            subscription: Some(&renewed),
            written: None,
            currency: &renewed.currency,
            reason: Reason::SubscriptionCycle,
            period_start_at: subscription.period_start_at,
            period_end_at: start,
            final_at: (renewed.status != Status::Unpaid && pause.is_none()).then(|| at + DRAFT_FOR),
            lines: whole_lines(&own, &renewed, &items, Span { start, end }, at),
            at,
        },
    )
    .await?;
    let renewed = Subscription { latest_invoice: Some(invoice.id), ..renewed };
    subscriptions::update(conn, tenant, &renewed).await?;
    told.push(Happened::to(&views::invoice(conn, tenant, &invoice).await?, Kind::InvoiceCreated)?);
    match pause {
        Some(PauseBehavior::Void) => drop(invoices::lay_down(&own, conn, invoice, true, at, told).await?),
        Some(PauseBehavior::MarkUncollectible) => drop(invoices::lay_down(&own, conn, invoice, false, at, told).await?),
        Some(PauseBehavior::KeepAsDraft) | None => {}
    }
    let shown = views::subscription(conn, tenant, &renewed).await?;
    told.extend(Happened::update(&before, &shown, Kind::CustomerSubscriptionUpdated)?);
    Ok(())
}

/// Each item for the whole of this time.
pub fn whole_lines(
    context: &Context,
    subscription: &Subscription,
    items: &[Item],
    span: Span,
    at: OffsetDateTime,
) -> Vec<invoice_lines::Line> {
    let line = |(number, item): (u32, &Item)| {
        let id = context.ids().nth(number);
        lines::of_item(id, subscription, item, span, item.amount(), lines::words(item), at)
    };
    (0..).zip(items).map(line).collect()
}

/// A card is kept for a subscription on which nothing is due yet: saved, attached to the customer, the subscription's own.
///
/// # Errors
/// The vault's and the database's.
pub async fn keep_card(context: &Context, id: SubscriptionId, card: (NamedCard, Card)) -> ApiResult<()> {
    let tenant = context.tenant();
    let (_, card) = crate::routes::payment_intents::confirm::saved(context, card).await?;
    let mut tx = context.begin().await?;
    let subscription = subscriptions::lock(&mut tx, tenant, id).await?;
    let subscription = subscription.ok_or_else(|| ApiError::missing("subscription", "id"))?;
    let before = views::subscription(&mut tx, tenant, &subscription).await?;
    let mut told = Vec::new();
    if card.customer.is_none() && cards::attach(&mut tx, tenant, card.record, subscription.customer).await? {
        let attached = Card { customer: Some(subscription.customer), ..card.clone() };
        let shown = render::card::payment_method(tenant, &attached);
        told.push(Happened::to(&shown, Kind::PaymentMethodAttached)?);
    }
    let kept = Subscription { default_card: Some(card.record), ..subscription };
    subscriptions::update(&mut tx, tenant, &kept).await?;
    let shown = views::subscription(&mut tx, tenant, &kept).await?;
    told.extend(Happened::update(&before, &shown, Kind::CustomerSubscriptionUpdated)?);
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(())
}

async fn has_card(context: &Context, conn: &mut PgConnection, subscription: &Subscription) -> ApiResult<bool> {
    let tenant = context.tenant();
    let customer = customers::find(conn, tenant, subscription.customer).await?;
    let records = [subscription.default_card, customer.and_then(|customer| customer.default_card)];
    for record in records.into_iter().flatten() {
        let card = cards::find(conn, tenant, record).await?;
        if card.is_some_and(|card| card.customer == Some(subscription.customer)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Does what is due of an invoice: it becomes final, it is tried, a try is gone on with, what became of its payment is settled.
///
/// # Errors
/// The database's; the vault's, where nothing could be asked.
pub async fn turn_invoice(context: &Context, id: InvoiceId) -> ApiResult<()> {
    use super::charge::{How, LOOK_AFTER, overdue, pay};
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let (subscription, invoice) = invoices::lock(context, &mut tx, id).await?;
    let at = super::time::now(&mut tx, tenant, invoice.test_clock).await?;
    let due = invoice.due_at.is_some_and(|due| due <= at);
    match invoice.status {
        InvoiceStatus::Draft if due => {
            let mut told = Vec::new();
            let invoice = invoices::finalize(context, &mut tx, invoice, at, &mut told).await?;
            let is_sent = invoice.collection() == Collection::SendInvoice && invoice.status == InvoiceStatus::Open;
            if is_sent {
                let shown = views::invoice(&mut tx, tenant, &invoice).await?;
                told.push(Happened::to(&shown, Kind::InvoiceSent)?);
            } else if invoice.status == InvoiceStatus::Open {
                // Should this process end before the try begins, it is still due, and another one tries.
                let due = Invoice { due_at: Some(at), ..invoice.clone() };
                invoice_rows::update(&mut tx, tenant, &due, Some(clock::now() + LOOK_AFTER)).await?;
            }
            if let Some(subscription) = subscription.filter(|_| invoice.status == InvoiceStatus::Paid) {
                let newest = subscription.latest_invoice == Some(id);
                after_payment(context, &mut tx, subscription, Event::Paid(newest), &mut told).await?;
            }
            events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
            tx.commit().await?;
            if !is_sent {
                pay(context, id, How { begin: true, ..How::default() }).await?;
            }
        }
        InvoiceStatus::Open if due && invoice.collection() == Collection::SendInvoice => {
            let mut told = Vec::new();
            overdue(context, &mut tx, subscription, invoice, &mut told).await?;
            events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
            tx.commit().await?;
            // It may have been paid at the last moment.
            pay(context, id, How::default()).await?;
        }
        InvoiceStatus::Open | InvoiceStatus::Uncollectible => {
            drop(tx);
            pay(context, id, How { begin: due, ..How::default() }).await?;
        }
        _ => {
            invoice_rows::seen(&mut tx, tenant, &invoice).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}
