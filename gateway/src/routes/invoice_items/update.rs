//! `POST` and `DELETE /v1/invoiceitems/{id}`, while it waits or its invoice is a draft.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::InvoiceItemId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::create::{ItemAmount, ItemPeriod, Pricing, price, times};
use super::{missing, shown};
use crate::billing::invoices as steps;
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::endpoint::types::{Metadata, Patch, Text, Whole, WholeDecimal};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::invoice_item::{DeletedItem, InvoiceItem};
use crate::store::invoice_lines::{self, Line};
use crate::store::invoices::Invoice;

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateItem {
    /// In minor units; less than nothing is a credit.
    amount: Option<ItemAmount>,
    /// What the customer reads.
    #[serde(default)]
    description: Patch<Text<500>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// For which time.
    period: Option<ItemPeriod>,
    /// By another price of the same currency.
    pricing: Option<Pricing>,
    /// How many.
    quantity: Option<Whole<0, 1_000_000>>,
    /// Of one, as text.
    unit_amount_decimal: Option<WholeDecimal>,
}

/// An item that can still be changed, locked, and its draft.
async fn lock(conn: &mut PgConnection, context: &Context) -> ApiResult<(Line, Option<Invoice>)> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceItemId>("invoiceitem")?);
    let found = invoice_lines::find_item(conn, tenant, id).await?.ok_or_else(missing)?;
    // Whoever makes the draft final holds it before its lines.
    let draft = match found.invoice {
        Some(invoice) => Some(steps::lock_draft(conn, tenant, invoice, "id").await?),
        None => None,
    };
    let line = invoice_lines::lock_item(conn, tenant, id).await?.ok_or_else(missing)?;
    if line.invoice != draft.as_ref().map(|draft| draft.id) {
        return Err(ApiError::new(Code::InvoiceUnexpectedState));
    }
    Ok((line, draft))
}

/// Changes it.
pub async fn run(context: Context, asked: UpdateItem) -> ApiResult<InvoiceItem> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let (before, draft) = lock(&mut tx, &context).await?;
    let costs = asked.amount.is_some()
        || asked.pricing.is_some()
        || asked.quantity.is_some()
        || asked.unit_amount_decimal.is_some()
        || asked.period.is_some();
    if before.proration && costs {
        return Err(ApiError::invalid("amount", "left out for a part of a period, which says itself what it costs"));
    }
    let was = before.amount;
    let mut after = before;
    if let Some(quantity) = asked.quantity {
        after.quantity = quantity.0;
    }
    match (asked.amount, asked.unit_amount_decimal, asked.pricing) {
        (None, None, None) => {
            if let Some(unit) = after.unit_amount {
                after.amount = times(unit, after.quantity)?;
            }
        }
        (Some(amount), None, None) if asked.quantity.is_none() => {
            (after.amount, after.unit_amount, after.quantity) = (amount.0, Some(amount.0), 1);
            (after.price, after.product) = (None, None);
        }
        (None, Some(unit), None) => {
            (after.amount, after.unit_amount) = (times(unit.0, after.quantity)?, Some(unit.0));
            (after.price, after.product) = (None, None);
        }
        (None, None, Some(pricing)) => {
            let price = price(&mut tx, &context, &pricing).await?;
            if price.currency != after.currency {
                return Err(ApiError::invalid("pricing[price]", "a price in the item's currency"));
            }
            (after.amount, after.unit_amount) = (times(price.unit_amount, after.quantity)?, Some(price.unit_amount));
            (after.price, after.product) = (Some(price.id), Some(price.product));
        }
        _ => return Err(ApiError::invalid("amount", "alone, or one of unit_amount_decimal and pricing with quantity")),
    }
    if let Some(period) = &asked.period {
        (after.period_start_at, after.period_end_at) = period.bounds()?;
    }
    after.description = asked.description.map(Text::into_string).apply(after.description);
    after.metadata = asked.metadata.apply(after.metadata)?;
    invoice_lines::update_item(&mut tx, tenant, &after).await?;
    let shown = shown(&mut tx, &context, &after).await?;
    let mut told = Vec::new();
    if let Some(draft) = draft {
        steps::change_total(&mut tx, tenant, draft, after.amount - was, &mut told).await?;
    }
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Takes it away.
pub async fn delete(context: Context, _: Nothing) -> ApiResult<DeletedItem> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceItemId>("invoiceitem")?);
    let mut tx = context.begin().await?;
    let (line, draft) = lock(&mut tx, &context).await?;
    let mut told = vec![Happened::to(&shown(&mut tx, &context, &line).await?, Kind::InvoiceItemDeleted)?];
    invoice_lines::delete_item(&mut tx, tenant, id).await?;
    if let Some(draft) = draft {
        steps::change_total(&mut tx, tenant, draft, -line.amount, &mut told).await?;
    }
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(DeletedItem::of(id))
}
