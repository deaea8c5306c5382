//! Changing what a subscription is for while its period runs: what was not used is given back, what is new is paid from now on.
//! Nothing here is final: the caller makes the invoice so, or, for a preview, forgets the whole transaction.

use kura_platform::database::PgConnection;
use time::OffsetDateTime;

use super::invoices::{self, Draft};
use super::lines::{self, Span};
use super::subscriptions::whole_lines;
use crate::domain::invoice::Reason;
use crate::domain::proration;
use crate::domain::subscription::{Event, Status};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::store::invoice_lines::{self, Line};
use crate::store::invoices::Invoice;
use crate::store::subscription_items::{self, Item};
use crate::store::subscriptions::{self, Subscription};

/// Ids of lines for parts of periods come after those for whole ones.
const PARTS_FROM: u32 = 1000;

/// What is done for a period that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// They wait for the next invoice.
    Wait,
    /// They are put on an invoice at once.
    Invoice,
    /// Nothing.
    None,
}

/// What changes.
#[derive(Debug)]
pub struct Change {
    /// The items as they are to be.
    pub items: Vec<Item>,
    /// What is done for the period that has begun.
    pub parts: Parts,
    /// A new period begins now.
    pub restart: bool,
    /// Now, or the moment from which parts are counted.
    pub from: OffsetDateTime,
}

/// The parts of a period that a change gives back and asks for: of what changed alone, to the second.
pub fn parts(
    context: &Context,
    subscription: &Subscription,
    before: &[Item],
    after: &[Item],
    from: OffsetDateTime,
    given_back_only: bool,
) -> Vec<Line> {
    let (start, end) = (subscription.period_start_at, subscription.period_end_at);
    let day = from.date();
    let month: String = day.month().to_string().chars().take(3).collect();
    let day = format!("{} {month} {}", day.day(), day.year());
    let same = |one: &Item, other: &Item| {
        one.id == other.id && one.price.id == other.price.id && one.quantity == other.quantity
    };
    let kept = |item: &Item, among: &[Item]| !given_back_only && among.iter().any(|other| same(item, other));
    let back = before.iter().filter(|item| !kept(item, after)).map(|item| {
        let words = format!("Unused time on {} × {} after {day}", item.quantity, item.product_name);
        (item, -proration::rest(item.amount(), start, end, from), words)
    });
    let asked = after.iter().filter(|item| !given_back_only && !kept(item, before)).map(|item| {
        let words = format!("Remaining time on {} × {} after {day}", item.quantity, item.product_name);
        (item, proration::rest(item.amount(), start, end, from), words)
    });
    let line = |(number, (item, amount, words)): (u32, (&Item, i64, String))| {
        let id = context.ids().nth(number);
        let line = lines::of_item(id, subscription, item, Span { start: from, end }, amount, words, from);
        Line { proration: true, waited: true, place: i32::try_from(number).unwrap_or(0), ..line }
    };
    (PARTS_FROM..).zip(back.chain(asked)).filter(|(_, (_, amount, _))| *amount != 0).map(line).collect()
}

/// Changes a locked subscription and its items. Gives it, and the draft of what is to be paid at once.
///
/// # Errors
/// 400 for sums that are too large; the database's.
pub async fn apply(
    context: &Context,
    conn: &mut PgConnection,
    subscription: Subscription,
    before: &[Item],
    change: Change,
    at: OffsetDateTime,
) -> ApiResult<(Subscription, Option<Invoice>)> {
    let tenant = context.tenant();
    write_items(context, conn, before, &change.items).await?;
    let often = |items: &[Item]| items.first().map(|item| item.recurring);
    let trialing = subscription.status == Status::Trialing;
    // Of what is due at other times a new period begins, but for a trial, whose end stays where it is.
    let restart = change.restart || (!trialing && often(before) != often(&change.items));
    if trialing && !restart {
        return Ok((subscription, None));
    }
    if change.parts != Parts::None && !trialing {
        let given_back_only = restart;
        for line in parts(context, &subscription, before, &change.items, change.from, given_back_only) {
            invoice_lines::insert(conn, tenant, &line).await?;
        }
    }
    if !restart && change.parts != Parts::Invoice {
        return Ok((subscription, None));
    }
    let changed = if restart { restarted(subscription, &change.items, at)? } else { subscription };
    let whole = if restart {
        let span = Span { start: changed.period_start_at, end: changed.period_end_at };
        whole_lines(context, &changed, &change.items, span, at)
    } else {
        Vec::new()
    };
    let draft = Draft {
        id: context.ids().one(),
        customer: changed.customer,
        test_clock: changed.test_clock,
        subscription: Some(&changed),
        written: None,
        currency: &changed.currency,
        reason: Reason::SubscriptionUpdate,
        period_start_at: at,
        period_end_at: at,
        final_at: Some(at),
        lines: whole,
        at,
    };
    let invoice = invoices::draft(context, conn, draft).await?;
    let changed = Subscription { latest_invoice: Some(invoice.id), ..changed };
    subscriptions::update(conn, tenant, &changed).await?;
    Ok((changed, Some(invoice)))
}

/// A new period begins now, and its trial, if there was one, is over.
fn restarted(subscription: Subscription, items: &[Item], at: OffsetDateTime) -> ApiResult<Subscription> {
    let recurring = items.first().map(|item| item.recurring);
    let end = recurring.and_then(|recurring| recurring.boundary(at, 1));
    let end = end.ok_or_else(|| ApiError::invalid("items", "due before the end of the calendar"))?;
    let trialing = subscription.status == Status::Trialing;
    let status = if trialing { subscription.status.after(Event::TrialOver) } else { Some(subscription.status) };
    Ok(Subscription {
        status: status.ok_or_else(|| super::subscriptions::refused(&subscription))?,
        anchor_at: at,
        period_start_at: at,
        period_end_at: end,
        trial_end_at: if trialing { Some(at) } else { subscription.trial_end_at },
        ..subscription
    })
}

async fn write_items(context: &Context, conn: &mut PgConnection, before: &[Item], after: &[Item]) -> ApiResult<()> {
    let tenant = context.tenant();
    for item in before.iter().filter(|item| !after.iter().any(|other| other.id == item.id)) {
        subscription_items::delete(conn, tenant, item.id).await?;
    }
    for item in after {
        if before.iter().any(|other| other.id == item.id) {
            subscription_items::update(conn, tenant, item).await?;
        } else {
            subscription_items::insert(conn, tenant, item).await?;
        }
    }
    Ok(())
}
