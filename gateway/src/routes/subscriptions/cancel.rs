//! `DELETE /v1/subscriptions/{id}`: at once. (With its period: `cancel_at_period_end` of an update.)

use kura_platform::clock;
use kura_wire::ids::SubscriptionId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::billing::{self, invoices, subscriptions as steps, views};
use crate::domain::subscription::{Event, Status};
use crate::edge::call::Context;
use crate::endpoint::types::{Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::events;
use crate::render::subscription::Subscription;
use crate::store::subscriptions::{self, Subscription as Row};

/// Why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSubscription {
    /// Why.
    cancellation_details: Option<Details>,
}

/// Why a subscription is called off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// In the customer's words.
    #[serde(default)]
    comment: Patch<Text>,
    /// In a word.
    #[serde(default)]
    feedback: Patch<Feedback>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Feedback {
    CustomerService,
    LowQuality,
    MissingFeatures,
    Other,
    SwitchedService,
    TooComplex,
    TooExpensive,
    Unused,
}

impl Feedback {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerService => "customer_service",
            Self::LowQuality => "low_quality",
            Self::MissingFeatures => "missing_features",
            Self::Other => "other",
            Self::SwitchedService => "switched_service",
            Self::TooComplex => "too_complex",
            Self::TooExpensive => "too_expensive",
            Self::Unused => "unused",
        }
    }
}

impl Details {
    /// The subscription with what was said.
    pub fn apply(self, row: Row) -> Row {
        Row {
            cancellation_comment: self.comment.map(Text::into_string).apply(row.cancellation_comment.clone()),
            cancellation_feedback: self
                .feedback
                .map(|word| word.as_str().to_owned())
                .apply(row.cancellation_feedback.clone()),
            ..row
        }
    }
}

/// Runs it. One whose first payment is missing never begins: its invoice is called off. Canceling twice is a 404, as the first
/// time it was the last that was heard of it.
pub async fn run(context: Context, asked: CancelSubscription) -> ApiResult<Subscription> {
    let (tenant, id) = (context.tenant(), context.id::<SubscriptionId>("subscription")?);
    let mut tx = context.begin().await?;
    let row = subscriptions::lock(&mut tx, tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::missing("subscription", "id"))?;
    if row.status.is_over() {
        return Err(ApiError::missing("active subscription", "id"));
    }
    let at = billing::time::for_request(&mut tx, tenant, row.test_clock).await?;
    let row = match asked.cancellation_details {
        Some(details) => details.apply(row),
        None => row,
    };
    let unpaid = row.latest_invoice.filter(|_| row.status == Status::Incomplete);
    let mut told = Vec::new();
    let ended = steps::end(&context, &mut tx, row, Event::Canceled, at, &mut told).await?;
    let shown = views::subscription(&mut tx, tenant, &ended).await?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    if let Some(invoice) = unpaid {
        invoices::void(&context, invoice).await?;
    }
    Ok(shown)
}
