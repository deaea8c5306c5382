//! `POST /v1/payment_intents/{id}`: metadata and description at any time; amount, card and customer before confirmation.

use kura_platform::clock;
use kura_wire::ids::CustomerId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::confirm::check_owner;
use super::create::check_type;
use super::flow::refused;
use super::render_in;
use crate::codes::Code;
use crate::domain::mask;
use crate::domain::payment_intent::{Event, Refusal};
use crate::edge::call::Context;
use crate::endpoint::types::{Amount, IdOf, Metadata, Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::render::payment_intent::PaymentIntent;
use crate::routes::customers::existing;
use crate::routes::payment_methods::naming::{self, Found};
use crate::store::payment_intents::{self, Intent};
use crate::store::timeline::{self, Entry};

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateIntent {
    /// Minor units.
    amount: Option<Amount>,
    /// Who pays.
    customer: Option<IdOf<CustomerId>>,
    /// Your words.
    #[serde(default)]
    description: Patch<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// `pm_…`.
    payment_method: Option<Text<255>>,
    /// A new payment method.
    payment_method_data: Option<naming::MethodData>,
    /// Comes back masked.
    #[serde(default)]
    receipt_email: Patch<Text>,
}

/// What is to change, looked up.
struct Change {
    amount: Option<i64>,
    customer: Option<CustomerId>,
    method: Option<Found>,
    description: Patch<String>,
    receipt_email: Patch<String>,
    metadata: Metadata,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateIntent) -> ApiResult<PaymentIntent> {
    let (saved, data) = (asked.payment_method.as_deref(), asked.payment_method_data);
    let name = naming::named(saved, data, context.tenant().livemode())?;
    let id = context.id("payment_intent")?;
    let customer = match asked.customer {
        Some(id) => Some(existing(&context, id.0, "customer").await?.id),
        None => None,
    };
    let method = match name {
        Some(name) => Some(naming::find_method(&context, name).await?),
        None => None,
    };
    let change = Change {
        amount: asked.amount.map(|amount| amount.0),
        customer,
        method,
        description: asked.description.map(Text::into_string),
        receipt_email: asked.receipt_email.map(|email| mask::email(&email)),
        metadata: asked.metadata,
    };

    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let intent = payment_intents::lock(&mut tx, tenant, id).await?;
    let entries = [Entry { amount_minor: change.amount, ..Entry::of("updated") }];
    let intent = change.apply(intent.ok_or_else(|| ApiError::missing("payment_intent", "id"))?)?;
    payment_intents::update(&mut tx, tenant, &intent).await?;
    timeline::append(&mut tx, tenant, id, Some(context.request_id), clock::now(), &entries).await?;
    let shown = render_in(&mut tx, &context.app, tenant, &intent).await?;
    tx.commit().await?;
    Ok(shown)
}

impl Change {
    /// The payment afterwards.
    fn apply(self, mut intent: Intent) -> ApiResult<Intent> {
        let touches_money = self.amount.is_some() || self.customer.is_some() || self.method.is_some();
        if touches_money && !intent.progress.is_open() {
            return Err(refused(&intent, "update the amount, customer or payment method of", Refusal::Status));
        }
        if intent.invoice.is_some() && (self.amount.is_some() || self.customer.is_some()) {
            let message = "This payment is an invoice's, which says what is paid, and by whom.";
            return Err(ApiError::with_message(Code::PaymentIntentUnexpectedState, message));
        }
        intent.progress.amount = self.amount.unwrap_or(intent.progress.amount);
        intent.customer = self.customer.or(intent.customer);
        check_type(&intent, self.method.as_ref())?;
        match &self.method {
            Some(Found::Card(named, card)) => {
                check_owner(&intent, Some(&(*named, card.clone())))?;
                (intent.card, intent.payer) = (Some(*named), None);
            }
            Some(Found::Payer(payer)) => (intent.card, intent.payer) = (None, Some(payer.id)),
            None => {}
        }
        if self.method.is_some() {
            intent.progress = intent.progress.after(Event::NameMethod).map_err(ApiError::internal)?;
        }
        intent.description = self.description.apply(intent.description);
        intent.receipt_email = self.receipt_email.apply(intent.receipt_email);
        intent.metadata = self.metadata.apply(std::mem::take(&mut intent.metadata))?;
        Ok(intent)
    }
}
