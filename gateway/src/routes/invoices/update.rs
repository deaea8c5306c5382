//! `POST /v1/invoices/{id}`, `DELETE` of a draft, and `…/send`.

use kura_platform::clock;
use kura_wire::ids::InvoiceId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::create::{DaysUntilDue, payable_until};
use crate::billing::{self, invoices as steps, views};
use crate::domain::invoice::{Collection, Reason, Status};
use crate::domain::subscription::DRAFT_FOR;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::endpoint::types::{Metadata, Moment, Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render::invoice::{DeletedInvoice, Invoice};
use crate::store::{invoice_lines, invoices};

/// What is to change. Of what is final that is your data, and whether it goes on by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateInvoice {
    /// Whether it goes on by itself.
    auto_advance: Option<bool>,
    /// Of a sent draft: how many days the customer has, from now on.
    days_until_due: Option<DaysUntilDue>,
    /// Of a draft: the customer reads it.
    #[serde(default)]
    description: Patch<Text<1000>>,
    /// Of a sent draft: until when it is to be paid. Unix seconds.
    due_date: Option<Moment>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Changes it.
pub async fn run(context: Context, asked: UpdateInvoice) -> ApiResult<Invoice> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceId>("invoice")?);
    let mut tx = context.begin().await?;
    let (_, mut invoice) = steps::lock(&context, &mut tx, id).await?;
    let at = billing::time::for_request(&mut tx, tenant, invoice.test_clock).await?;
    let before = views::invoice(&mut tx, tenant, &invoice).await?;
    let draft = invoice.status == Status::Draft;
    let of_drafts = asked.days_until_due.is_some() || asked.due_date.is_some() || asked.description != Patch::Keep;
    if (of_drafts && !draft) || (asked.auto_advance.is_some() && !draft && invoice.status != Status::Open) {
        return Err(steps::refused(&invoice, "change"));
    }
    invoice.description = asked.description.map(Text::into_string).apply(invoice.description);
    invoice.metadata = asked.metadata.apply(invoice.metadata)?;
    if asked.days_until_due.is_some() || asked.due_date.is_some() {
        let collection = invoice.collection();
        invoice.payable_until_at = payable_until(collection, asked.days_until_due, asked.due_date, at)?;
    }
    if let Some(goes_on) = asked.auto_advance.filter(|goes_on| *goes_on != invoice.auto_advance) {
        invoice.auto_advance = goes_on;
        match (draft, invoice.collection()) {
            (true, _) => invoice.due_at = goes_on.then(|| at + DRAFT_FOR),
            (false, Collection::ChargeAutomatically) => invoice.due_at = goes_on.then_some(at),
            // Its term stays.
            (false, Collection::SendInvoice) => {}
        }
    }
    let look_at = invoice.trying.then(clock::now);
    invoices::update(&mut tx, tenant, &invoice, look_at).await?;
    let shown = views::invoice(&mut tx, tenant, &invoice).await?;
    let told = Happened::update(&before, &shown, Kind::InvoiceUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Deletes a draft that the merchant wrote. What waited for an invoice waits again.
pub async fn delete(context: Context, _: Nothing) -> ApiResult<DeletedInvoice> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceId>("invoice")?);
    let mut tx = context.begin().await?;
    let (_, invoice) = steps::lock(&context, &mut tx, id).await?;
    billing::time::for_request(&mut tx, tenant, invoice.test_clock).await?;
    if invoice.status != Status::Draft || invoice.reason != Reason::Manual {
        return Err(steps::refused(&invoice, "delete"));
    }
    let told = Happened::to(&views::invoice(&mut tx, tenant, &invoice).await?, Kind::InvoiceDeleted)?;
    invoice_lines::let_go(&mut tx, tenant, id).await?;
    invoices::delete(&mut tx, tenant, id).await?;
    events::tell(&mut tx, &context.cause(), clock::now(), [told]).await?;
    tx.commit().await?;
    Ok(DeletedInvoice::of(id))
}

/// Says that the customer is to have it. A draft becomes final first. Nothing is mailed from here: the event is for whoever does.
pub async fn send(context: Context, _: Nothing) -> ApiResult<Invoice> {
    let (tenant, id) = (context.tenant(), context.id::<InvoiceId>("invoice")?);
    let mut tx = context.begin().await?;
    let (_, invoice) = steps::lock(&context, &mut tx, id).await?;
    let at = billing::time::for_request(&mut tx, tenant, invoice.test_clock).await?;
    if invoice.collection() != Collection::SendInvoice {
        let message = "You can only send an invoice whose collection_method is send_invoice.";
        return Err(ApiError::with_message(crate::codes::Code::InvoiceUnexpectedState, message));
    }
    let mut told = Vec::new();
    let invoice = match invoice.status {
        // A second run of the request that sent it.
        Status::Open | Status::Paid if !context.first_run => return views::invoice(&mut tx, tenant, &invoice).await,
        Status::Draft => steps::finalize(&context, &mut tx, invoice, at, &mut told).await?,
        Status::Open => invoice,
        Status::Paid | Status::Uncollectible | Status::Void => return Err(steps::refused(&invoice, "send")),
    };
    let shown = views::invoice(&mut tx, tenant, &invoice).await?;
    told.push(Happened::to(&shown, Kind::InvoiceSent)?);
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}
