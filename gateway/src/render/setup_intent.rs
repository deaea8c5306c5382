//! SetupIntents.

use kura_wire::ids::TokenUse;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::card::{CardWord, PaymentMethod, payment_method};
use super::payment_intent::{AutomaticPaymentMethods, CardErrorWord, NextAction};
use super::{nulls, unix, word};
use crate::codes::Code;
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::setup_intents::{Setup, SetupError};

word!(SetupWord, "setup_intent");
nulls!(Unused {
    application,
    attach_to_self,
    flow_directions,
    latest_attempt,
    mandate,
    on_behalf_of,
    payment_method_configuration_details,
    single_use_mandate,
});
nulls!(UnusedOptions { mandate_options, network });

/// A card that is to be kept for later.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SetupIntent {
    /// `seti_…`.
    pub id: String,
    /// `setup_intent`.
    pub object: SetupWord,
    /// Where the methods are left to us.
    pub automatic_payment_methods: Option<AutomaticPaymentMethods>,
    /// Why it was called off.
    pub cancellation_reason: Option<String>,
    /// What the shopper's page reads the set-up by, with a publishable key. Null in events.
    pub client_secret: Option<String>,
    /// Unix seconds.
    pub created: i64,
    /// For whom.
    pub customer: Option<Expandable>,
    /// Your words.
    pub description: Option<String>,
    /// Why the last card was not kept.
    pub last_setup_error: Option<LastSetupError>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// What the shopper is to do.
    pub next_action: Option<NextAction>,
    /// The card.
    pub payment_method: Option<Expandable>,
    /// What was said of each method.
    pub payment_method_options: Options,
    /// What may be kept.
    pub payment_method_types: Vec<CardWord>,
    /// Where it stands.
    pub status: &'static str,
    /// `on_session` or `off_session`.
    pub usage: &'static str,
    #[serde(flatten)]
    unused: Unused,
}

impl SetupIntent {
    /// Without what is between the merchant and us: a shopper's page needs none of it.
    #[must_use]
    pub fn for_the_shopper(self) -> Self {
        Self { customer: None, metadata: Map::new(), ..self }
    }
}

/// What was said of each method.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Options {
    /// Of cards.
    pub card: CardOptions,
}

/// What was said of cards.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CardOptions {
    /// When 3-D Secure is asked for.
    pub request_three_d_secure: &'static str,
    #[serde(flatten)]
    unused: UnusedOptions,
}

/// Why the last card was not kept.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LastSetupError {
    /// Of the catalogue.
    pub code: String,
    /// The network's reason.
    pub decline_code: Option<String>,
    /// For the shopper.
    pub message: &'static str,
    /// The card.
    pub payment_method: Option<PaymentMethod>,
    /// `card_error`.
    pub r#type: CardErrorWord,
}

/// A SetupIntent, with the card that it names or that was refused, and what the shopper is to do.
pub fn setup_intent(
    tenant: Tenant,
    setup: &Setup,
    card: Option<&Card>,
    next_action: Option<NextAction>,
) -> SetupIntent {
    SetupIntent {
        id: setup.id.to_string(),
        object: SetupWord::default(),
        automatic_payment_methods: setup.automatic_payment_methods.then(AutomaticPaymentMethods::default),
        cancellation_reason: setup.cancellation_reason.clone(),
        client_secret: None,
        created: unix(setup.created_at),
        customer: setup.customer.map(Expandable::from),
        description: setup.description.clone(),
        last_setup_error: setup.last_error.as_ref().map(|error| last_error(tenant, error, card)),
        livemode: tenant.livemode(),
        metadata: setup.metadata.clone(),
        next_action,
        payment_method: setup.card.and(card).map(|card| card.token(TokenUse::Multi).into()),
        payment_method_options: Options {
            card: CardOptions {
                request_three_d_secure: setup.three_d_secure.as_str(),
                unused: UnusedOptions::default(),
            },
        },
        payment_method_types: vec![CardWord::default()],
        status: setup.status.as_str(),
        usage: setup.usage.as_str(),
        unused: Unused::default(),
    }
}

/// The words of a stored error.
pub fn message_of(error: &SetupError) -> &'static str {
    Code::of_word(&error.code).unwrap_or(Code::CardDeclined).message()
}

fn last_error(tenant: Tenant, error: &SetupError, refused: Option<&Card>) -> LastSetupError {
    LastSetupError {
        code: error.code.clone(),
        decline_code: error.decline_code.clone(),
        message: message_of(error),
        payment_method: refused.map(|refused| payment_method(tenant, refused)),
        r#type: CardErrorWord::default(),
    }
}
