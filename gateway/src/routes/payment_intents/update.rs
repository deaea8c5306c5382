//! `POST /v1/payment_intents/{id}`: metadata and description at any time; amount, card and customer before confirmation.

use kura_platform::clock;
use serde_json::Value;

use super::confirm::check_owner;
use super::create::find_customer;
use super::flow::refused;
use super::{EXPANDABLE, render_one};
use crate::domain::mask;
use crate::domain::payment_intent::{Event, Refusal};
use crate::edge::call::Context;
use crate::edge::params::{MetadataChange, Params};
use crate::error::{ApiError, ApiResult};
use crate::routes::lists::expansions;
use crate::routes::payment_methods::naming;
use crate::store::cards::Card;
use crate::store::payment_intents::{self, Intent, NamedCard};
use crate::store::timeline::{self, Entry};
use kura_wire::ids::CustomerId;

/// What is to change.
struct Change {
    amount: Option<i64>,
    customer: Option<CustomerId>,
    card: Option<(NamedCard, Card)>,
    description: Option<String>,
    receipt_email: Option<String>,
    metadata: Option<MetadataChange>,
}

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let amount = params.amount("amount")?;
    let name = naming::take(&mut params, context.tenant().livemode())?;
    let customer = params.text("customer")?;
    let description = params.text_or_empty("description")?;
    let receipt_email = params.text_or_empty("receipt_email")?;
    let metadata = params.metadata()?;
    let expand = expansions(&mut params, "", EXPANDABLE)?;
    params.finish()?;

    let id = context.id("payment_intent")?;
    let customer = find_customer(&context, customer.as_deref()).await?;
    let card = match name {
        Some(name) => Some(naming::find(&context, &name).await?),
        None => None,
    };
    let shown = card.as_ref().map(|(_, card)| card.clone());
    let change = Change { amount, customer, card, description, receipt_email, metadata };

    let mut tx = context.begin().await?;
    let intent = payment_intents::lock(&mut tx, context.tenant(), id).await?;
    let intent = change.apply(intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))?)?;
    payment_intents::update(&mut tx, context.tenant(), &intent).await?;
    let entries = [Entry { amount_minor: amount, ..Entry::of("updated") }];
    timeline::append(&mut tx, context.tenant(), id, Some(context.request_id), clock::now(), &entries).await?;
    tx.commit().await?;

    render_one(&context, &intent, shown, &expand).await
}

impl Change {
    /// The payment afterwards.
    fn apply(self, mut intent: Intent) -> ApiResult<Intent> {
        let touches_money = self.amount.is_some() || self.customer.is_some() || self.card.is_some();
        if touches_money && !intent.progress.is_open() {
            return Err(refused(&intent, "update the amount, customer or payment method of", Refusal::Status));
        }
        intent.progress.amount = self.amount.unwrap_or(intent.progress.amount);
        intent.customer = self.customer.or(intent.customer);
        if let Some((named, _)) = &self.card {
            intent.card = Some(*named);
            intent.progress = intent.progress.after(Event::NameCard).map_err(ApiError::internal)?;
        }
        check_owner(&intent, self.card.as_ref())?;
        let unless_empty = |text: String| (!text.is_empty()).then_some(text);
        if let Some(description) = self.description {
            intent.description = unless_empty(description);
        }
        if let Some(email) = self.receipt_email {
            intent.receipt_email = unless_empty(email).as_deref().map(mask::email);
        }
        if let Some(metadata) = self.metadata {
            intent.metadata = metadata.apply(std::mem::take(&mut intent.metadata))?;
        }
        Ok(intent)
    }
}
