//! `GET /v1/customers`, and `?email=…` by the vault's blind index: without regard to case and width, and at most the newest
//! thousand of one address.

use kura_wire::payer::{FindCustomers, Personal};
use serde_json::Value;
use uuid::Uuid;

use crate::edge::call::Context;
use crate::edge::params::Params;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::routes::lists::{ListParams, unknown_cursor};
use crate::store::{Cursor, Listed, customers};

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let list = ListParams::take(&mut params)?;
    let email = params.text("email")?.map(Personal::new);
    params.finish()?;
    let (pool, tenant) = (&context.app.pool, context.tenant());
    let among: Option<Vec<Uuid>> = match email {
        None => None,
        Some(email) => {
            let found =
                context.app.vault.find_customers(&FindCustomers { context: context.vault_context(), email }).await;
            Some(found.map_err(ApiError::from)?.iter().map(|id| Uuid::from_bytes(*id.as_bytes())).collect())
        }
    };
    let after = place(&context, list.starting_after.as_deref(), "starting_after").await?;
    let before = place(&context, list.ending_before.as_deref(), "ending_before").await?;
    let found = customers::list(pool, tenant, among.as_deref(), &list.page(after, before)).await?;
    let items = found.items.iter().map(|customer| render::customer::customer(tenant, customer)).collect();
    Ok(render::list("/v1/customers", Listed { items, has_more: found.has_more }))
}

async fn place(context: &Context, id: Option<&str>, name: &str) -> ApiResult<Option<Cursor>> {
    let Some(id) = id else { return Ok(None) };
    let id = id.parse().map_err(|_| unknown_cursor(name))?;
    let found = customers::find(&context.app.pool, context.tenant(), id).await?;
    Ok(Some(customers::cursor(&found.ok_or_else(|| unknown_cursor(name))?)))
}
