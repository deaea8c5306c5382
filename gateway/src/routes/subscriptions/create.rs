//! `POST /v1/subscriptions`: the subscription, its first invoice and that invoice's payment are there together; then the payment
//! is tried.

use kura_platform::clock;
use kura_wire::ids::{CustomerId, PriceId};
use schemars::JsonSchema;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::by_id;
use super::parts::{
    Behavior, CollectionMethod, NowOr, PaymentSettings, PriceData, Proration, Saves, TrialSettings, card_of,
    check_together, days_until_due, price,
};
use crate::billing::lines::{self, Span};
use crate::billing::{self, charge, invoices, subscriptions as steps, views};
use crate::codes::Code;
use crate::domain::invoice::{Reason, Status as InvoiceStatus};
use crate::domain::proration;
use crate::domain::subscription::{DRAFT_FOR, Event, Status};
use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Metadata, Moment, Text, Whole};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::subscription::Subscription;
use crate::routes::customers::existing;
use crate::routes::invoices::create::DaysUntilDue;
use crate::store::customers::Customer;
use crate::store::invoice_lines::Line;
use crate::store::subscription_items::{self, Item, MOST};
use crate::store::subscriptions::{self, Subscription as Row};

/// A customer's wish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSubscription {
    /// Whose.
    customer: IdOf<CustomerId>,
    /// What it is for; at the most 20.
    items: Vec<NewItem>,
    /// The first whole period begins then, within one period. Unix seconds.
    billing_cycle_anchor: Option<Moment>,
    /// Unix seconds.
    cancel_at: Option<Moment>,
    /// End it with its first period.
    #[serde(default)]
    cancel_at_period_end: bool,
    /// How invoices are collected.
    collection_method: Option<CollectionMethod>,
    /// How many days the customer has for an invoice that is sent.
    days_until_due: Option<DaysUntilDue>,
    /// `pm_…` of the customer; the customer's own where it is left out.
    default_payment_method: Option<Text<255>>,
    /// Your words.
    description: Option<Text<500>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// The shopper is not there for the first payment.
    #[serde(default)]
    off_session: bool,
    /// What happens where the first payment is not made.
    payment_behavior: Option<Behavior>,
    /// How it is paid.
    payment_settings: Option<PaymentSettings>,
    /// Whether the part before a `billing_cycle_anchor` costs anything.
    proration_behavior: Option<Proration>,
    /// Until when nothing is due. Unix seconds, or `now`.
    trial_end: Option<NowOr>,
    /// The same in days.
    trial_period_days: Option<Whole<1, 730>>,
    /// What the trial ends with.
    trial_settings: Option<TrialSettings>,
}

/// One price.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// Which.
    price: Option<IdOf<PriceId>>,
    /// One for this subscription alone.
    price_data: Option<PriceData>,
    /// How many; one where it is left out.
    quantity: Option<Whole<0, 1_000_000>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateSubscription) -> ApiResult<Subscription> {
    let customer = existing(&context, asked.customer.0, "customer").await?;
    let behavior = asked.payment_behavior.unwrap_or(Behavior::AllowIncomplete);
    let on_session = !asked.off_session;
    let made = make(&context, &customer, asked, behavior).await?;
    finish(&context, made, behavior, on_session).await
}

/// Makes a subscription for a checkout, whose shopper makes the first payment.
///
/// # Errors
/// 400, 404; the database's.
pub async fn make(
    context: &Context,
    customer: &Customer,
    asked: CreateSubscription,
    behavior: Behavior,
) -> ApiResult<Row> {
    let tenant = context.tenant();
    let id = context.ids().one();
    if !context.first_run
        && let Some(met) = subscriptions::find(&mut *context.db().await?, tenant, id).await?
    {
        return Ok(met);
    }
    let at = billing::time::for_request(&mut *context.db().await?, tenant, customer.test_clock).await?;
    let trial_end = trial_end(&asked, at)?;
    let days_until_due = days_until_due(asked.collection_method, asked.days_until_due, None)?;
    if days_until_due.is_some() && behavior != Behavior::AllowIncomplete {
        return Err(ApiError::invalid("payment_behavior", "left out where collection_method is send_invoice"));
    }
    let default = match &asked.default_payment_method {
        Some(name) => Some(card_of(context, customer.id, name).await?.record),
        None => None,
    };
    let items = items(context, id, asked.items, at).await?;
    let plan = Plan::new(&items, at, trial_end, asked.billing_cycle_anchor.map(|at| at.0))?;
    let prorated = asked.proration_behavior.unwrap_or(Proration::CreateProrations) != Proration::None;
    let has_card = default.is_some() || customer.default_card.is_some();
    let due: i64 = plan.amounts(&items, prorated).iter().sum();
    if due > 0 && !has_card && days_until_due.is_none() && behavior != Behavior::DefaultIncomplete {
        let message = "This customer has no default payment method, and none was given.";
        return Err(ApiError::with_message(Code::ResourceMissing, message).on("default_payment_method"));
    }
    if asked.cancel_at.as_ref().is_some_and(|cancel| cancel.0 <= at || asked.cancel_at_period_end) {
        return Err(ApiError::invalid("cancel_at", "later than now, and left out with cancel_at_period_end"));
    }
    let row = Row {
        id,
        customer: customer.id,
        test_clock: customer.test_clock,
        status: match (trial_end, days_until_due) {
            (Some(_), _) => Status::Trialing,
            // What is sent is paid later.
            (None, Some(_)) => Status::Active,
            (None, None) => Status::Incomplete,
        },
        currency: items.first().map(|item| item.price.currency.clone()).unwrap_or_default(),
        anchor_at: plan.anchor,
        period_start_at: at,
        period_end_at: plan.end,
        trial_start_at: trial_end.map(|_| at),
        trial_end_at: trial_end,
        cancels_without_card: asked.trial_settings.is_some_and(|settings| settings.cancels()),
        trial_end_told: false,
        cancel_at: asked.cancel_at.map(|at| at.0),
        cancel_at_period_end: asked.cancel_at_period_end,
        canceled_at: (asked.cancel_at_period_end || asked.cancel_at.is_some()).then_some(at),
        ended_at: None,
        cancellation_reason: None,
        cancellation_comment: None,
        cancellation_feedback: None,
        default_card: default,
        saves_card: asked.payment_settings.and_then(|it| it.save_default_payment_method) == Some(Saves::OnSubscription),
        days_until_due,
        pause: None,
        latest_invoice: None,
        description: asked.description.map(Text::into_string),
        metadata: asked.metadata.of_new()?,
        created_at: at,
    };
    insert(context, row, &items, &plan, prorated).await
}

fn trial_end(asked: &CreateSubscription, at: OffsetDateTime) -> ApiResult<Option<OffsetDateTime>> {
    let end = match (asked.trial_end, asked.trial_period_days) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("trial_period_days", "left out where trial_end is given"));
        }
        (Some(NowOr::Now), None) | (None, None) => return Ok(None),
        (Some(NowOr::At(end)), None) => end,
        (None, Some(days)) => at + Duration::days(days.0),
    };
    if asked.billing_cycle_anchor.is_some() {
        return Err(ApiError::invalid("billing_cycle_anchor", "left out with a trial, whose end it is"));
    }
    if end <= at || end > at + Duration::days(731) {
        return Err(ApiError::invalid("trial_end", "later than now, by two years at the most"));
    }
    Ok(Some(end))
}

async fn items(
    context: &Context,
    subscription: kura_wire::ids::SubscriptionId,
    asked: Vec<NewItem>,
    at: OffsetDateTime,
) -> ApiResult<Vec<Item>> {
    if asked.len() > MOST {
        return Err(ApiError::invalid("items", "at the most 20"));
    }
    let mut items = Vec::with_capacity(asked.len());
    for (number, new) in (0..).zip(asked) {
        let param = format!("items[{number}]");
        let (price, recurring, product_name) = price(context, number, new.price, new.price_data, &param).await?;
        items.push(Item {
            id: context.ids().nth(number),
            subscription,
            price,
            recurring,
            product_name,
            quantity: new.quantity.map_or(1, |quantity| quantity.0),
            metadata: new.metadata.of_new()?,
            // One after the other, so that they stay in their order.
            created_at: at + Duration::microseconds(i64::from(number)),
        });
    }
    check_together(&items)?;
    Ok(items)
}

/// A subscription's first period.
struct Plan {
    anchor: OffsetDateTime,
    start: OffsetDateTime,
    end: OffsetDateTime,
    trial: bool,
    /// When the period would have begun that this is a part of.
    whole_from: OffsetDateTime,
}

impl Plan {
    fn new(
        items: &[Item],
        at: OffsetDateTime,
        trial_end: Option<OffsetDateTime>,
        anchor: Option<OffsetDateTime>,
    ) -> ApiResult<Self> {
        let recurring = items.first().map(|item| item.recurring).ok_or_else(|| ApiError::invalid("items", "some"))?;
        let beyond = || ApiError::invalid("items", "due before the end of the calendar");
        if let Some(end) = trial_end {
            return Ok(Self { anchor: end, start: at, end, trial: true, whole_from: at });
        }
        let Some(anchor) = anchor else {
            let end = recurring.boundary(at, 1).ok_or_else(beyond)?;
            return Ok(Self { anchor: at, start: at, end, trial: false, whole_from: at });
        };
        let whole_from = recurring.boundary(anchor, -1).ok_or_else(beyond)?;
        if anchor <= at || whole_from > at {
            return Err(ApiError::invalid("billing_cycle_anchor", "later than now, by one period at the most"));
        }
        Ok(Self { anchor, start: at, end: anchor, trial: false, whole_from })
    }

    fn is_part(&self) -> bool {
        self.whole_from < self.start
    }

    /// What each item costs for it.
    fn amounts(&self, items: &[Item], prorated: bool) -> Vec<i64> {
        let amount = |item: &Item| match () {
            () if self.trial || (self.is_part() && !prorated) => 0,
            () => proration::rest(item.amount(), self.whole_from, self.end, self.start),
        };
        items.iter().map(amount).collect()
    }

    fn lines(&self, context: &Context, row: &Row, items: &[Item], prorated: bool) -> Vec<Line> {
        let span = Span { start: self.start, end: self.end };
        let numbered = (0..).zip(items.iter().zip(self.amounts(items, prorated)));
        let line = |(number, (item, amount)): (u32, (&Item, i64))| {
            let words = if self.trial { lines::trial_words(item) } else { lines::words(item) };
            let line = lines::of_item(context.ids().nth(number), row, item, span, amount, words, self.start);
            Line { proration: self.is_part(), ..line }
        };
        numbered.map(line).collect()
    }
}

/// Writes it all down in one transaction; meets what an earlier run wrote.
async fn insert(context: &Context, row: Row, items: &[Item], plan: &Plan, prorated: bool) -> ApiResult<Row> {
    let (tenant, at) = (context.tenant(), plan.start);
    let mut tx = context.begin().await?;
    if !subscriptions::insert(&mut tx, tenant, &row).await? {
        drop(tx);
        let met = subscriptions::find(&mut *context.db().await?, tenant, row.id).await?;
        return met.ok_or_else(|| ApiError::internal("a subscription that is there and isn't"));
    }
    for item in items {
        subscription_items::insert(&mut tx, tenant, item).await?;
    }
    // What is sent can be looked at before it is.
    let stays_draft = row.days_until_due.is_some() && row.status == Status::Active;
    let invoice = invoices::draft(
        context,
        &mut tx,
        invoices::Draft {
            id: context.ids().one(),
            customer: row.customer,
            test_clock: row.test_clock,
            subscription: Some(&row),
            written: None,
            currency: &row.currency,
            reason: Reason::SubscriptionCreate,
            period_start_at: at,
            period_end_at: at,
            final_at: Some(if stays_draft { at + DRAFT_FOR } else { at }),
            lines: plan.lines(context, &row, items, prorated),
            at,
        },
    )
    .await?;
    let mut row = Row { latest_invoice: Some(invoice.id), ..row };
    subscriptions::update(&mut tx, tenant, &row).await?;
    let shown = views::subscription(&mut tx, tenant, &row).await?;
    let mut told = vec![
        Happened::to(&shown, Kind::CustomerSubscriptionCreated)?,
        Happened::to(&views::invoice(&mut tx, tenant, &invoice).await?, Kind::InvoiceCreated)?,
    ];
    if !stays_draft {
        let invoice = invoices::finalize(context, &mut tx, invoice, at, &mut told).await?;
        if invoice.status == InvoiceStatus::Paid {
            row = steps::after_payment(context, &mut tx, row, Event::Paid(true), &mut told).await?;
        }
    }
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(row)
}

/// Tries the first payment, where that is wanted, and answers.
async fn finish(context: &Context, made: Row, behavior: Behavior, on_session: bool) -> ApiResult<Subscription> {
    let (Some(invoice), true) = (made.latest_invoice, made.status == Status::Incomplete) else {
        return by_id(context, &made.id.to_string()).await;
    };
    if behavior == Behavior::DefaultIncomplete {
        return by_id(context, &made.id.to_string()).await;
    }
    // One try: a second run of this request goes on with it, or finds it settled.
    let found = crate::store::invoices::find(&mut *context.db().await?, context.tenant(), invoice).await?;
    let begin = found.is_some_and(|invoice| invoice.tries == 0);
    let tried = charge::pay(context, invoice, charge::How { begin, on_session, card: None }).await?;
    let refused = tried.refusal.filter(|_| tried.invoice.status == InvoiceStatus::Open);
    match refused {
        Some(refusal) if behavior == Behavior::ErrorIfIncomplete => {
            invoices::void(context, invoice).await?;
            Err(refusal)
        }
        Some(refusal) if !charge::is_the_cards(&refusal) => Err(refusal),
        _ => by_id(context, &made.id.to_string()).await,
    }
}
