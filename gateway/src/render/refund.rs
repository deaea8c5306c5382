//! Refunds.

use kura_wire::ids::BalanceTransactionId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::refunds::Refund as Row;

word!(RefundWord, "refund");
word!(RefundType, "refund");
word!(ReferenceType, "retrieval_reference_number");
nulls!(Unused { receipt_number, source_transfer_reversal, transfer_reversal });

/// Money that goes back.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Refund {
    /// `re_…`.
    pub id: String,
    /// `refund`.
    pub object: RefundWord,
    /// Minor units.
    pub amount: i64,
    /// What it did to your balance.
    pub balance_transaction: Option<Expandable>,
    /// Of this charge.
    pub charge: Expandable,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Where it goes.
    pub destination_details: DestinationDetails,
    /// Why it failed, where it did.
    pub failure_reason: Option<String>,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// Of this payment.
    pub payment_intent: Expandable,
    /// Your reason.
    pub reason: Option<String>,
    /// `pending`, `succeeded` or `failed`.
    pub status: String,
    #[serde(flatten)]
    unused: Unused,
}

/// Where a refund goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DestinationDetails {
    /// To the card that was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<CardDestination>,
    /// To who paid at a convenience store, by bank transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konbini: Option<DepositDestination>,
    /// To who paid by bank, by bank transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payeasy: Option<DepositDestination>,
    /// To the wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoney: Option<DepositDestination>,
    /// `card`, `konbini`, `payeasy`, `emoney`.
    pub r#type: String,
}

/// To the card that was charged.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CardDestination {
    /// What the network knows it by.
    pub reference: String,
    /// `available` or `pending`.
    pub reference_status: &'static str,
    /// What kind of reference it is.
    pub reference_type: ReferenceType,
    /// `refund`.
    pub r#type: RefundType,
}

/// Back to who made a deposit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DepositDestination {
    /// What the network knows it by.
    pub reference: String,
    /// `available` or `pending`.
    pub reference_status: &'static str,
}

fn destination(row: &Row) -> DestinationDetails {
    let (reference, reference_status) =
        (row.network_reference.clone(), if row.status == "succeeded" { "available" } else { "pending" });
    let card = (row.method == "card").then(|| CardDestination {
        reference: reference.clone(),
        reference_status,
        reference_type: ReferenceType::default(),
        r#type: RefundType::default(),
    });
    let deposit = |method: &str| {
        (row.method == method).then(|| DepositDestination { reference: reference.clone(), reference_status })
    };
    DestinationDetails {
        card,
        konbini: deposit("konbini"),
        payeasy: deposit("payeasy"),
        emoney: deposit("emoney"),
        r#type: row.method.clone(),
    }
}

/// As the API shows it.
pub fn refund(row: &Row) -> Refund {
    Refund {
        id: row.id.to_string(),
        object: RefundWord::default(),
        amount: row.amount_minor,
        balance_transaction: (row.status == "succeeded")
            .then(|| BalanceTransactionId::from_bytes(*row.id.as_bytes()).into()),
        charge: row.charge.into(),
        created: unix(row.created_at),
        currency: row.currency.clone(),
        destination_details: destination(row),
        failure_reason: row.failure_reason.clone(),
        metadata: row.metadata.clone(),
        payment_intent: row.intent.into(),
        reason: row.reason.clone(),
        status: row.status.clone(),
        unused: Unused::default(),
    }
}
