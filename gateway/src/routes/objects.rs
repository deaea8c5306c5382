//! Any object by its id: what `expand` and the events' own look-ups read by.

use serde::Serialize;
use serde_json::Value;

use crate::edge::call::Context;
use crate::endpoint::rights::{Access, Resource};
use crate::error::{ApiError, ApiResult};
use crate::routes::checkout::sessions;
use crate::routes::test_helpers::test_clocks;
use crate::routes::{
    balance, charges, customers, disputes, events, invoices, payment_intents, payment_methods, prices, products,
    refunds, setup_intents, subscriptions, webhook_endpoints,
};

/// The object of this id, as its own endpoint would show it. `None` for a text that is no id of anything.
///
/// # Errors
/// 404 for what is not there, 403 where the key has no right to read such objects.
pub async fn load(context: &Context, id: &str) -> ApiResult<Option<Value>> {
    let Some((prefix, _)) = id.split_once('_') else { return Ok(None) };
    let resource = match prefix {
        "cus" => Resource::Customers,
        "ch" => Resource::Charges,
        "cs" => Resource::CheckoutSessions,
        "clock" => Resource::TestHelpers,
        "in" => Resource::Invoices,
        "pi" => Resource::PaymentIntents,
        "pm" => Resource::PaymentMethods,
        "price" => Resource::Prices,
        "prod" => Resource::Products,
        "re" => Resource::Refunds,
        "sub" => Resource::Subscriptions,
        "txn" => Resource::BalanceTransactions,
        "dp" => Resource::Disputes,
        "seti" => Resource::SetupIntents,
        "evt" => Resource::Events,
        "we" => Resource::WebhookEndpoints,
        _ => return Ok(None),
    };
    context.require(resource, Access::Read)?;
    let object = match resource {
        Resource::Customers => json(customers::by_id(context, id).await?)?,
        Resource::Charges => json(charges::by_id(context, id).await?)?,
        Resource::PaymentIntents => json(payment_intents::by_id(context, id).await?)?,
        Resource::PaymentMethods => json(payment_methods::by_id(context, id).await?)?,
        Resource::SetupIntents => json(setup_intents::by_id(context, id).await?)?,
        Resource::Disputes => json(disputes::by_id(context, id).await?)?,
        Resource::Prices => json(prices::by_id(context, id).await?)?,
        Resource::Products => json(products::by_id(context, id).await?)?,
        Resource::CheckoutSessions => json(sessions::by_id(context, id).await?)?,
        Resource::Invoices => json(invoices::by_id(context, id).await?)?,
        Resource::Subscriptions => json(subscriptions::by_id(context, id).await?)?,
        Resource::TestHelpers => json(test_clocks::by_id(context, id).await?)?,
        Resource::BalanceTransactions => json(balance::by_id(context, id).await?)?,
        Resource::Refunds => json(refunds::by_id(context, id).await?)?,
        Resource::Events => json(events::by_id(context, id).await?)?,
        Resource::WebhookEndpoints => json(webhook_endpoints::by_id(context, id).await?)?,
        _ => return Ok(None),
    };
    Ok(Some(object))
}

fn json(object: impl Serialize) -> ApiResult<Value> {
    serde_json::to_value(object).map_err(ApiError::internal)
}
