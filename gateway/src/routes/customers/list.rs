//! `GET /v1/customers`, and `?email=…` by the vault's blind index: without regard to case and width, and at most the newest
//! thousand of one address.

use kura_wire::payer::{FindCustomers, Personal};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::find;
use crate::edge::call::Context;
use crate::endpoint::list::{List, ListParams};
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::customers::{self, Customer};
use crate::store::{Listed, cards};

/// Which customers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCustomers {
    /// Those with this e-mail address.
    email: Option<Text>,
}

/// Runs it.
pub async fn run(
    context: Context,
    asked: ListCustomers,
    list: ListParams,
) -> ApiResult<List<render::customer::Customer>> {
    let tenant = context.tenant();
    let among: Option<Vec<Uuid>> = match asked.email {
        None => None,
        Some(email) => {
            let email = Personal::new(email.into_string());
            let found =
                context.app.vault.find_customers(&FindCustomers { context: context.vault_context(), email }).await;
            Some(found.map_err(ApiError::from)?.iter().map(|id| Uuid::from_bytes(*id.as_bytes())).collect())
        }
    };
    let place = async |id: String| Ok(find(&context, &id).await?.map(|customer| customers::cursor(&customer)));
    let page = list.page(place).await?;
    let found = customers::list(&mut *context.db().await?, tenant, among.as_deref(), &page).await?;
    let records: Vec<[u8; 16]> = found.items.iter().filter_map(|customer| customer.default_card).collect();
    let known = cards::find_many(&mut *context.db().await?, tenant, &records).await?;
    let render = |customer: Customer| {
        let card = customer.default_card.and_then(|record| known.iter().find(|card| card.record == record));
        render::customer::customer(tenant, customer, card)
    };
    let items = found.items.into_iter().map(render).collect();
    Ok(List::new("/v1/customers", Listed { items, has_more: found.has_more }))
}
