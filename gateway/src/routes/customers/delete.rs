//! `DELETE /v1/customers/{id}`: erased in the vault, its saved cards detached; payments keep its id.

use kura_platform::clock;
use kura_wire::ids::CustomerId;
use kura_wire::payer::EraseCustomer;
use kura_wire::vault::VaultErrorCode;
use serde_json::Map;

use crate::billing;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::render::customer::{Deleted, found};
use crate::store::cards::{self, Card};
use crate::store::customers::{self, Customer};
use crate::vault_client::VaultFailure;

/// Runs it. The vault first: what is shown as deleted is gone. Deleting twice is deleting once.
pub async fn run(context: Context, _: Nothing) -> ApiResult<Deleted> {
    erase(&context, context.id("customer")?).await
}

/// Erases this customer.
///
/// # Errors
/// 404; the vault's, after which nothing else was done.
pub async fn erase(context: &Context, id: CustomerId) -> ApiResult<Deleted> {
    let there = customers::find(&mut *context.db().await?, context.tenant(), id).await?;
    let customer = there.ok_or_else(|| ApiError::missing("customer", "id"))?;
    if customer.deleted_at.is_some() {
        return Ok(Deleted::of(customer.id));
    }
    billing::subscriptions::cancel_all(context, customer.id).await?;
    let ask = EraseCustomer { context: context.vault_context(), customer: customer.id };
    match context.app.vault.erase_customer(&ask).await {
        // One without personal data was never there.
        Ok(_) | Err(VaultFailure::Refused(VaultErrorCode::CustomerUnknown)) => {}
        Err(failure) => return Err(failure.into()),
    }
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let locked = customers::lock(&mut tx, tenant, customer.id).await?;
    let Some(there) = locked.filter(|customer| customer.deleted_at.is_none()) else {
        return Ok(Deleted::of(customer.id));
    };
    let mut told = vec![Happened::to(&found(tenant, there.clone(), None), events::Kind::CustomerDeleted)?];
    for card in cards::detach_all(&mut tx, tenant, there.id).await? {
        let detached = render::card::payment_method(tenant, &Card { customer: None, ..card });
        told.push(Happened::to(&detached, events::Kind::PaymentMethodDetached)?);
    }
    let gone = Customer {
        name: None,
        email: None,
        phone: None,
        address: None,
        description: None,
        metadata: Map::new(),
        default_card: None,
        balance: 0,
        balance_currency: None,
        delinquent: false,
        deleted_at: Some(at),
        ..there
    };
    customers::update(&mut tx, tenant, &gone).await?;
    events::tell(&mut tx, &context.cause(), at, told).await?;
    tx.commit().await?;
    Ok(Deleted::of(customer.id))
}
