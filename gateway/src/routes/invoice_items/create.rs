//! `POST /v1/invoiceitems`.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, InvoiceId, InvoiceItemId, InvoiceLineId, PriceId, ProductId, SubscriptionId};
use kura_wire::money::{MAX_AMOUNT_MINOR, currency_code};
use schemars::JsonSchema;
use serde::Deserialize;
use time::OffsetDateTime;

use super::shown;
use crate::billing::{self, invoices as steps};
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::{CurrencyCode, IdOf, Metadata, Moment, Text, Whole, WholeDecimal};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::invoice_item::InvoiceItem;
use crate::routes::customers::existing;
use crate::routes::prices::create::UnitAmount;
use crate::routes::subscriptions::parts::new_price;
use crate::store::Tenant;
use crate::store::invoice_lines::{self, Line};
use crate::store::invoices::Invoice;
use crate::store::prices::Price;
use crate::store::{prices, products, subscriptions};

/// What an item may cost, or give back.
pub type ItemAmount = Whole<{ -MAX_AMOUNT_MINOR }, MAX_AMOUNT_MINOR>;

/// An item for a customer's next invoice, or for a draft.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateItem {
    /// Whose.
    customer: IdOf<CustomerId>,
    /// In minor units; less than nothing is a credit. Left out where a price says it.
    amount: Option<ItemAmount>,
    /// Three letters; the price's, or the draft's, where it is left out.
    currency: Option<CurrencyCode>,
    /// What the customer reads.
    description: Option<Text<500>>,
    /// A draft that it goes on at once. Without it, it waits for the customer's next invoice.
    invoice: Option<IdOf<InvoiceId>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// For which time.
    period: Option<ItemPeriod>,
    /// A price for this item alone.
    price_data: Option<ItemPriceData>,
    /// By which price.
    pricing: Option<Pricing>,
    /// How many; one where it is left out.
    quantity: Option<Whole<0, 1_000_000>>,
    /// It waits for this subscription's next invoice.
    subscription: Option<IdOf<SubscriptionId>>,
    /// Of one, as text.
    unit_amount_decimal: Option<WholeDecimal>,
}

/// By which price.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pricing {
    /// `price_…`, one that is due once.
    pub(super) price: IdOf<PriceId>,
}

/// A price for one item alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemPriceData {
    /// Three letters.
    currency: CurrencyCode,
    /// Of what.
    product: IdOf<ProductId>,
    /// Of one, in minor units.
    unit_amount: UnitAmount,
}

/// For which time. Unix seconds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemPeriod {
    /// From here.
    start: Moment,
    /// To here.
    end: Moment,
}

impl ItemPeriod {
    /// Its bounds.
    ///
    /// # Errors
    /// 400 for an end before its start.
    pub fn bounds(&self) -> ApiResult<(OffsetDateTime, OffsetDateTime)> {
        if self.end.0 < self.start.0 {
            return Err(ApiError::invalid("period[end]", "not before period[start]"));
        }
        Ok((self.start.0, self.end.0))
    }
}

/// What an item costs.
struct Cost {
    amount: i64,
    unit_amount: Option<i64>,
    quantity: i64,
    currency: Option<String>,
    price: Option<(Price, String)>,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateItem) -> ApiResult<InvoiceItem> {
    let tenant = context.tenant();
    let id: InvoiceItemId = context.ids().one();
    if !context.first_run
        && let Some(met) = invoice_lines::find_item(&mut *context.db().await?, tenant, id).await?
    {
        return shown(&mut *context.db().await?, &context, &met).await;
    }
    let customer = existing(&context, asked.customer.0, "customer").await?;
    let at = billing::time::for_request(&mut *context.db().await?, tenant, customer.test_clock).await?;
    let cost = cost(&context, &asked).await?;
    let (start, end) = asked.period.as_ref().map_or(Ok((at, at)), ItemPeriod::bounds)?;
    let mut tx = context.begin().await?;
    let draft = goes_on(&mut tx, &context, &asked, customer.id, cost.currency.as_deref()).await?;
    let currency = currency(cost.currency, draft.as_ref())?;
    let place = match &draft {
        Some(draft) => next_place(&mut tx, tenant, draft.id).await?,
        None => 0,
    };
    let (price, name) = cost.price.unzip();
    let line = Line {
        id: InvoiceLineId::from_bytes(*id.as_bytes()),
        customer: customer.id,
        invoice: draft.as_ref().map(|draft| draft.id),
        subscription: asked.subscription.map(|id| id.0),
        item: None,
        product: price.as_ref().map(|price| price.product),
        price: price.map(|price| price.id),
        place,
        amount: cost.amount,
        unit_amount: cost.unit_amount,
        quantity: cost.quantity,
        currency,
        description: asked.description.map(Text::into_string).or(name),
        proration: false,
        waited: true,
        period_start_at: start,
        period_end_at: end,
        metadata: asked.metadata.of_new()?,
        created_at: at,
    };
    invoice_lines::insert(&mut tx, tenant, &line).await?;
    let shown = shown(&mut tx, &context, &line).await?;
    let mut told = vec![Happened::to(&shown, Kind::InvoiceItemCreated)?];
    if let Some(draft) = draft {
        steps::change_total(&mut tx, tenant, draft, line.amount, &mut told).await?;
    }
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// The draft that an item goes on at once. It is locked, and is the customer's, as the subscription is that an item may wait for.
async fn goes_on(
    conn: &mut PgConnection,
    context: &Context,
    asked: &CreateItem,
    customer: CustomerId,
    currency: Option<&str>,
) -> ApiResult<Option<Invoice>> {
    let tenant = context.tenant();
    if asked.invoice.is_some() && asked.subscription.is_some() {
        return Err(ApiError::invalid("subscription", "left out where invoice is given"));
    }
    if let Some(IdOf(id)) = asked.subscription {
        let found = subscriptions::find(conn, tenant, id).await?;
        let own = found.filter(|row| row.customer == customer && !row.status.is_over());
        let row = own.ok_or_else(|| ApiError::missing("subscription", "subscription"))?;
        if currency.is_some_and(|currency| currency != row.currency) {
            return Err(ApiError::invalid("currency", "the subscription's"));
        }
    }
    let Some(IdOf(id)) = asked.invoice else { return Ok(None) };
    let draft = steps::lock_draft(conn, tenant, id, "invoice").await?;
    if draft.customer == customer { Ok(Some(draft)) } else { Err(ApiError::new(Code::CustomerMismatch).on("invoice")) }
}

/// What was said, which is the draft's, or the draft's.
fn currency(said: Option<String>, draft: Option<&Invoice>) -> ApiResult<String> {
    match (said, draft) {
        (Some(said), Some(draft)) if said != draft.currency => Err(ApiError::invalid("currency", "the invoice's")),
        (Some(said), _) => Ok(said),
        (None, Some(draft)) => Ok(draft.currency.clone()),
        (None, None) => Err(ApiError::new(Code::ParameterMissing).on("currency")),
    }
}

/// Behind the lines of a draft.
async fn next_place(conn: &mut PgConnection, tenant: Tenant, draft: InvoiceId) -> ApiResult<i32> {
    let place = i32::try_from(invoice_lines::of(conn, tenant, &[draft]).await?.len()).unwrap_or(i32::MAX);
    if i64::from(place) < invoice_lines::MOST {
        Ok(place)
    } else {
        Err(ApiError::invalid("invoice", "one with fewer than 250 lines"))
    }
}

/// What it costs: an amount, so many of a unit amount, or of a price.
async fn cost(context: &Context, asked: &CreateItem) -> ApiResult<Cost> {
    let quantity = asked.quantity.map_or(1, |quantity| quantity.0);
    let currency = asked.currency.as_ref().map(|code| currency_code(code.0));
    let ways = [
        asked.amount.is_some(),
        asked.unit_amount_decimal.is_some(),
        asked.pricing.is_some(),
        asked.price_data.is_some(),
    ];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(ApiError::invalid("amount", "one of amount, unit_amount_decimal, pricing and price_data"));
    }
    if let Some(amount) = asked.amount {
        if asked.quantity.is_some() {
            return Err(ApiError::invalid("quantity", "left out where amount is given"));
        }
        return Ok(Cost { amount: amount.0, unit_amount: Some(amount.0), quantity: 1, currency, price: None });
    }
    if let Some(unit) = &asked.unit_amount_decimal {
        let amount = times(unit.0, quantity)?;
        return Ok(Cost { amount, unit_amount: Some(unit.0), quantity, currency, price: None });
    }
    let tenant = context.tenant();
    let price = match (&asked.pricing, &asked.price_data) {
        (Some(pricing), _) => price(&mut *context.db().await?, context, pricing).await?,
        (None, Some(data)) => {
            let of = currency_code(data.currency.0);
            new_price(context, 0, data.product.0, of, data.unit_amount.0, None, "price_data").await?
        }
        (None, None) => return Err(ApiError::new(Code::ParameterMissing).on("amount")),
    };
    if currency.is_some_and(|currency| currency != price.currency) {
        return Err(ApiError::invalid("currency", "the price's"));
    }
    let product = products::find(&mut *context.db().await?, tenant, price.product).await?;
    let product = product.ok_or_else(|| ApiError::internal("a price without its product"))?;
    Ok(Cost {
        amount: times(price.unit_amount, quantity)?,
        unit_amount: Some(price.unit_amount),
        quantity,
        currency: Some(price.currency.clone()),
        price: Some((price, product.name)),
    })
}

/// A price that is on sale and due once.
pub(super) async fn price(conn: &mut PgConnection, context: &Context, pricing: &Pricing) -> ApiResult<Price> {
    let found = prices::find(conn, context.tenant(), pricing.price.0).await?;
    let found = found.ok_or_else(|| ApiError::missing("price", "pricing[price]"))?;
    if !found.active || found.recurring.is_some() {
        return Err(ApiError::invalid("pricing[price]", "a price on sale that is due once"));
    }
    Ok(found)
}

/// So many of one.
pub(super) fn times(unit: i64, quantity: i64) -> ApiResult<i64> {
    let amount = unit.checked_mul(quantity).filter(|amount| amount.abs() <= MAX_AMOUNT_MINOR);
    amount.ok_or_else(|| ApiError::new(Code::AmountTooLarge).on("quantity"))
}
