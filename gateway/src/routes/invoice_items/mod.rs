//! `/v1/invoiceitems`: what merchants write down for a customer's next invoice, or for a draft. Parts of periods that wait for
//! their invoice are among them. An item and its line on the invoice are one row: `ii_…` and `il_…` differ in their prefix.

pub mod create;
pub mod update;

use kura_wire::ids::{CustomerId, InvoiceId, InvoiceItemId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::rights::Resource;
use crate::endpoint::types::IdOf;
use crate::endpoint::{Nothing, Routes};
use crate::error::{ApiError, ApiResult};
use crate::render::invoice_item::{InvoiceItem, invoice_item};
use crate::store::invoice_lines::{self, Line, cursor};
use crate::store::{Listed, customers};

/// Its routes.
pub fn routes() -> Routes {
    Routes::of(Resource::Invoices)
        .post("/v1/invoiceitems", "Write down an item for an invoice", create::run)
        .list("/v1/invoiceitems", "List invoice items", list)
        .get("/v1/invoiceitems/{id}", "Retrieve an invoice item", retrieve)
        .post("/v1/invoiceitems/{id}", "Update an invoice item", update::run)
        .delete("/v1/invoiceitems/{id}", "Delete an invoice item", update::delete)
}

/// Which items.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListItems {
    /// Of this customer.
    customer: Option<IdOf<CustomerId>>,
    /// On this invoice.
    invoice: Option<IdOf<InvoiceId>>,
    /// `true`: those that wait for an invoice; `false`: those that are on one.
    pending: Option<bool>,
}

async fn list(context: Context, asked: ListItems, list: ListParams) -> ApiResult<List<InvoiceItem>> {
    let place = async |id: String| Ok(find(&context, &id).await?.map(|line| cursor(&line)));
    let page = list.page(place).await?;
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let (customer, invoice) = (asked.customer.map(|id| id.0), asked.invoice.map(|id| id.0));
    let found = invoice_lines::list_items(&mut db, tenant, customer, invoice, asked.pending, &page).await?;
    let ids: Vec<CustomerId> = found.items.iter().map(|line| line.customer).collect();
    let known = customers::find_many(&mut db, tenant, &ids).await?;
    let clock = |line: &Line| known.iter().find(|one| one.id == line.customer).and_then(|one| one.test_clock);
    let items = found.items.iter().map(|line| invoice_item(tenant, line, clock(line))).collect();
    Ok(List::new("/v1/invoiceitems", Listed { items, has_more: found.has_more }))
}

async fn retrieve(context: Context, _: Nothing) -> ApiResult<InvoiceItem> {
    by_id(&context, context.raw_id()).await
}

/// The item of this id, as the API shows it.
///
/// # Errors
/// 404.
pub async fn by_id(context: &Context, id: &str) -> ApiResult<InvoiceItem> {
    let line = find(context, id).await?.ok_or_else(missing)?;
    shown(&mut *context.db().await?, context, &line).await
}

async fn shown(
    conn: &mut kura_platform::database::PgConnection,
    context: &Context,
    line: &Line,
) -> ApiResult<InvoiceItem> {
    let customer = customers::find(conn, context.tenant(), line.customer).await?;
    Ok(invoice_item(context.tenant(), line, customer.and_then(|customer| customer.test_clock)))
}

async fn find(context: &Context, id: &str) -> ApiResult<Option<Line>> {
    let Ok(id) = id.parse::<InvoiceItemId>() else { return Ok(None) };
    Ok(invoice_lines::find_item(&mut *context.db().await?, context.tenant(), id).await?)
}

fn missing() -> ApiError {
    ApiError::missing("invoiceitem", "id")
}
