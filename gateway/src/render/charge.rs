//! Charges.

use kura_wire::ids::BalanceTransactionId;
use kura_wire::payer::PayerMethod;
use kura_wire::three_d_secure::{AuthenticationEnd, AuthenticationResult};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::card::{BillingDetails, UnknownWord, billing_details};
use super::{nulls, unix, word};
use crate::codes::Code;
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::cards::Card;
use crate::store::charges::Charge as Row;
use crate::store::methods::Method;
use crate::store::payers;

word!(ChargeWord, "charge");
nulls!(Unused {
    application,
    application_fee,
    application_fee_amount,
    calculated_statement_descriptor,
    failure_balance_transaction,
    on_behalf_of,
    receipt_email,
    receipt_number,
    receipt_url,
    review,
    shipping,
    source,
    source_transfer,
    statement_descriptor,
    statement_descriptor_suffix,
    transfer_data,
    transfer_group,
});
nulls!(UnusedOutcome { advice_code, network_advice_code });
nulls!(UnusedDetails { country, installments, mandate, wallet });
nulls!(UnusedProof { exemption_indicator, exemption_indicator_applied });

/// An answer of a network: money that was taken or authorized, or was refused.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Charge {
    /// `ch_…`.
    pub id: String,
    /// `charge`.
    pub object: ChargeWord,
    /// What was asked for, in minor units.
    pub amount: i64,
    /// What was taken.
    pub amount_captured: i64,
    /// What was given back or freed.
    pub amount_refunded: i64,
    /// What it did to your balance.
    pub balance_transaction: Option<Expandable>,
    /// Masked.
    pub billing_details: BillingDetails,
    /// Whether it was taken.
    pub captured: bool,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// The payment's customer.
    pub customer: Option<Expandable>,
    /// The payment's.
    pub description: Option<String>,
    /// Whether the cardholder disputes it.
    pub disputed: bool,
    /// Why it failed.
    pub failure_code: Option<&'static str>,
    /// The same in words.
    pub failure_message: Option<&'static str>,
    /// Always empty.
    pub fraud_details: Map<String, Value>,
    /// Live or test.
    pub livemode: bool,
    /// The payment's.
    pub metadata: Map<String, Value>,
    /// What the network said.
    pub outcome: Outcome,
    /// Whether it succeeded.
    pub paid: bool,
    /// Of this payment.
    pub payment_intent: Expandable,
    /// With this method.
    pub payment_method: Option<Expandable>,
    /// The method as it was then.
    pub payment_method_details: Option<MethodDetails>,
    /// Whether all of it was given back.
    pub refunded: bool,
    /// `succeeded` or `failed`.
    pub status: &'static str,
    #[serde(flatten)]
    unused: Unused,
}

/// What the network said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Outcome {
    /// The network's own code, where it refused.
    pub network_decline_code: Option<String>,
    /// `approved_by_network` or `declined_by_network`.
    pub network_status: &'static str,
    /// Why it refused.
    pub reason: Option<String>,
    /// Always `not_assessed`.
    pub risk_level: &'static str,
    /// For you, not for the shopper.
    pub seller_message: &'static str,
    /// `authorized` or `issuer_declined`.
    pub r#type: &'static str,
    #[serde(flatten)]
    unused: UnusedOutcome,
}

/// The method as it was at the charge.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MethodDetails {
    /// A card's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<CardDetails>,
    /// A deposit's at a convenience store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konbini: Option<KonbiniDetails>,
    /// A deposit's by bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payeasy: Option<PayeasyDetails>,
    /// A payment's from the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoney: Option<Map<String, Value>>,
    /// `card`, `konbini`, `payeasy`, `emoney`.
    pub r#type: &'static str,
}

/// A deposit at a convenience store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KonbiniDetails {
    /// Where.
    pub store: Option<Store>,
}

/// A convenience store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Store {
    /// `familymart`, `lawson`, `ministop`, `seicomart`.
    pub chain: Option<String>,
}

/// A deposit by bank.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PayeasyDetails {
    /// The bank, in one word.
    pub bank: Option<String>,
}

/// The card as it was at the charge.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CardDetails {
    /// Minor units.
    pub amount_authorized: Option<i64>,
    /// ISO 8583 field 38.
    pub authorization_code: Option<String>,
    /// `visa`, `jcb`, …
    pub brand: String,
    /// What the issuer checked.
    pub checks: Checks,
    /// 1 to 12.
    pub exp_month: i16,
    /// Four digits.
    pub exp_year: i16,
    /// The same for the same card of the same merchant.
    pub fingerprint: String,
    /// Not known.
    pub funding: UnknownWord,
    /// The first six or eight digits.
    pub iin: String,
    /// The last four digits.
    pub last4: String,
    /// Over which network.
    pub network: String,
    /// What the issuer said of the cardholder, where it was asked.
    pub three_d_secure: Option<ThreeDSecureDetails>,
    #[serde(flatten)]
    unused: UnusedDetails,
}

/// What the issuer said of the cardholder. Where it is `authenticated` or `attempt_acknowledged`, fraud is the issuer's loss.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ThreeDSecureDetails {
    /// `challenge` or `frictionless`; null where nobody was asked.
    pub authentication_flow: Option<&'static str>,
    /// Two digits, as the network was told.
    pub electronic_commerce_indicator: Option<String>,
    /// `authenticated`, `attempt_acknowledged`, `failed`, `not_supported`, `processing_error`.
    pub result: &'static str,
    /// Why it is no more than that.
    pub result_reason: Option<&'static str>,
    /// The issuer's id of it.
    pub transaction_id: Option<String>,
    /// Of the protocol.
    pub version: Option<&'static str>,
    #[serde(flatten)]
    unused: UnusedProof,
}

/// What the issuer checked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Checks {
    /// Not checked.
    pub address_line1_check: Option<String>,
    /// Not checked.
    pub address_postal_code_check: Option<String>,
    /// `pass`, `fail`, `unchecked`; null where there was no code.
    pub cvc_check: Option<String>,
}

/// A charge and its payment method.
pub fn charge(tenant: Tenant, row: &Row, method: Option<&Method>) -> Charge {
    let failure = row.decline_code.as_deref().map(Code::of_decline);
    // As Stripe does: what is freed without having been taken counts as refunded.
    let refunded = row.refunded_minor + row.released_minor;
    Charge {
        id: row.id.to_string(),
        object: ChargeWord::default(),
        amount: row.amount_minor,
        amount_captured: row.captured_minor,
        amount_refunded: refunded,
        // A balance transaction has the letters of what moved the balance.
        balance_transaction: row.captured.then(|| BalanceTransactionId::from_bytes(*row.id.as_bytes()).into()),
        billing_details: match method {
            Some(Method::Payer(payer)) => billing_details(payer),
            Some(Method::Card(_)) | None => BillingDetails::default(),
        },
        captured: row.captured,
        created: unix(row.created_at),
        currency: row.currency.clone(),
        customer: row.customer.map(Expandable::from),
        description: row.description.clone(),
        disputed: row.disputed,
        failure_code: failure.map(Code::as_str),
        failure_message: failure.map(Code::message),
        fraud_details: Map::new(),
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        outcome: outcome(row),
        paid: row.succeeded,
        payment_intent: row.intent.into(),
        payment_method: method.map(|method| method.id().into()),
        payment_method_details: method.map(|method| details(row, method)),
        refunded: row.succeeded && refunded == row.amount_minor,
        status: if row.succeeded { "succeeded" } else { "failed" },
        unused: Unused::default(),
    }
}

fn outcome(row: &Row) -> Outcome {
    let unused = UnusedOutcome::default();
    if row.succeeded {
        return Outcome {
            network_decline_code: None,
            network_status: "approved_by_network",
            reason: None,
            risk_level: "not_assessed",
            seller_message: "Payment complete.",
            r#type: "authorized",
            unused,
        };
    }
    Outcome {
        network_decline_code: row.response_code.clone(),
        network_status: "declined_by_network",
        reason: row.decline_code.clone(),
        risk_level: "not_assessed",
        seller_message: "The network did not approve the payment.",
        r#type: "issuer_declined",
        unused,
    }
}

fn details(row: &Row, method: &Method) -> MethodDetails {
    let mut details = MethodDetails { card: None, konbini: None, payeasy: None, emoney: None, r#type: "card" };
    match method {
        Method::Card(card) => details.card = Some(card_details(row, card)),
        Method::Payer(payer) => {
            details.r#type = payers::word(payer.method);
            match payer.method {
                PayerMethod::Konbini => {
                    let store = row.place.clone().map(|chain| Store { chain: Some(chain) });
                    details.konbini = Some(KonbiniDetails { store });
                }
                PayerMethod::Payeasy => details.payeasy = Some(PayeasyDetails { bank: row.place.clone() }),
                PayerMethod::Emoney => details.emoney = Some(Map::new()),
            }
        }
    }
    details
}

fn card_details(row: &Row, card: &Card) -> CardDetails {
    CardDetails {
        amount_authorized: row.succeeded.then_some(row.amount_minor),
        authorization_code: row.approval_code.clone(),
        brand: card.brand.clone(),
        checks: Checks { address_line1_check: None, address_postal_code_check: None, cvc_check: row.cvc_check.clone() },
        exp_month: card.exp_month,
        exp_year: card.exp_year,
        fingerprint: card.fingerprint.clone(),
        funding: UnknownWord::default(),
        iin: card.bin.clone(),
        last4: card.last_four.clone(),
        network: card.brand.clone(),
        three_d_secure: row.authentication.as_ref().map(three_d_secure),
        unused: UnusedDetails::default(),
    }
}

fn three_d_secure(end: &AuthenticationEnd) -> ThreeDSecureDetails {
    use AuthenticationResult as R;
    let (result, reason) = match end.result {
        R::Authenticated => ("authenticated", None),
        R::AttemptAcknowledged => ("attempt_acknowledged", None),
        R::Failed => ("failed", None),
        R::Rejected => ("failed", Some("rejected")),
        R::Unavailable => ("processing_error", Some("protocol_error")),
        R::NotSupported => ("not_supported", Some("card_not_enrolled")),
    };
    let took_place = !matches!(end.result, R::Unavailable | R::NotSupported);
    ThreeDSecureDetails {
        authentication_flow: took_place.then_some(end.flow.as_str()),
        electronic_commerce_indicator: end.eci.clone(),
        result,
        result_reason: reason,
        transaction_id: end.transaction_id.clone().filter(|_| took_place),
        version: took_place.then_some("2.2.0"),
        unused: UnusedProof::default(),
    }
}
