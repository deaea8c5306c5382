//! `POST /v1/invoices/{id}/finalize`, `…/pay`, `…/void` and `…/mark_uncollectible`.

use kura_platform::clock;
use kura_wire::ids::{InvoiceId, TokenUse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::by_id;
use crate::billing::charge::{self, How};
use crate::billing::subscriptions::after_payment;
use crate::billing::{self, invoices as steps, views};
use crate::codes::Code;
use crate::domain::invoice::{Collection, Status};
use crate::domain::subscription::Event;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::events;
use crate::render::invoice::Invoice;
use crate::routes::payment_methods::naming::{self, CardName};
use crate::store::invoices;

/// How a draft becomes final.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finalize {
    /// Whether it is then paid by itself; as it was, where it is left out.
    auto_advance: Option<bool>,
}

/// `…/finalize`.
///
/// # Errors
/// 404; 400 for what is no draft.
pub async fn finalize(context: Context, asked: Finalize) -> ApiResult<Invoice> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceId>("invoice")?);
    let mut tx = context.begin().await?;
    let (subscription, mut invoice) = steps::lock(&context, &mut tx, id).await?;
    if !context.first_run && invoice.status != Status::Draft {
        return views::invoice(&mut tx, tenant, &invoice).await;
    }
    let at = billing::time::for_request(&mut tx, tenant, invoice.test_clock).await?;
    invoice.auto_advance = asked.auto_advance.unwrap_or(invoice.auto_advance);
    let mut told = Vec::new();
    let mut invoice = steps::finalize(&context, &mut tx, invoice, at, &mut told).await?;
    let charged = invoice.collection() == Collection::ChargeAutomatically;
    if invoice.status == Status::Open && invoice.auto_advance && charged {
        // As one that became final by itself: tried at once, by the worker.
        invoice.due_at = Some(at);
        invoices::update(&mut tx, tenant, &invoice, Some(clock::now())).await?;
    }
    if let Some(subscription) = subscription.filter(|_| invoice.status == Status::Paid) {
        let newest = subscription.latest_invoice == Some(id);
        after_payment(&context, &mut tx, subscription, Event::Paid(newest), &mut told).await?;
    }
    let shown = views::invoice(&mut tx, tenant, &invoice).await?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// How an invoice is paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// The shopper is not there; so it is where this is left out.
    off_session: Option<bool>,
    /// `pm_…`; the subscription's or the customer's, where it is left out.
    payment_method: Option<Text<255>>,
}

/// `…/pay`. A draft is made final first.
///
/// # Errors
/// 404; 400 for what is paid or void; 402 for what the network refuses.
pub async fn pay(context: Context, asked: Pay) -> ApiResult<Invoice> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceId>("invoice")?);
    let found = invoices::find(&mut *context.db().await?, tenant, id).await?;
    let found = found.ok_or_else(|| ApiError::missing("invoice", "id"))?;
    billing::time::for_request(&mut *context.db().await?, tenant, found.test_clock).await?;
    if !context.first_run && found.status == Status::Paid {
        return by_id(&context, &id.to_string()).await;
    }
    if found.status == Status::Draft {
        finalize(context.clone(), Finalize { auto_advance: Some(false) }).await?;
    } else if found.status != Status::Open {
        return Err(steps::refused(&found, "pay"));
    }
    let card = match &asked.payment_method {
        Some(name) => {
            let name = CardName::parse(name, TokenUse::Multi, tenant.livemode(), "payment_method")?;
            let (named, card) = naming::find(&context, &name).await?;
            if card.customer.is_some() && card.customer != Some(found.customer) {
                return Err(ApiError::new(Code::CustomerMismatch).on("payment_method"));
            }
            Some((named, card))
        }
        None => None,
    };
    let how = How { begin: true, on_session: asked.off_session == Some(false), card };
    let tried = charge::pay(&context, id, how).await?;
    match tried.refusal.filter(|_| tried.invoice.status != Status::Paid) {
        Some(refusal) => Err(refusal),
        None => by_id(&context, &id.to_string()).await,
    }
}

/// `…/void`.
///
/// # Errors
/// 404; 400 for drafts, which are deleted, and for what is paid.
pub async fn void(context: Context, _: Nothing) -> ApiResult<Invoice> {
    let id = context.id::<InvoiceId>("invoice")?;
    check_time(&context, id).await?;
    steps::void(&context, id).await?;
    by_id(&context, &id.to_string()).await
}

/// `…/mark_uncollectible`.
///
/// # Errors
/// 404; 400 for what is not open.
pub async fn give_up(context: Context, _: Nothing) -> ApiResult<Invoice> {
    let id = context.id::<InvoiceId>("invoice")?;
    check_time(&context, id).await?;
    steps::give_up(&context, id).await?;
    by_id(&context, &id.to_string()).await
}

async fn check_time(context: &Context, id: InvoiceId) -> ApiResult<()> {
    let mut db = context.db().await?;
    let found = invoices::find(&mut db, context.tenant(), id).await?;
    let clock = found.and_then(|invoice| invoice.test_clock);
    billing::time::for_request(&mut db, context.tenant(), clock).await.map(drop)
}
