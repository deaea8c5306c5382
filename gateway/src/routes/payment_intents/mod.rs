//! `/v1/payment_intents`.

pub mod cancel;
pub mod capture;
pub mod confirm;
pub mod create;
pub mod flow;
pub mod list;
pub mod retrieve;
pub mod update;

use axum::Router;
use serde_json::Value;

use crate::app::App;
use crate::edge::call::{Context, command, query};
use crate::error::ApiResult;
use crate::render::payment_intent::{Around, payment_intent};
use crate::routes::charges;
use crate::store::cards::Card;
use crate::store::payment_intents::Intent;
use crate::store::{cards, charges as charge_store};

/// What of a payment can be expanded.
pub const EXPANDABLE: &[&str] = &["latest_charge", "payment_method"];

/// Its routes.
pub fn router() -> Router<App> {
    Router::new()
        .route("/v1/payment_intents", command(create::run).merge(query(list::run)))
        .route("/v1/payment_intents/{id}", query(retrieve::run).merge(command(update::run)))
        .route("/v1/payment_intents/{id}/confirm", command(confirm::run))
        .route("/v1/payment_intents/{id}/capture", command(capture::run))
        .route("/v1/payment_intents/{id}/cancel", command(cancel::run))
}

/// The record of the card that a payment shows: the named one, else the one that failed.
fn shown_record(intent: &Intent) -> Option<[u8; 16]> {
    intent.card.map(|card| card.record).or_else(|| intent.last_error.as_ref().map(|error| error.record))
}

/// A payment, with its card (looked up unless it is at hand) and what is to be expanded.
pub async fn render_one(
    context: &Context,
    intent: &Intent,
    at_hand: Option<Card>,
    expand: &[&str],
) -> ApiResult<Value> {
    let at_hand = at_hand.filter(|card| Some(card.record) == shown_record(intent));
    let rendered = render_some(context, std::slice::from_ref(intent), at_hand, expand).await?;
    Ok(rendered.into_iter().next().unwrap_or_default())
}

/// Payments, with one look-up for all cards and one for all charges.
pub async fn render_some(
    context: &Context,
    intents: &[Intent],
    at_hand: Option<Card>,
    expand: &[&str],
) -> ApiResult<Vec<Value>> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let known: Vec<Card> = match at_hand {
        Some(card) => vec![card],
        None => {
            let records: Vec<[u8; 16]> = intents.iter().filter_map(shown_record).collect();
            cards::find_many(&mut db, tenant, &records).await?
        }
    };
    let expanded = if expand.contains(&"latest_charge") {
        let ids: Vec<_> = intents.iter().filter_map(|intent| intent.latest_charge).collect();
        let found = charge_store::find_many(&mut db, tenant, &ids).await?;
        let rendered = charges::render_all(context, &found).await?;
        found.into_iter().map(|charge| charge.id).zip(rendered).collect()
    } else {
        Vec::new()
    };
    let render = |intent: &Intent| {
        let record = shown_record(intent);
        let card = known.iter().find(|card| Some(card.record) == record).cloned();
        let charge =
            expanded.iter().find(|(id, _)| Some(*id) == intent.latest_charge).map(|(_, charge)| charge.clone());
        let method = (expand.contains(&"payment_method") && intent.card.is_some())
            .then(|| card.as_ref().map(|card| crate::render::card::payment_method(tenant, card)))
            .flatten();
        payment_intent(tenant, intent, &Around { card, latest_charge: charge, payment_method: method })
    };
    Ok(intents.iter().map(render).collect())
}
