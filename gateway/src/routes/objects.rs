//! Any object by its id: what `expand` and the events' own look-ups read by.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::edge::call::Context;
use crate::endpoint::rights::{Access, Resource};
use crate::error::{ApiError, ApiResult};
use crate::routes::checkout::sessions;
use crate::routes::test_helpers::test_clocks;
use crate::routes::{
    balance, charges, customers, disputes, events, invoice_items, invoices, payment_intents, payment_methods, prices,
    products, refunds, setup_intents, subscriptions, webhook_endpoints,
};

/// The object of this id, as its own endpoint would show it. `None` for a text that is no id of anything.
///
/// # Errors
/// 404 for what is not there, 403 where the key has no right to read such objects.
pub async fn load(context: &Context, id: &str) -> ApiResult<Option<Value>> {
    let Some(resource) = resource_of(id) else { return Ok(None) };
    context.require(resource, Access::Read)?;
    let object = match resource {
        Resource::Customers => json(customers::by_id(context, id).await?)?,
        Resource::Charges => json(charges::by_id(context, id).await?)?,
        Resource::PaymentIntents => json(payment_intents::by_id(context, id).await?)?,
        Resource::PaymentMethods => json(payment_methods::by_id(context, id).await?)?,
        Resource::SetupIntents => json(setup_intents::by_id(context, id).await?)?,
        Resource::Prices => json(prices::by_id(context, id).await?)?,
        Resource::Products => json(products::by_id(context, id).await?)?,
        Resource::CheckoutSessions => json(sessions::by_id(context, id).await?)?,
        Resource::Invoices if id.starts_with("ii_") => json(invoice_items::by_id(context, id).await?)?,
        Resource::Invoices => json(invoices::by_id(context, id).await?)?,
        Resource::Subscriptions => json(subscriptions::by_id(context, id).await?)?,
        Resource::TestHelpers => json(test_clocks::by_id(context, id).await?)?,
        Resource::Disputes => json(disputes::by_id(context, id).await?)?,
        Resource::BalanceTransactions => json(balance::by_id(context, id).await?)?,
        Resource::Refunds => json(refunds::by_id(context, id).await?)?,
        Resource::Events => json(events::by_id(context, id).await?)?,
        Resource::WebhookEndpoints => json(webhook_endpoints::by_id(context, id).await?)?,
        _ => return Ok(None),
    };
    Ok(Some(object))
}

/// The resource whose ids begin like this one.
fn resource_of(id: &str) -> Option<Resource> {
    let (prefix, _) = id.split_once('_')?;
    Some(match prefix {
        "cus" => Resource::Customers,
        "ch" => Resource::Charges,
        "cs" => Resource::CheckoutSessions,
        "clock" => Resource::TestHelpers,
        "in" | "ii" => Resource::Invoices,
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
        _ => return None,
    })
}

/// The objects of these ids that one look-up for all of their kind finds, each as [`load`] would show it.
///
/// # Errors
/// 403 where the key has no right to read such objects; the database's. What is not there is not in the answer.
pub async fn load_all(context: &Context, ids: &[String]) -> ApiResult<HashMap<String, Value>> {
    let mut of_kind: Vec<(Resource, Vec<String>)> = Vec::new();
    for id in ids {
        let Some(resource) = resource_of(id) else { continue };
        match of_kind.iter_mut().find(|(kind, _)| *kind == resource) {
            Some((_, several)) => several.push(id.clone()),
            None => of_kind.push((resource, vec![id.clone()])),
        }
    }
    let mut known = HashMap::new();
    for (resource, ids) in of_kind {
        context.require(resource, Access::Read)?;
        for object in load_kind(context, resource, &ids).await? {
            if let Some(id) = object.get("id").and_then(Value::as_str) {
                known.insert(id.to_owned(), object);
            }
        }
    }
    Ok(known)
}

/// Those of one kind that are there; none of a kind that is looked up one by one.
async fn load_kind(context: &Context, resource: Resource, ids: &[String]) -> ApiResult<Vec<Value>> {
    match resource {
        Resource::Customers => all(customers::by_ids(context, ids).await?),
        Resource::Charges => all(charges::by_ids(context, ids).await?),
        Resource::PaymentIntents => all(payment_intents::by_ids(context, ids).await?),
        Resource::PaymentMethods => all(payment_methods::by_ids(context, ids).await?),
        Resource::SetupIntents => all(setup_intents::by_ids(context, ids).await?),
        Resource::Prices => all(prices::by_ids(context, ids).await?),
        Resource::Products => all(products::by_ids(context, ids).await?),
        Resource::Invoices => all(invoices::by_ids(context, ids).await?),
        Resource::Subscriptions => all(subscriptions::by_ids(context, ids).await?),
        Resource::BalanceTransactions => all(balance::by_ids(context, ids).await?),
        Resource::Refunds => all(refunds::by_ids(context, ids).await?),
        _ => Ok(Vec::new()),
    }
}

fn all(objects: Vec<impl Serialize>) -> ApiResult<Vec<Value>> {
    objects.into_iter().map(json).collect()
}

fn json(object: impl Serialize) -> ApiResult<Value> {
    serde_json::to_value(object).map_err(ApiError::internal)
}
