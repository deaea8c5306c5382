//! Balances, and what moved them.

use std::collections::BTreeMap;

use kura_wire::ids::{ChargeId, DisputeId, RefundId};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use super::{nulls, unix, word};
use crate::endpoint::expand::Expandable;
use crate::store::Tenant;
use crate::store::balance::{BalanceTransaction as Row, Sum};

word!(BalanceWord, "balance");
word!(BalanceTransactionWord, "balance_transaction");
word!(PaymentsWord, "payments");
nulls!(Unused { description, exchange_rate });

/// What moved your balance.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BalanceTransaction {
    /// `txn_…`.
    pub id: String,
    /// `balance_transaction`.
    pub object: BalanceTransactionWord,
    /// Minor units: to you, or from you where negative.
    pub amount: i64,
    /// Unix seconds: from then on it counts as available.
    pub available_on: i64,
    /// `payments`.
    pub balance_type: PaymentsWord,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Always 0.
    pub fee: i64,
    /// Always empty.
    pub fee_details: [(); 0],
    /// The amount less the fee.
    pub net: i64,
    /// `charge`, `refund`, `dispute` or `dispute_reversal`.
    pub reporting_category: &'static str,
    /// The charge, the refund or the dispute behind it.
    pub source: Expandable,
    /// `available` or `pending`.
    pub status: &'static str,
    /// `charge`, `payment` (without a card), `refund`, `payment_refund` or `adjustment` (a dispute).
    pub r#type: &'static str,
    #[serde(flatten)]
    unused: Unused,
}

/// As the API shows it at this moment.
pub fn transaction(row: &Row, at: OffsetDateTime) -> BalanceTransaction {
    let (kind, category, source) = match (row.kind.as_str(), row.by_card) {
        ("refund", true) => ("refund", "refund", RefundId::from_bytes(row.source).into()),
        ("refund", false) => ("payment_refund", "refund", RefundId::from_bytes(row.source).into()),
        ("dispute", _) => ("adjustment", "dispute", DisputeId::from_bytes(row.source).into()),
        ("dispute_reversal", _) => ("adjustment", "dispute_reversal", DisputeId::from_bytes(row.source).into()),
        (_, true) => ("charge", "charge", ChargeId::from_bytes(row.source).into()),
        (_, false) => ("payment", "charge", ChargeId::from_bytes(row.source).into()),
    };
    BalanceTransaction {
        id: row.id.to_string(),
        object: BalanceTransactionWord::default(),
        amount: row.amount_minor,
        available_on: unix(row.available_at),
        balance_type: PaymentsWord::default(),
        created: unix(row.created_at),
        currency: row.currency.clone(),
        fee: 0,
        fee_details: [],
        net: row.amount_minor,
        reporting_category: category,
        source,
        status: if row.available_at <= at { "available" } else { "pending" },
        r#type: kind,
        unused: Unused::default(),
    }
}

/// What you have.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Balance {
    /// `balance`.
    pub object: BalanceWord,
    /// What the networks have paid.
    pub available: Vec<Amount>,
    /// Live or test.
    pub livemode: bool,
    /// What they have not paid yet.
    pub pending: Vec<Amount>,
}

/// Of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Amount {
    /// Minor units; negative where you owe.
    pub amount: i64,
    /// Three letters.
    pub currency: String,
    /// Where it comes from.
    pub source_types: SourceTypes,
}

/// Where money comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceTypes {
    /// Stores, banks and wallets.
    pub bank_account: i64,
    /// Cards.
    pub card: i64,
}

/// As the API shows it. Who has nothing has nothing in yen.
pub fn balance(tenant: Tenant, sums: &[Sum]) -> Balance {
    let (mut available, mut pending) = (BTreeMap::new(), BTreeMap::new());
    for sum in sums {
        for (all, minor) in [(&mut available, sum.available_minor), (&mut pending, sum.pending_minor)] {
            let types: &mut SourceTypes = all.entry(sum.currency.clone()).or_default();
            *if sum.by_card { &mut types.card } else { &mut types.bank_account } += minor;
        }
    }
    let amounts = |all: BTreeMap<String, SourceTypes>| {
        let all = if all.is_empty() { BTreeMap::from([("jpy".to_owned(), SourceTypes::default())]) } else { all };
        let amount = |(currency, types): (String, SourceTypes)| Amount {
            amount: types.card + types.bank_account,
            currency,
            source_types: types,
        };
        all.into_iter().map(amount).collect()
    };
    Balance {
        object: BalanceWord::default(),
        available: amounts(available),
        livemode: tenant.livemode(),
        pending: amounts(pending),
    }
}
