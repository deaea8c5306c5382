//! `/v1/invoices`. How they come to be and are paid is in [`crate::billing`].

pub mod actions;
pub mod create;
pub mod preview;
pub mod update;

use kura_wire::ids::{CustomerId, InvoiceId, SubscriptionId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::billing::views;
use crate::domain::invoice::Status;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::invoice::{Invoice, Line};
use crate::store::Listed;
use crate::store::invoices::{self, Invoice as Row, cursor};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Invoices)
        .list("/v1/invoices", "List invoices", list)
        .post("/v1/invoices", "Write an invoice", create::run)
        .post("/v1/invoices/create_preview", "Show the invoice that would be next", preview::run)
        .get("/v1/invoices/{id}", "Retrieve an invoice", retrieve)
        .post("/v1/invoices/{id}", "Update an invoice", update::run)
        .delete("/v1/invoices/{id}", "Delete a draft", update::delete)
        .post("/v1/invoices/{id}/send", "Say that the customer is to have an invoice", update::send)
        .list("/v1/invoices/{id}/lines", "List the lines of an invoice", lines)
        .post("/v1/invoices/{id}/finalize", "Make a draft final", actions::finalize)
        .post("/v1/invoices/{id}/pay", "Pay an invoice", actions::pay)
        .post("/v1/invoices/{id}/void", "Call an invoice off", actions::void)
        .post("/v1/invoices/{id}/mark_uncollectible", "Give an invoice up", actions::give_up)
}

/// Which invoices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListInvoices {
    /// Of this customer.
    customer: Option<IdOf<CustomerId>>,
    /// In this state.
    status: Option<State>,
    /// Of this subscription.
    subscription: Option<IdOf<SubscriptionId>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

impl From<State> for Status {
    fn from(sent: State) -> Self {
        match sent {
            State::Draft => Self::Draft,
            State::Open => Self::Open,
            State::Paid => Self::Paid,
            State::Uncollectible => Self::Uncollectible,
            State::Void => Self::Void,
        }
    }
}

async fn list(context: Context, asked: ListInvoices, list: ListParams) -> ApiResult<List<Invoice>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|row| cursor(&row)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let (customer, subscription) = (asked.customer.map(|id| id.0), asked.subscription.map(|id| id.0));
    let found = invoices::list(&mut db, tenant, customer, subscription, asked.status.map(Status::from), &page).await?;
    let items = views::invoices(&mut db, tenant, &found.items).await?;
    Ok(List::new("/v1/invoices", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<Invoice> {
    by_id(&context, context.raw_id()).await
}

async fn lines(context: Context, _: Nothing, list: ListParams) -> ApiResult<List<Line>> {
    let invoice = by_id(&context, context.raw_id()).await?;
    list.of_few(invoice.lines.url, invoice.lines.data, |line| (&line.id, invoice.created))
}

/// The invoice of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<Invoice> {
    let row = find(context, id).await?.ok_or_else(|| ApiError::missing("invoice", "id"))?;
    views::invoice(&mut *context.db().await?, context.tenant(), &row).await
}

/// The invoices of these ids that are there, as the API shows them.
///
/// # Errors
/// The database's.
pub async fn by_ids(context: &Context, ids: &[String]) -> ApiResult<Vec<Invoice>> {
    let ids: Vec<InvoiceId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let rows = invoices::find_many(&mut db, tenant, &ids).await?;
    views::invoices(&mut db, tenant, &rows).await
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Row>> {
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(invoices::find(&mut *context.db().await?, context.tenant(), id).await?)
}
