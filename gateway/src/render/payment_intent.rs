//! PaymentIntents.

use kura_wire::deposit::{Instructions, StoreChain};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::card::{self, PaymentMethod};
use super::{nulls, unix, word};
use crate::codes::Code;
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::deposits::Deposit;
use crate::store::methods::Method;
use crate::store::payment_intents::{FutureUsage, Intent, LastError, MethodType};

word!(IntentWord, "payment_intent");
word!(CardErrorWord, "card_error");
nulls!(Unused {
    application,
    application_fee_amount,
    on_behalf_of,
    payment_method_configuration_details,
    processing,
    review,
    shipping,
    source,
    statement_descriptor,
    statement_descriptor_suffix,
    transfer_data,
    transfer_group,
});
nulls!(UnusedOptions { installments, mandate_options, network });
nulls!(UnusedFuture { setup_future_usage });

/// A payment, from the wish to be paid to the money.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentIntent {
    /// `pi_…`.
    pub id: String,
    /// `payment_intent`.
    pub object: IntentWord,
    /// What is asked for, in minor units.
    pub amount: i64,
    /// Authorized and not captured.
    pub amount_capturable: i64,
    /// Always an empty tip.
    pub amount_details: AmountDetails,
    /// Captured.
    pub amount_received: i64,
    /// Where the methods are left to us.
    pub automatic_payment_methods: Option<AutomaticPaymentMethods>,
    /// Unix seconds.
    pub canceled_at: Option<i64>,
    /// Why it was called off.
    pub cancellation_reason: Option<String>,
    /// `automatic` or `manual`.
    pub capture_method: &'static str,
    /// What the shopper's page reads the payment by, with a publishable key. Null in events.
    pub client_secret: Option<String>,
    /// Always `automatic`.
    pub confirmation_method: &'static str,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Who pays.
    pub customer: Option<Expandable>,
    /// Your words.
    pub description: Option<String>,
    /// Why the last attempt brought nothing.
    pub last_payment_error: Option<LastPaymentError>,
    /// The network's last answer.
    pub latest_charge: Option<Expandable>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// What the shopper is to do.
    pub next_action: Option<NextAction>,
    /// How it is paid.
    pub payment_method: Option<Expandable>,
    /// What was said of each method.
    pub payment_method_options: PaymentMethodOptions,
    /// What it may be paid with.
    pub payment_method_types: Vec<&'static str>,
    /// Masked.
    pub receipt_email: Option<String>,
    /// For what the payment method is kept.
    pub setup_future_usage: Option<&'static str>,
    /// Where it stands.
    pub status: &'static str,
    #[serde(flatten)]
    unused: Unused,
}

/// What the shopper is to do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction {
    /// Go to a page.
    RedirectToUrl {
        /// Which.
        redirect_to_url: RedirectToUrl,
    },
    /// Go to a convenience store, and say these numbers.
    KonbiniDisplayDetails {
        /// Which.
        konbini_display_details: KonbiniDisplay,
    },
    /// Go to a bank's machine or pages, and type these numbers.
    PayeasyDisplayDetails {
        /// Which.
        payeasy_display_details: PayeasyDisplay,
    },
}

/// What to say at a convenience store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KonbiniDisplay {
    /// Until when. Unix seconds.
    pub expires_at: i64,
    /// A page with all of this.
    pub hosted_voucher_url: String,
    /// At each chain.
    pub stores: KonbiniStores,
}

/// What to say at each chain.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct KonbiniStores {
    /// FamilyMart.
    pub familymart: Option<StoreNumbers>,
    /// Lawson.
    pub lawson: Option<StoreNumbers>,
    /// Ministop.
    pub ministop: Option<StoreNumbers>,
    /// Seicomart.
    pub seicomart: Option<StoreNumbers>,
}

/// What to say at a chain.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreNumbers {
    /// The confirmation number, where the chain asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation_number: Option<String>,
    /// The payment number.
    pub payment_code: String,
}

/// What to type into a bank's machine or pages.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PayeasyDisplay {
    /// Five digits: who collects.
    pub collecting_agency_number: String,
    /// Six digits.
    pub confirmation_number: String,
    /// Up to twenty digits.
    pub customer_number: String,
    /// Until when. Unix seconds.
    pub expires_at: i64,
    /// A page with all of this.
    pub hosted_voucher_url: String,
}

/// Where the shopper is to go.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RedirectToUrl {
    /// Where the shopper goes afterwards.
    pub return_url: Option<String>,
    /// The issuer's, the bank's or the wallet's page.
    pub url: String,
}

impl NextAction {
    /// Go to this page.
    pub fn redirect(url: String, return_url: Option<String>) -> Self {
        Self::RedirectToUrl { redirect_to_url: RedirectToUrl { return_url, url } }
    }

    /// What a deposit's network said. `voucher` is our page that shows it. `None` where it has said nothing yet.
    pub fn deposit(deposit: &Deposit, voucher: String, return_url: Option<String>) -> Option<Self> {
        let expires_at = unix(deposit.expires_at);
        Some(match deposit.instructions.clone()? {
            Instructions::Konbini { stores, .. } => {
                let mut shown = KonbiniStores::default();
                for store in stores {
                    let numbers = StoreNumbers {
                        confirmation_number: store.confirmation_number,
                        payment_code: store.payment_code,
                    };
                    *match store.chain {
                        StoreChain::Familymart => &mut shown.familymart,
                        StoreChain::Lawson => &mut shown.lawson,
                        StoreChain::Ministop => &mut shown.ministop,
                        StoreChain::Seicomart => &mut shown.seicomart,
                    } = Some(numbers);
                }
                let konbini_display_details = KonbiniDisplay { expires_at, hosted_voucher_url: voucher, stores: shown };
                Self::KonbiniDisplayDetails { konbini_display_details }
            }
            Instructions::Payeasy { collecting_agency, customer_number, confirmation_number } => {
                Self::PayeasyDisplayDetails {
                    payeasy_display_details: PayeasyDisplay {
                        collecting_agency_number: collecting_agency,
                        confirmation_number,
                        customer_number,
                        expires_at,
                        hosted_voucher_url: voucher,
                    },
                }
            }
            Instructions::Emoney { url } => Self::redirect(url, return_url),
        })
    }
}

impl PaymentIntent {
    /// Without what is between the merchant and us: a shopper's page needs none of it.
    #[must_use]
    pub fn for_the_shopper(self) -> Self {
        Self { customer: None, latest_charge: None, metadata: Map::new(), ..self }
    }
}

/// Parts of the amount.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct AmountDetails {
    /// Always empty.
    pub tip: Map<String, Value>,
}

/// The methods are left to us.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AutomaticPaymentMethods {
    /// Always `always`.
    pub allow_redirects: &'static str,
    /// They are.
    pub enabled: bool,
}

impl Default for AutomaticPaymentMethods {
    fn default() -> Self {
        Self { allow_redirects: "always", enabled: true }
    }
}

/// What was said of each method.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentMethodOptions {
    /// Of cards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<CardOptions>,
    /// Of deposits at convenience stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konbini: Option<KonbiniOptions>,
    /// Of deposits by bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payeasy: Option<DepositTime>,
    /// Of payments from the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoney: Option<WalletTime>,
}

/// What was said of deposits at convenience stores.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KonbiniOptions {
    /// A number of your choice.
    pub confirmation_number: Option<String>,
    /// How many days the shopper has.
    pub expires_after_days: Option<u8>,
    /// Until when, exactly. Unix seconds.
    pub expires_at: Option<i64>,
    /// What stands on the receipt.
    pub product_description: Option<String>,
    #[serde(flatten)]
    unused: UnusedFuture,
}

/// How long a shopper has.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DepositTime {
    /// How many days.
    pub expires_after_days: Option<u8>,
    /// Until when, exactly. Unix seconds.
    pub expires_at: Option<i64>,
    /// What stands on the receipt.
    pub product_description: Option<String>,
}

/// How long a shopper has in the wallet.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WalletTime {
    /// Until when, exactly. Unix seconds.
    pub expires_at: Option<i64>,
}

/// What was said of cards.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CardOptions {
    /// When 3-D Secure is asked for.
    pub request_three_d_secure: &'static str,
    #[serde(flatten)]
    unused: UnusedOptions,
}

/// Why the last attempt brought nothing.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LastPaymentError {
    /// The failed charge, if the network answered.
    pub charge: Option<String>,
    /// Of the catalogue.
    pub code: String,
    /// The network's reason.
    pub decline_code: Option<String>,
    /// For the shopper.
    pub message: &'static str,
    /// The card that failed.
    pub payment_method: Option<PaymentMethod>,
    /// `card_error`.
    pub r#type: CardErrorWord,
}

/// A PaymentIntent, with the card that it names or that failed, and what the shopper is to do.
pub fn payment_intent(
    tenant: Tenant,
    intent: &Intent,
    method: Option<&Method>,
    next_action: Option<NextAction>,
) -> PaymentIntent {
    let progress = &intent.progress;
    let automatic = intent.automatic_payment_methods;
    PaymentIntent {
        id: intent.id.to_string(),
        object: IntentWord::default(),
        amount: progress.amount,
        amount_capturable: progress.capturable,
        amount_details: AmountDetails::default(),
        amount_received: progress.received,
        automatic_payment_methods: automatic.then(AutomaticPaymentMethods::default),
        canceled_at: intent.canceled_at.map(unix),
        cancellation_reason: intent.cancellation_reason.clone(),
        capture_method: progress.capture_method.as_str(),
        client_secret: None,
        confirmation_method: "automatic",
        created: unix(intent.created_at),
        currency: intent.currency.clone(),
        customer: intent.customer.map(Expandable::from),
        description: intent.description.clone(),
        last_payment_error: intent.last_error.as_ref().map(|error| last_error(tenant, error, method)),
        latest_charge: intent.latest_charge.map(Expandable::from),
        livemode: tenant.livemode(),
        metadata: intent.metadata.clone(),
        next_action,
        payment_method: intent.method().and(method).map(|method| method.id().into()),
        payment_method_options: options(intent),
        payment_method_types: intent.types.iter().map(|kind| kind.as_str()).collect(),
        receipt_email: intent.receipt_email.clone(),
        setup_future_usage: intent.future_usage.map(FutureUsage::as_str),
        status: progress.status.as_str(),
        unused: Unused::default(),
    }
}

fn options(intent: &Intent) -> PaymentMethodOptions {
    let said = &intent.deposit_options;
    let of = |kind| intent.types.contains(&kind);
    PaymentMethodOptions {
        card: of(MethodType::Card).then(|| CardOptions {
            request_three_d_secure: intent.three_d_secure.as_str(),
            unused: UnusedOptions::default(),
        }),
        konbini: of(MethodType::Konbini).then(|| KonbiniOptions {
            confirmation_number: said.konbini.confirmation_number.clone(),
            expires_after_days: said.konbini.expires_after_days,
            expires_at: said.konbini.expires_at,
            product_description: said.konbini.product_description.clone(),
            unused: UnusedFuture::default(),
        }),
        payeasy: of(MethodType::Payeasy).then(|| DepositTime {
            expires_after_days: said.payeasy.expires_after_days,
            expires_at: said.payeasy.expires_at,
            product_description: said.payeasy.product_description.clone(),
        }),
        emoney: of(MethodType::Emoney).then_some(WalletTime { expires_at: said.emoney.expires_at }),
    }
}

/// The words of a stored error.
pub fn message_of(error: &LastError) -> &'static str {
    if error.decline_code.as_deref() == Some("insufficient_funds") {
        return "Your card has insufficient funds.";
    }
    Code::of_word(&error.code).unwrap_or(Code::CardDeclined).message()
}

fn last_error(tenant: Tenant, error: &LastError, failed: Option<&Method>) -> LastPaymentError {
    LastPaymentError {
        charge: error.charge.map(|id| id.to_string()),
        code: error.code.clone(),
        decline_code: error.decline_code.clone(),
        message: message_of(error),
        payment_method: failed.map(|failed| card::method(tenant, failed)),
        r#type: CardErrorWord::default(),
    }
}
