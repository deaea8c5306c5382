//! `POST /v1/payment_methods/{id}`: your data, and a card's expiry. The vault, which tells the networks of it, takes it first.

use kura_platform::clock;
use kura_wire::ids::{CardToken, PayerId, TokenUse};
use kura_wire::vault::SetExpiry;
use schemars::JsonSchema;
use serde::Deserialize;

use super::naming;
use crate::codes::Code;
use crate::edge::call::Context;
use crate::endpoint::types::{Metadata, Whole};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::render::card::PaymentMethod;
use crate::store::{cards, payers};
use crate::vault_client::VaultFailure;

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMethod {
    /// A card's expiry.
    card: Option<CardChanges>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// What is to change of a card.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardChanges {
    /// 1 to 12.
    exp_month: Option<Whole<1, 12>>,
    /// Four digits.
    exp_year: Option<Whole<2000, 9999>>,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateMethod) -> ApiResult<PaymentMethod> {
    let missing = || ApiError::missing("payment_method", "id");
    if let Some(payer) = payers::parse_method_id(context.raw_id()) {
        if asked.card.is_some() {
            return Err(ApiError::invalid("card", "left out where the payment method is no card"));
        }
        return of_payer(&context, payer, asked.metadata).await;
    }
    let token: CardToken = context.raw_id().parse().map_err(|_| missing())?;
    let card = naming::find_or_adopt(&context, token).await?;
    let saved = |card: &cards::Card| token.allows == TokenUse::Multi && card.saved_at.is_some();
    let card = card.filter(saved).ok_or_else(missing)?;
    let expiry = match asked.card {
        Some(changes) => set_expiry(&context, token, &changes).await?,
        None => None,
    };

    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let before = cards::lock(&mut tx, tenant, card.record).await?.ok_or_else(missing)?;
    let mut after = before.clone();
    if let Some((month, year)) = expiry {
        (after.exp_month, after.exp_year) = (month, year);
    }
    after.metadata = asked.metadata.apply(after.metadata)?;
    cards::update(&mut tx, tenant, &after).await?;
    let shown = render::card::payment_method(tenant, &after);
    let was = render::card::payment_method(tenant, &before);
    let told = Happened::update(&was, &shown, events::Kind::PaymentMethodUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

async fn of_payer(context: &Context, id: PayerId, metadata: Metadata) -> ApiResult<PaymentMethod> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let before = payers::lock(&mut tx, tenant, id).await?.ok_or_else(|| ApiError::missing("payment_method", "id"))?;
    let mut after = before.clone();
    after.metadata = metadata.apply(after.metadata)?;
    payers::describe(&mut tx, tenant, id, &after.metadata).await?;
    let (was, shown) = (render::card::of_payer(tenant, &before), render::card::of_payer(tenant, &after));
    let told = Happened::update(&was, &shown, events::Kind::PaymentMethodUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// The expiry that the vault has now; `None` where nothing of it was to change.
async fn set_expiry(context: &Context, token: CardToken, changes: &CardChanges) -> ApiResult<Option<(i16, i16)>> {
    let exp_month = changes.exp_month.and_then(|month| u8::try_from(month.0).ok());
    let exp_year = changes.exp_year.and_then(|year| u16::try_from(year.0).ok());
    if exp_month.is_none() && exp_year.is_none() {
        return Ok(None);
    }
    let ask = SetExpiry { context: context.vault_context(), token, exp_month, exp_year };
    let told = context.app.vault.set_expiry(&ask).await.map_err(refusal)?;
    let year = i16::try_from(told.card.exp_year).map_err(ApiError::internal)?;
    Ok(Some((i16::from(told.card.exp_month), year)))
}

/// About the parameter that it is about here.
fn refusal(failure: VaultFailure) -> ApiError {
    let error = ApiError::from(failure);
    match error.code() {
        Code::InvalidExpiryMonth => error.on("card[exp_month]"),
        Code::InvalidExpiryYear | Code::ExpiredCard => error.on("card[exp_year]"),
        _ => error,
    }
}
