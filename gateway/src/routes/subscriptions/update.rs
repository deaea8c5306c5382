//! `POST /v1/subscriptions/{id}`.

use kura_platform::clock;
use kura_wire::ids::SubscriptionId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::cancel::Details;
use super::parts::{PaymentSettings, Saves, TrialSettings, card_of};
use crate::billing::subscriptions::refused;
use crate::billing::{self, views};
use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Moment, Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::subscription::Subscription;
use crate::store::subscriptions::{self, Subscription as Row};

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSubscription {
    /// End it then. Unix seconds.
    #[serde(default)]
    cancel_at: Patch<Moment>,
    /// End it with its period.
    cancel_at_period_end: Option<bool>,
    /// Why it ends.
    cancellation_details: Option<Details>,
    /// `pm_…` of the customer.
    #[serde(default)]
    default_payment_method: Patch<Text<255>>,
    /// Your words.
    #[serde(default)]
    description: Patch<Text<500>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// How it is paid.
    payment_settings: Option<PaymentSettings>,
    /// What its trial ends with.
    trial_settings: Option<TrialSettings>,
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
    let mut tx = context.begin().await?;
    let before = subscriptions::lock(&mut tx, tenant, id).await?;
    let before = before.ok_or_else(|| ApiError::missing("subscription", "id"))?;
    let at = billing::time::for_request(&mut tx, tenant, before.test_clock).await?;
    if before.status.is_over() {
        return Err(refused(&before));
    }
    let shown_before = views::subscription(&mut tx, tenant, &before).await?;
    let mut after = before;
    after.default_card = card.apply(after.default_card);
    after.description = asked.description.map(Text::into_string).apply(after.description);
    after.metadata = asked.metadata.apply(after.metadata)?;
    if let Some(saves) = asked.payment_settings.and_then(|settings| settings.save_default_payment_method) {
        after.saves_card = saves == Saves::OnSubscription;
    }
    if let Some(settings) = asked.trial_settings {
        after.cancels_without_card = settings.cancels();
    }
    after = calling_off(after, asked.cancel_at, asked.cancel_at_period_end, at)?;
    if let Some(details) = asked.cancellation_details {
        after = details.apply(after);
    }
    subscriptions::update(&mut tx, tenant, &after).await?;
    let shown = views::subscription(&mut tx, tenant, &after).await?;
    let told = Happened::update(&shown_before, &shown, Kind::CustomerSubscriptionUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// The subscription with what was said of its end.
fn calling_off(
    row: Row,
    cancel_at: Patch<Moment>,
    with_period: Option<bool>,
    at: time::OffsetDateTime,
) -> ApiResult<Row> {
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
