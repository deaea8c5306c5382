//! Checkout sessions and their lines.

use kura_wire::ids::CheckoutSessionId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::card::CardWord;
use super::product::{Price, price};
use super::{nulls, unix, word};
use crate::domain::checkout::{Mode, Status};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::checkout_sessions::{Session as Row, SessionItem};
use crate::store::prices::Price as PriceRow;

word!(SessionWord, "checkout.session");
word!(ItemWord, "item");
nulls!(Unused {
    adaptive_pricing,
    after_expiration,
    allow_promotion_codes,
    billing_address_collection,
    client_secret,
    collected_information,
    consent,
    consent_collection,
    currency_conversion,
    customer_email,
    invoice_creation,
    payment_link,
    payment_method_configuration_details,
    payment_method_options,
    recovered_from,
    return_url,
    saved_payment_method_options,
    shipping_address_collection,
    shipping_cost,
    submit_type,
    wallet_options,
});
nulls!(UnusedOfTax { liability, provider, status });
nulls!(UnusedOfCustomer { address, name, phone, tax_ids });
nulls!(UnusedOfText { after_submit, shipping_address, submit, terms_of_service_acceptance });

/// A page of ours that a shopper pays on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Session {
    /// `cs_…`.
    pub id: String,
    /// `checkout.session`.
    pub object: SessionWord,
    /// Minor units.
    pub amount_subtotal: Option<i64>,
    /// Minor units.
    pub amount_total: Option<i64>,
    /// Off: tax is no business of ours.
    pub automatic_tax: AutomaticTax,
    /// Where the shopper goes who won't pay.
    pub cancel_url: Option<String>,
    /// Your own id for it.
    pub client_reference_id: Option<String>,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: Option<String>,
    /// Always empty.
    pub custom_fields: Vec<String>,
    /// Always empty.
    pub custom_text: CustomText,
    /// Who pays.
    pub customer: Option<Expandable>,
    /// `always` for subscriptions, else `if_required`.
    pub customer_creation: Option<&'static str>,
    /// What the shopper wrote, masked.
    pub customer_details: Option<CustomerDetails>,
    /// Always empty.
    pub discounts: Vec<String>,
    /// Unix seconds.
    pub expires_at: i64,
    /// A subscription's first invoice.
    pub invoice: Option<Expandable>,
    /// Live or test.
    pub livemode: bool,
    /// `auto`, `ja` or `en`.
    pub locale: String,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// `payment`, `setup` or `subscription`.
    pub mode: &'static str,
    /// The payment.
    pub payment_intent: Option<Expandable>,
    /// Whether the card is asked for where nothing is to be paid: it is.
    pub payment_method_collection: Option<&'static str>,
    /// What it may be paid with.
    pub payment_method_types: Vec<CardWord>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: &'static str,
    /// Off.
    pub phone_number_collection: PhoneNumbers,
    /// The set-up.
    pub setup_intent: Option<Expandable>,
    /// Always empty.
    pub shipping_options: Vec<String>,
    /// `open`, `complete` or `expired`.
    pub status: &'static str,
    /// The subscription.
    pub subscription: Option<Expandable>,
    /// Where the shopper goes when done.
    pub success_url: String,
    /// Parts of the total.
    pub total_details: Option<TotalDetails>,
    /// Always `hosted_page`.
    pub ui_mode: &'static str,
    /// The page, while it is open.
    pub url: Option<String>,
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

/// Always empty.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct CustomText {
    #[serde(flatten)]
    unused: UnusedOfText,
}

/// What the shopper wrote.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerDetails {
    /// Masked.
    pub email: Option<String>,
    /// Always `none`.
    pub tax_exempt: &'static str,
    #[serde(flatten)]
    unused: UnusedOfCustomer,
}

/// Off.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct PhoneNumbers {
    /// Always false.
    pub enabled: bool,
}

/// Parts of the total.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct TotalDetails {
    /// Always 0.
    pub amount_discount: i64,
    /// Always 0.
    pub amount_shipping: i64,
    /// Always 0.
    pub amount_tax: i64,
}

/// A line of a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LineItem {
    /// `li_…`.
    pub id: String,
    /// `item`.
    pub object: ItemWord,
    /// Always 0.
    pub amount_discount: i64,
    /// Minor units.
    pub amount_subtotal: i64,
    /// Always 0.
    pub amount_tax: i64,
    /// Minor units.
    pub amount_total: i64,
    /// Three letters.
    pub currency: String,
    /// The product's name.
    pub description: Option<String>,
    /// What one costs.
    pub price: Price,
    /// How many.
    pub quantity: i64,
}

/// A line.
pub fn line_item(
    tenant: Tenant,
    of: CheckoutSessionId,
    place: usize,
    row: &SessionItem,
    at: &PriceRow,
    name: Option<String>,
) -> LineItem {
    let amount = at.unit_amount.saturating_mul(row.quantity);
    let letters = of.to_string();
    LineItem {
        id: format!("li_{}{place:02}", letters.trim_start_matches("cs_")),
        object: ItemWord::default(),
        amount_discount: 0,
        amount_subtotal: amount,
        amount_tax: 0,
        amount_total: amount,
        currency: at.currency.clone(),
        description: name,
        price: price(tenant, at),
        quantity: row.quantity,
    }
}

/// A session, and its page's address.
pub fn session(tenant: Tenant, row: &Row, invoice: Option<Expandable>, url: String) -> Session {
    let open = row.status == Status::Open;
    let payment_status = match (row.amount, row.status) {
        (None | Some(0), _) => "no_payment_required",
        (Some(_), Status::Complete) => "paid",
        (Some(_), Status::Open | Status::Expired) => "unpaid",
    };
    let money = row.mode != Mode::Setup;
    Session {
        id: row.id.to_string(),
        object: SessionWord::default(),
        amount_subtotal: row.amount,
        amount_total: row.amount,
        automatic_tax: AutomaticTax::default(),
        cancel_url: row.cancel_url.clone(),
        client_reference_id: row.client_reference.clone(),
        created: unix(row.created_at),
        currency: row.currency.clone(),
        custom_fields: Vec::new(),
        custom_text: CustomText::default(),
        customer: row.customer.map(Expandable::from),
        customer_creation: match row.mode {
            Mode::Payment => Some("if_required"),
            Mode::Setup => None,
            Mode::Subscription => Some("always"),
        },
        customer_details: row.email.clone().map(|email| CustomerDetails {
            email: Some(email),
            tax_exempt: "none",
            unused: UnusedOfCustomer::default(),
        }),
        discounts: Vec::new(),
        expires_at: unix(row.expires_at),
        invoice,
        livemode: tenant.livemode(),
        locale: row.locale.clone(),
        metadata: row.metadata.clone(),
        mode: row.mode.as_str(),
        payment_intent: row.intent.map(Expandable::from),
        payment_method_collection: (row.mode == Mode::Subscription).then_some("always"),
        payment_method_types: vec![CardWord::default()],
        payment_status,
        phone_number_collection: PhoneNumbers::default(),
        setup_intent: row.setup.map(Expandable::from),
        shipping_options: Vec::new(),
        status: row.status.as_str(),
        subscription: row.subscription.map(Expandable::from),
        success_url: row.success_url.clone(),
        total_details: money.then(TotalDetails::default),
        ui_mode: "hosted_page",
        url: open.then_some(url),
        unused: Unused::default(),
    }
}
