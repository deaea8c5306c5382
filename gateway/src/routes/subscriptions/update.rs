//! `POST /v1/subscriptions/{id}`.

use kura_wire::ids::{PriceId, SubscriptionId, SubscriptionItemId};
use schemars::JsonSchema;
use serde::Deserialize;
use time::OffsetDateTime;

use super::by_id;
use super::cancel::Details;
use super::change::{self, ItemChange, What};
use super::parts::{
    CollectionMethod, NowOr, PauseCollection, PaymentSettings, PriceData, Proration, Saves, TrialSettings, card_of,
    days_until_due,
};
use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Metadata, Moment, Patch, Text, Whole};
use crate::error::{ApiError, ApiResult};
use crate::render::subscription::Subscription;
use crate::routes::invoices::create::DaysUntilDue;
use crate::store::subscriptions::{self, Subscription as Row};

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSubscription {
    /// `now`: a new period begins at once.
    billing_cycle_anchor: Option<Anchor>,
    /// End it then. Unix seconds.
    #[serde(default)]
    cancel_at: Patch<Moment>,
    /// End it with its period.
    cancel_at_period_end: Option<bool>,
    /// Why it ends.
    cancellation_details: Option<Details>,
    /// How invoices that come are collected.
    collection_method: Option<CollectionMethod>,
    /// How many days the customer has for an invoice that is sent.
    days_until_due: Option<DaysUntilDue>,
    /// `pm_…` of the customer.
    #[serde(default)]
    default_payment_method: Patch<Text<255>>,
    /// Your words.
    #[serde(default)]
    description: Patch<Text<500>>,
    /// Items to be added, changed or taken out; the others stay.
    items: Option<Vec<ChangeItem>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// The shopper is not there for a payment that is due at once.
    #[serde(default)]
    off_session: bool,
    /// Collection rests: what becomes of invoices meanwhile. Emptied, it goes on.
    #[serde(default)]
    pause_collection: Patch<PauseCollection>,
    /// How it is paid.
    payment_settings: Option<PaymentSettings>,
    /// What is done for the period that has begun.
    proration_behavior: Option<Proration>,
    /// From when parts are counted; now, where it is left out. Unix seconds.
    proration_date: Option<Moment>,
    /// While it is trialing: until when, or `now`.
    trial_end: Option<NowOr>,
    /// What its trial ends with.
    trial_settings: Option<TrialSettings>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Anchor {
    Now,
    Unchanged,
}

/// An item to be added, changed or taken out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeItem {
    /// `si_…`; a new one, where it is left out.
    id: Option<IdOf<SubscriptionItemId>>,
    /// Take it out.
    #[serde(default)]
    deleted: bool,
    /// Another price.
    price: Option<IdOf<PriceId>>,
    /// One for this subscription alone.
    price_data: Option<PriceData>,
    /// How many.
    quantity: Option<Whole<0, 1_000_000>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// The items as they were asked for, with their prices.
///
/// # Errors
/// 400, 404.
pub async fn item_changes(context: &Context, asked: Vec<ChangeItem>) -> ApiResult<Vec<ItemChange>> {
    let mut changes = Vec::with_capacity(asked.len());
    for (number, item) in (0..).zip(asked) {
        let param = format!("items[{number}]");
        let priced = item.price.is_some() || item.price_data.is_some();
        let price = if priced || item.id.is_none() {
            Some(super::parts::price(context, number, item.price, item.price_data, &param).await?)
        } else {
            None
        };
        changes.push(ItemChange {
            id: item.id.map(|id| id.0),
            deleted: item.deleted,
            price,
            quantity: item.quantity.map(|quantity| quantity.0),
            metadata: item.metadata,
        });
    }
    Ok(changes)
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateSubscription) -> ApiResult<Subscription> {
    let (tenant, id) = (context.tenant(), context.id::<SubscriptionId>("subscription")?);
    let found = subscriptions::find(&mut *context.db().await?, tenant, id).await?;
    let found = found.ok_or_else(|| ApiError::missing("subscription", "id"))?;
    let card = match asked.default_payment_method {
        Patch::Set(name) => Patch::Set(card_of(&context, found.customer, &name).await?.record),
        Patch::Clear => Patch::Clear,
        Patch::Keep => Patch::Keep,
    };
    let items = match asked.items {
        Some(items) => item_changes(&context, items).await?,
        None => Vec::new(),
    };
    let what = What {
        items,
        behavior: asked.proration_behavior.unwrap_or(Proration::CreateProrations),
        from: asked.proration_date.map(|at| at.0),
        restart: asked.billing_cycle_anchor == Some(Anchor::Now),
        trial_end: asked.trial_end,
        on_session: !asked.off_session,
    };
    let (description, metadata) = (asked.description, asked.metadata);
    let (payment_settings, trial_settings) = (asked.payment_settings, asked.trial_settings);
    let (cancel_at, with_period, details) = (asked.cancel_at, asked.cancel_at_period_end, asked.cancellation_details);
    let (method, days, pause) = (asked.collection_method, asked.days_until_due, asked.pause_collection);
    let change = move |mut row: Row, at: OffsetDateTime| {
        row.days_until_due = days_until_due(method, days, row.days_until_due)?;
        row.pause = match pause {
            Patch::Set(pause) => Some(pause.checked(at)?),
            Patch::Clear => None,
            Patch::Keep => row.pause,
        };
        row.default_card = card.apply(row.default_card);
        row.description = description.map(Text::into_string).apply(row.description);
        row.metadata = metadata.apply(row.metadata)?;
        if let Some(saves) = payment_settings.and_then(|settings| settings.save_default_payment_method) {
            row.saves_card = saves == Saves::OnSubscription;
        }
        if let Some(settings) = trial_settings {
            row.cancels_without_card = settings.cancels();
        }
        let row = calling_off(row, cancel_at, with_period, at)?;
        Ok(match details {
            Some(details) => details.apply(row),
            None => row,
        })
    };
    change::run(&context, id, what, change).await?;
    by_id(&context, &id.to_string()).await
}

/// The subscription with what was said of its end.
fn calling_off(row: Row, cancel_at: Patch<Moment>, with_period: Option<bool>, at: OffsetDateTime) -> ApiResult<Row> {
    let said = cancel_at != Patch::Keep || with_period.is_some();
    if !said {
        return Ok(row);
    }
    let mut after = row;
    match (cancel_at, with_period) {
        (Patch::Set(_), Some(true)) => {
            return Err(ApiError::invalid("cancel_at", "left out with cancel_at_period_end"));
        }
        (Patch::Set(Moment(then)), _) if then <= at => return Err(ApiError::invalid("cancel_at", "later than now")),
        (Patch::Set(Moment(then)), _) => (after.cancel_at, after.cancel_at_period_end) = (Some(then), false),
        (Patch::Clear, _) | (Patch::Keep, Some(false)) => (after.cancel_at, after.cancel_at_period_end) = (None, false),
        (Patch::Keep, _) => {}
    }
    if with_period == Some(true) {
        (after.cancel_at, after.cancel_at_period_end) = (None, true);
    }
    let ends = after.cancel_at.is_some() || after.cancel_at_period_end;
    after.canceled_at = if ends { after.canceled_at.or(Some(at)) } else { None };
    after.cancellation_reason = ends.then(|| "cancellation_requested".to_owned());
    Ok(after)
}
