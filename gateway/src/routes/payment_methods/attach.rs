//! `POST /v1/payment_methods/{id}/attach` and `…/detach`. `pm_card_visa` and its kin make a new saved card.

use kura_platform::clock;
use kura_wire::ids::{CustomerId, TokenUse};
use schemars::JsonSchema;
use serde::Deserialize;

use super::naming::{self, CardName};
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::endpoint::types::IdOf;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::render::card::PaymentMethod;
use crate::routes::customers::existing;
use crate::store::cards::{self, Card};
use crate::store::{customers, payers};

/// To whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// `cus_…`.
    customer: IdOf<CustomerId>,
}

/// Attaches.
pub async fn attach(context: Context, asked: Attach) -> ApiResult<PaymentMethod> {
    let customer = existing(&context, asked.customer.0, "customer").await?.id;
    let card = of_path(&context).await?;
    let (tenant, before) = (context.tenant(), card.customer);
    let attached = Card { customer: Some(customer), ..card };
    let shown = render::card::payment_method(tenant, &attached);
    if before == Some(customer) {
        return Ok(shown);
    }
    let mut tx = context.begin().await?;
    if !cards::attach(&mut tx, tenant, attached.record, customer).await? {
        return Err(ApiError::new(Code::PaymentMethodAlreadyAttached));
    }
    let told = Happened::to(&shown, events::Kind::PaymentMethodAttached)?;
    events::tell(&mut tx, &context.cause(), clock::now(), [told]).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Detaches.
pub async fn detach(context: Context, _: Nothing) -> ApiResult<PaymentMethod> {
    let card = of_path(&context).await?;
    let before = card.customer;
    let detached = Card { customer: None, ..card };
    let shown = render::card::payment_method(context.tenant(), &detached);
    let mut tx = context.begin().await?;
    if cards::detach(&mut tx, context.tenant(), detached.record).await? {
        if let Some(customer) = before {
            customers::forget_default(&mut tx, context.tenant(), customer, detached.record).await?;
        }
        let told = Happened::to(&shown, events::Kind::PaymentMethodDetached)?;
        events::tell(&mut tx, &context.cause(), clock::now(), [told]).await?;
        tx.commit().await?;
    } else if context.first_run {
        let message = "The payment method is not attached to a customer, so it can't be detached.";
        return Err(ApiError::with_message(Code::ParameterInvalid, message));
    }
    Ok(shown)
}

/// The saved card of the path.
async fn of_path(context: &Context) -> ApiResult<Card> {
    let livemode = context.tenant().livemode();
    if payers::parse_method_id(context.raw_id()).is_some() {
        let message = "Only cards are kept for customers; other payment methods are for one payment.";
        return Err(ApiError::with_message(Code::PaymentMethodNotReusable, message));
    }
    let name = CardName::parse(context.raw_id(), TokenUse::Multi, livemode, "payment_method")?;
    Ok(naming::find(context, &name).await?.1)
}
