//! `POST /v1/invoices/create_preview`: the invoice that would be next, with changes that were not made. It is made in earnest, in a
//! transaction that is then forgotten, so it is what would come of it.

use kura_wire::ids::SubscriptionId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::billing::lines::Span;
use crate::billing::subscriptions::{refused, whole_lines};
use crate::billing::{self, invoices, views};
use crate::domain::invoice::Reason;
use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Moment};
use crate::error::{ApiError, ApiResult};
use crate::render::invoice::Invoice;
use crate::routes::subscriptions::change::{self, What};
use crate::routes::subscriptions::parts::Proration;
use crate::routes::subscriptions::update::{ChangeItem, item_changes};
use crate::store::{subscription_items, subscriptions};

/// What is to be previewed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Whose next invoice.
    subscription: IdOf<SubscriptionId>,
    /// With which changes.
    subscription_details: Option<Details>,
}

/// Changes that are not made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Details {
    /// Items to be added, changed or taken out.
    items: Option<Vec<ChangeItem>>,
    /// What is done for the period that has begun.
    proration_behavior: Option<Proration>,
    /// From when parts are counted. Unix seconds.
    proration_date: Option<Moment>,
}

/// Runs it.
pub async fn run(context: Context, asked: Preview) -> ApiResult<Invoice> {
    let (tenant, id) = (context.tenant(), asked.subscription.0);
    let details = asked.subscription_details;
    let (items, behavior, from) = match details {
        Some(details) => {
            let items = details.items.unwrap_or_default();
            (item_changes(&context, items).await?, details.proration_behavior, details.proration_date)
        }
        None => (Vec::new(), None, None),
    };
    let mut tx = context.begin().await?;
    let row = subscriptions::lock(&mut tx, tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::missing("subscription", "subscription"))?;
    if row.status.is_over() {
        return Err(refused(&row));
    }
    let at = billing::time::now(&mut tx, tenant, row.test_clock).await?;
    let what = What {
        items,
        behavior: behavior.unwrap_or(Proration::CreateProrations),
        from: from.map(|at| at.0),
        restart: false,
        trial_end: None,
        on_session: false,
    };
    let (row, draft) = change::apply(&context, &mut tx, row, what, at).await?;
    let draft = match draft {
        Some(draft) => draft,
        None => {
            let items = subscription_items::of(&mut tx, tenant, &[id]).await?;
            let start = row.period_end_at;
            let recurring = items.first().map(|item| item.recurring);
            let end = recurring.and_then(|recurring| recurring.next_after(row.anchor_at, start));
            let end = end.ok_or_else(|| ApiError::internal("a subscription without an end of its period"))?;
            let next = invoices::Draft {
                id: context.ids().one(),
                customer: row.customer,
                test_clock: row.test_clock,
                subscription: Some(&row),
                written: None,
                currency: &row.currency,
                reason: Reason::SubscriptionCycle,
                period_start_at: row.period_start_at,
                period_end_at: start,
                final_at: Some(start + crate::domain::subscription::DRAFT_FOR),
                lines: whole_lines(&context, &row, &items, Span { start, end }, start),
                at: start,
            };
            invoices::draft(&context, &mut tx, next).await?
        }
    };
    let mut shown = views::invoice(&mut tx, tenant, &draft).await?;
    tx.rollback().await?;
    shown.id = None;
    Ok(shown)
}
