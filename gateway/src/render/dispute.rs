//! Disputes.

use kura_wire::dispute::DisputeState;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::balance::{self, BalanceTransaction};
use super::{nulls, unix, word};
use crate::domain::dispute::word as state_word;
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::balance::BalanceTransaction as Moved;
use crate::store::disputes::Dispute as Row;

word!(DisputeWord, "dispute");
word!(ManualWord, "manual");
nulls!(Unused { network_reason_code, payment_method_details });
// What was said is passed on and not kept.
nulls!(NotKept {
    access_activity_log,
    billing_address,
    cancellation_policy,
    cancellation_policy_disclosure,
    cancellation_rebuttal,
    customer_communication,
    customer_email_address,
    customer_name,
    customer_purchase_ip,
    customer_signature,
    duplicate_charge_documentation,
    duplicate_charge_explanation,
    duplicate_charge_id,
    product_description,
    receipt,
    refund_policy,
    refund_policy_disclosure,
    refund_refusal_explanation,
    service_date,
    service_documentation,
    shipping_address,
    shipping_carrier,
    shipping_date,
    shipping_documentation,
    shipping_tracking_number,
    uncategorized_file,
    uncategorized_text,
});

/// What was said: passed on, and not kept.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Evidence {
    /// Always empty.
    pub enhanced_evidence: Map<String, Value>,
    #[serde(flatten)]
    unused: NotKept,
}

/// A cardholder wants money back from the issuer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Dispute {
    /// `dp_…`.
    pub id: String,
    /// `dispute`.
    pub object: DisputeWord,
    /// How much of the payment, in minor units.
    pub amount: i64,
    /// What it did to your balance: money that went, and perhaps came back.
    pub balance_transactions: Vec<BalanceTransaction>,
    /// About this charge.
    pub charge: Expandable,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Always empty.
    pub enhanced_eligibility_types: [(); 0],
    /// Not kept: what you say is passed on to the network.
    pub evidence: Evidence,
    /// Whether you have answered, and until when you may.
    pub evidence_details: EvidenceDetails,
    /// `manual`: by you.
    pub intended_submission_method: ManualWord,
    /// A charge can't be refunded while it is disputed.
    pub is_charge_refundable: bool,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// About this payment.
    pub payment_intent: Option<Expandable>,
    /// What the cardholder says.
    pub reason: String,
    /// `needs_response`, `under_review`, `won` or `lost`.
    pub status: &'static str,
    #[serde(flatten)]
    unused: Unused,
}

/// Whether it was answered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EvidenceDetails {
    /// Unix seconds: until then it may be answered.
    pub due_by: Option<i64>,
    /// Always empty.
    pub enhanced_eligibility: Map<String, Value>,
    /// Whether your evidence reached the network.
    pub has_evidence: bool,
    /// The time is over, and there was no answer.
    pub past_due: bool,
    /// How often evidence was sent: once at the most.
    pub submission_count: i64,
    /// By you.
    pub submission_method: ManualWord,
}

/// As the API shows it at this moment.
pub fn dispute(tenant: Tenant, row: &Row, moved: &[Moved], at: OffsetDateTime) -> Dispute {
    let open = row.state == DisputeState::NeedsResponse;
    Dispute {
        id: row.id.to_string(),
        object: DisputeWord::default(),
        amount: row.amount_minor,
        balance_transactions: moved.iter().map(|one| balance::transaction(one, at)).collect(),
        charge: row.charge.into(),
        created: unix(row.created_at),
        currency: row.currency.clone(),
        enhanced_eligibility_types: [],
        evidence: Evidence::default(),
        evidence_details: EvidenceDetails {
            due_by: open.then(|| unix(row.respond_by)),
            enhanced_eligibility: Map::new(),
            has_evidence: row.has_evidence,
            past_due: !row.has_evidence && row.respond_by <= at,
            submission_count: i64::from(row.has_evidence),
            submission_method: ManualWord::default(),
        },
        intended_submission_method: ManualWord::default(),
        is_charge_refundable: false,
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        payment_intent: Some(row.intent.into()),
        reason: row.reason.clone(),
        status: state_word(row.state),
        unused: Unused::default(),
    }
}
