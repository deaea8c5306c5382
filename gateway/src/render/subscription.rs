//! Subscriptions and their items.

use kura_wire::ids::{SubscriptionId, SubscriptionItemId, TokenUse};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::product::{Plan, Price, plan, price};
use super::{nulls, unix, word};
use crate::domain::subscription::Status;
use crate::endpoint::expand::Expandable;
use crate::endpoint::list::List;
use crate::store::cards::Card;
use crate::store::subscription_items::Item as ItemRow;
use crate::store::subscriptions::Subscription as Row;
use crate::store::{Listed, Tenant};

word!(SubscriptionWord, "subscription");
word!(ItemWord, "subscription_item");
nulls!(Unused {
    application,
    application_fee_percent,
    billing_cycle_anchor_config,
    billing_thresholds,
    default_source,
    next_pending_invoice_item_invoice,
    on_behalf_of,
    pending_invoice_item_interval,
    pending_setup_intent,
    pending_update,
    schedule,
    transfer_data,
});
nulls!(UnusedOfTax { disabled_reason, liability });
nulls!(UnusedOfItem { billed_until, billing_thresholds });
nulls!(UnusedOfSettings { payment_method_options, payment_method_types });
nulls!(UnusedOfInvoices { account_tax_ids, custom_fields, description, footer });
nulls!(UnusedOfMode { flexible, updated_at });

/// What a customer gets, and pays, every so often.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Subscription {
    /// `sub_…`.
    pub id: String,
    /// `subscription`.
    pub object: SubscriptionWord,
    /// Off: tax is no business of ours.
    pub automatic_tax: AutomaticTax,
    /// From when its periods are counted. Unix seconds.
    pub billing_cycle_anchor: i64,
    /// Always `classic`: its items are due together.
    pub billing_mode: BillingMode,
    /// Always empty.
    pub billing_schedules: Vec<String>,
    /// Unix seconds.
    pub cancel_at: Option<i64>,
    /// It ends with its period.
    pub cancel_at_period_end: bool,
    /// When it was called off. Unix seconds.
    pub canceled_at: Option<i64>,
    /// Why.
    pub cancellation_details: CancellationDetails,
    /// `charge_automatically`, or `send_invoice`: the customer pays by a day.
    pub collection_method: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Whose.
    pub customer: Expandable,
    /// How many days the customer has for an invoice that is sent.
    pub days_until_due: Option<i16>,
    /// The card that it is paid with; the customer's where there is none.
    pub default_payment_method: Option<Expandable>,
    /// Always empty.
    pub default_tax_rates: Vec<String>,
    /// Your words.
    pub description: Option<String>,
    /// Always empty.
    pub discounts: Vec<String>,
    /// Unix seconds.
    pub ended_at: Option<i64>,
    /// How its invoices are issued.
    pub invoice_settings: InvoiceSettings,
    /// What it is for.
    pub items: List<Item>,
    /// Its newest invoice.
    pub latest_invoice: Option<Expandable>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// Its collection rests.
    pub pause_collection: Option<PauseCollection>,
    /// How it is paid.
    pub payment_settings: PaymentSettings,
    /// Unix seconds.
    pub start_date: i64,
    /// Where it stands.
    pub status: &'static str,
    /// The clock that it lives by.
    pub test_clock: Option<Expandable>,
    /// Unix seconds.
    pub trial_end: Option<i64>,
    /// What its trial ends with.
    pub trial_settings: TrialSettings,
    /// Unix seconds.
    pub trial_start: Option<i64>,
    #[serde(flatten)]
    unused: Unused,
}

/// Off.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct AutomaticTax {
    /// Always false.
    pub enabled: bool,
    #[serde(flatten)]
    unused: UnusedOfTax,
}

/// How items are due.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BillingMode {
    /// Always `classic`.
    pub r#type: &'static str,
    #[serde(flatten)]
    unused: UnusedOfMode,
}

/// Why a subscription was called off.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CancellationDetails {
    /// In the customer's words.
    pub comment: Option<String>,
    /// In a word.
    pub feedback: Option<String>,
    /// `cancellation_requested` or `payment_failed`.
    pub reason: Option<String>,
}

/// How a subscription's invoices are issued.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InvoiceSettings {
    /// By you.
    pub issuer: super::invoice::Issuer,
    #[serde(flatten)]
    unused: UnusedOfInvoices,
}

/// What becomes of invoices while collection rests, and until when.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PauseCollection {
    /// `keep_as_draft`, `mark_uncollectible` or `void`.
    pub behavior: &'static str,
    /// Unix seconds.
    pub resumes_at: Option<i64>,
}

/// How a subscription is paid.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentSettings {
    /// `on_subscription`: the card of the first payment becomes the subscription's.
    pub save_default_payment_method: &'static str,
    #[serde(flatten)]
    unused: UnusedOfSettings,
}

/// What a trial ends with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TrialSettings {
    /// Where there is no card.
    pub end_behavior: EndBehavior,
}

/// What a trial ends with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EndBehavior {
    /// `create_invoice` or `cancel`.
    pub missing_payment_method: &'static str,
}

/// One price in a subscription.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Item {
    /// `si_…`.
    pub id: String,
    /// `subscription_item`.
    pub object: ItemWord,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub current_period_end: i64,
    /// Unix seconds.
    pub current_period_start: i64,
    /// Always empty.
    pub discounts: Vec<String>,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// The price, as older clients know it.
    pub plan: Plan,
    /// What one costs.
    pub price: Price,
    /// How many.
    pub quantity: i64,
    /// `sub_…`.
    pub subscription: String,
    /// Always empty.
    pub tax_rates: Vec<String>,
    #[serde(flatten)]
    unused: UnusedOfItem,
}

/// What is left of a deleted item.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedItem {
    /// `si_…`.
    pub id: String,
    /// `subscription_item`.
    pub object: ItemWord,
    /// True.
    pub deleted: bool,
}

impl DeletedItem {
    /// Of this one.
    pub fn of(id: SubscriptionItemId) -> Self {
        Self { id: id.to_string(), object: ItemWord::default(), deleted: true }
    }
}

/// An item.
pub fn item(tenant: Tenant, of: &Row, row: &ItemRow) -> Item {
    Item {
        id: row.id.to_string(),
        object: ItemWord::default(),
        created: unix(row.created_at),
        current_period_end: unix(of.period_end_at),
        current_period_start: unix(of.period_start_at),
        discounts: Vec::new(),
        metadata: row.metadata.clone(),
        plan: plan(tenant, &row.price, row.recurring),
        price: price(tenant, &row.price),
        quantity: row.quantity,
        subscription: row.subscription.to_string(),
        tax_rates: Vec::new(),
        unused: UnusedOfItem::default(),
    }
}

fn items(tenant: Tenant, of: &Row, id: SubscriptionId, rows: &[ItemRow]) -> List<Item> {
    let items = rows.iter().filter(|row| row.subscription == id).map(|row| item(tenant, of, row)).collect();
    List::new(format!("/v1/subscription_items?subscription={id}"), Listed { items, has_more: false })
}

/// A subscription with its items, and the card that it is paid with.
pub fn subscription(tenant: Tenant, row: &Row, rows: &[ItemRow], card: Option<&Card>) -> Subscription {
    let card = card.filter(|card| Some(card.record) == row.default_card && card.customer == Some(row.customer));
    let ends_with_period = row.cancel_at_period_end && row.status != Status::Canceled;
    Subscription {
        id: row.id.to_string(),
        object: SubscriptionWord::default(),
        automatic_tax: AutomaticTax::default(),
        billing_cycle_anchor: unix(row.anchor_at),
        billing_mode: BillingMode { r#type: "classic", unused: UnusedOfMode::default() },
        billing_schedules: Vec::new(),
        cancel_at: if ends_with_period { Some(unix(row.period_end_at)) } else { row.cancel_at.map(unix) },
        cancel_at_period_end: row.cancel_at_period_end,
        canceled_at: row.canceled_at.map(unix),
        cancellation_details: CancellationDetails {
            comment: row.cancellation_comment.clone(),
            feedback: row.cancellation_feedback.clone(),
            reason: row.cancellation_reason.clone(),
        },
        collection_method: row.collection().as_str(),
        created: unix(row.created_at),
        currency: row.currency.clone(),
        customer: row.customer.into(),
        days_until_due: row.days_until_due,
        default_payment_method: card.map(|card| card.token(TokenUse::Multi).into()),
        default_tax_rates: Vec::new(),
        description: row.description.clone(),
        discounts: Vec::new(),
        ended_at: row.ended_at.map(unix),
        invoice_settings: InvoiceSettings {
            issuer: super::invoice::Issuer { r#type: "self" },
            unused: UnusedOfInvoices::default(),
        },
        items: items(tenant, row, row.id, rows),
        latest_invoice: row.latest_invoice.map(Expandable::from),
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        pause_collection: row
            .pause
            .map(|pause| PauseCollection { behavior: pause.behavior.as_str(), resumes_at: pause.resumes_at.map(unix) }),
        payment_settings: PaymentSettings {
            save_default_payment_method: if row.saves_card { "on_subscription" } else { "off" },
            unused: UnusedOfSettings::default(),
        },
        start_date: unix(row.created_at),
        status: row.status.as_str(),
        test_clock: row.test_clock.map(Expandable::from),
        trial_end: row.trial_end_at.map(unix),
        trial_settings: TrialSettings {
            end_behavior: EndBehavior {
                missing_payment_method: if row.cancels_without_card { "cancel" } else { "create_invoice" },
            },
        },
        trial_start: row.trial_start_at.map(unix),
        unused: Unused::default(),
    }
}
