//! Invoices and their lines.

use kura_wire::ids::InvoiceId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{nulls, unix, word};
use crate::domain::invoice::{Collection, Reason, Status};
use crate::endpoint::expand::Expandable;
use crate::endpoint::list::List;
use crate::store::invoice_lines::Line as LineRow;
use crate::store::invoices::Invoice as Row;
use crate::store::{Listed, Tenant};

word!(InvoiceWord, "invoice");
word!(LineWord, "line_item");
word!(PaymentWord, "invoice_payment");
word!(PaymentIntentWord, "payment_intent");
nulls!(Unused {
    account_country,
    account_name,
    account_tax_ids,
    application,
    custom_fields,
    customer_address,
    customer_email,
    customer_name,
    customer_phone,
    customer_shipping,
    default_payment_method,
    default_source,
    footer,
    from_invoice,
    hosted_invoice_url,
    invoice_pdf,
    last_finalization_error,
    latest_revision,
    on_behalf_of,
    receipt_number,
    rendering,
    shipping_cost,
    shipping_details,
    statement_descriptor,
    threshold_reason,
    webhooks_delivered_at,
});
nulls!(UnusedOfTax { disabled_reason, liability, provider, status });
nulls!(UnusedOfSettings { default_mandate, payment_method_options, payment_method_types });
nulls!(UnusedOfParent { quote_details });
nulls!(UnusedOfSubscription { subscription_proration_date });
nulls!(UnusedOfLine { pretax_credit_amounts });
nulls!(UnusedOfItem { proration_details });

/// What a customer owes for a while.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Invoice {
    /// `in_…`; null in a preview.
    pub id: Option<String>,
    /// `invoice`.
    pub object: InvoiceWord,
    /// What is asked for: the total less what the customer's credit took.
    pub amount_due: i64,
    /// Always 0.
    pub amount_overpaid: i64,
    /// What was paid.
    pub amount_paid: i64,
    /// What was not.
    pub amount_remaining: i64,
    /// Always 0.
    pub amount_shipping: i64,
    /// Tries that were made to pay it.
    pub attempt_count: i32,
    /// Whether one was.
    pub attempted: bool,
    /// It goes on by itself.
    pub auto_advance: bool,
    /// Off: tax is no business of ours.
    pub automatic_tax: AutomaticTax,
    /// Unix seconds.
    pub automatically_finalizes_at: Option<i64>,
    /// Why it was made.
    pub billing_reason: &'static str,
    /// `charge_automatically`, or `send_invoice`: the customer pays by a day.
    pub collection_method: &'static str,
    /// What the shopper's page pays an open invoice with. Null unless it was named in `expand`.
    pub confirmation_secret: Option<ConfirmationSecret>,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Who owes it.
    pub customer: Expandable,
    /// Always `none`.
    pub customer_tax_exempt: &'static str,
    /// Always empty.
    pub customer_tax_ids: Vec<String>,
    /// Always empty.
    pub default_tax_rates: Vec<String>,
    /// Your words.
    pub description: Option<String>,
    /// Always empty.
    pub discounts: Vec<String>,
    /// Until when one that is sent is to be paid. Unix seconds.
    pub due_date: Option<i64>,
    /// Unix seconds.
    pub effective_at: Option<i64>,
    /// The customer's balance after it.
    pub ending_balance: Option<i64>,
    /// You.
    pub issuer: Issuer,
    /// What it is for.
    pub lines: List<Line>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// Unix seconds.
    pub next_payment_attempt: Option<i64>,
    /// Given when it is final.
    pub number: Option<String>,
    /// What it came from.
    pub parent: Option<Parent>,
    /// As they are set.
    pub payment_settings: PaymentSettings,
    /// How it is paid.
    pub payments: List<InvoicePayment>,
    /// Unix seconds.
    pub period_end: i64,
    /// Unix seconds.
    pub period_start: i64,
    /// Always 0.
    pub post_payment_credit_notes_amount: i64,
    /// Always 0.
    pub pre_payment_credit_notes_amount: i64,
    /// The customer's balance before it.
    pub starting_balance: i64,
    /// Where it stands.
    pub status: &'static str,
    /// When it came there.
    pub status_transitions: Transitions,
    /// The sum of its lines.
    pub subtotal: i64,
    /// The same.
    pub subtotal_excluding_tax: i64,
    /// The clock that it lives by.
    pub test_clock: Option<Expandable>,
    /// The sum of its lines.
    pub total: i64,
    /// Always empty.
    pub total_discount_amounts: Vec<String>,
    /// The same as the total.
    pub total_excluding_tax: i64,
    /// Always empty.
    pub total_pretax_credit_amounts: Vec<String>,
    /// Always empty.
    pub total_taxes: Vec<String>,
    #[serde(flatten)]
    unused: Unused,
}

/// What the shopper's page pays an invoice with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConfirmationSecret {
    /// That of the invoice's payment.
    pub client_secret: String,
    /// Always `payment_intent`.
    pub r#type: PaymentIntentWord,
}

/// What is left of a deleted draft.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeletedInvoice {
    /// `in_…`.
    pub id: String,
    /// `invoice`.
    pub object: InvoiceWord,
    /// True.
    pub deleted: bool,
}

impl DeletedInvoice {
    /// Of this one.
    pub fn of(id: InvoiceId) -> Self {
        Self { id: id.to_string(), object: InvoiceWord::default(), deleted: true }
    }
}

/// Off.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct AutomaticTax {
    /// Always false.
    pub enabled: bool,
    #[serde(flatten)]
    unused: UnusedOfTax,
}

/// Who issues it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Issuer {
    /// Always `self`.
    pub r#type: &'static str,
}

/// Always empty.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct PaymentSettings {
    #[serde(flatten)]
    unused: UnusedOfSettings,
}

/// What an invoice came from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Parent {
    /// Always `subscription_details`.
    pub r#type: &'static str,
    /// Which subscription.
    pub subscription_details: SubscriptionDetails,
    #[serde(flatten)]
    unused: UnusedOfParent,
}

/// Which subscription.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SubscriptionDetails {
    /// Its data when the invoice was made.
    pub metadata: Map<String, Value>,
    /// `sub_…`.
    pub subscription: Expandable,
    #[serde(flatten)]
    unused: UnusedOfSubscription,
}

/// When an invoice changed its status.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Transitions {
    /// Unix seconds.
    pub finalized_at: Option<i64>,
    /// Unix seconds.
    pub marked_uncollectible_at: Option<i64>,
    /// Unix seconds.
    pub paid_at: Option<i64>,
    /// Unix seconds.
    pub voided_at: Option<i64>,
}

/// How an invoice is paid.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InvoicePayment {
    /// `inpay_…`.
    pub id: String,
    /// `invoice_payment`.
    pub object: PaymentWord,
    /// What was paid.
    pub amount_paid: Option<i64>,
    /// What is asked for.
    pub amount_requested: i64,
    /// Unix seconds.
    pub created: i64,
    /// Three letters.
    pub currency: String,
    /// Which invoice.
    pub invoice: Expandable,
    /// Always true.
    pub is_default: bool,
    /// Live or test.
    pub livemode: bool,
    /// By what.
    pub payment: Payment,
    /// `open`, `paid` or `canceled`.
    pub status: &'static str,
    /// When it came there.
    pub status_transitions: PaymentTransitions,
}

/// By what an invoice is paid.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Payment {
    /// `pi_…`.
    pub payment_intent: Expandable,
    /// Always `payment_intent`.
    pub r#type: &'static str,
}

/// When an invoice's payment changed its status.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentTransitions {
    /// Unix seconds.
    pub canceled_at: Option<i64>,
    /// Unix seconds.
    pub paid_at: Option<i64>,
}

/// A line of an invoice.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Line {
    /// `il_…`.
    pub id: String,
    /// `line_item`.
    pub object: LineWord,
    /// Less than nothing is owed to the customer.
    pub amount: i64,
    /// Three letters.
    pub currency: String,
    /// What the customer reads.
    pub description: Option<String>,
    /// Always empty.
    pub discount_amounts: Vec<String>,
    /// Always false.
    pub discountable: bool,
    /// Always empty.
    pub discounts: Vec<String>,
    /// On which invoice.
    pub invoice: Option<String>,
    /// Live or test.
    pub livemode: bool,
    /// Your data.
    pub metadata: Map<String, Value>,
    /// What it came from.
    pub parent: LineParent,
    /// For which time.
    pub period: Period,
    /// By which price.
    pub pricing: Option<Pricing>,
    /// How many.
    pub quantity: i64,
    /// The same as text.
    pub quantity_decimal: String,
    /// For which subscription.
    pub subscription: Option<Expandable>,
    /// The same as the amount.
    pub subtotal: i64,
    /// Always empty.
    pub taxes: Vec<String>,
    #[serde(flatten)]
    unused: UnusedOfLine,
}

/// What a line came from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LineParent {
    /// An item of a subscription.
    SubscriptionItemDetails {
        /// Always null.
        invoice_item_details: (),
        /// Which.
        subscription_item_details: ItemDetails,
    },
    /// What was written down for the customer's next invoice.
    InvoiceItemDetails {
        /// Which.
        invoice_item_details: ItemDetails,
        /// Always null.
        subscription_item_details: (),
    },
}

/// Which item, and whether it is for a part of a period.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ItemDetails {
    /// `ii_…`, where it waited for its invoice.
    pub invoice_item: Option<String>,
    /// For a part of a period.
    pub proration: bool,
    /// `sub_…`.
    pub subscription: Option<String>,
    /// `si_…`.
    pub subscription_item: Option<String>,
    #[serde(flatten)]
    unused: UnusedOfItem,
}

/// For which time.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Period {
    /// Unix seconds.
    pub end: i64,
    /// Unix seconds.
    pub start: i64,
}

/// By which price.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Pricing {
    /// Which.
    pub price_details: PriceDetails,
    /// Always `price_details`.
    pub r#type: &'static str,
    /// Of one, as text.
    pub unit_amount_decimal: Option<String>,
}

/// Which price.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PriceDetails {
    /// `price_…`.
    pub price: String,
    /// `prod_…`.
    pub product: Option<String>,
}

/// The part of an id behind its prefix, under another one.
fn renamed(id: &str, prefix: &str) -> String {
    format!("{prefix}_{}", id.rsplit('_').next().unwrap_or_default())
}

/// By which price a line is.
pub fn pricing(row: &LineRow) -> Option<Pricing> {
    let details = row.price.map(|price| PriceDetails {
        price: price.to_string(),
        product: row.product.map(|product| product.to_string()),
    });
    let unit_amount_decimal = row.unit_amount.map(|amount| amount.to_string());
    details.map(|price_details| Pricing { price_details, r#type: "price_details", unit_amount_decimal })
}

/// A line.
pub fn line(tenant: Tenant, row: &LineRow) -> Line {
    let details = ItemDetails {
        invoice_item: row.waited.then(|| renamed(&row.id.to_string(), "ii")),
        proration: row.proration,
        subscription: row.subscription.map(|id| id.to_string()),
        subscription_item: row.item.map(|id| id.to_string()),
        unused: UnusedOfItem::default(),
    };
    Line {
        id: row.id.to_string(),
        object: LineWord::default(),
        amount: row.amount,
        currency: row.currency.clone(),
        description: row.description.clone(),
        discount_amounts: Vec::new(),
        discountable: false,
        discounts: Vec::new(),
        invoice: row.invoice.map(|id| id.to_string()),
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        parent: if row.item.is_some() {
            LineParent::SubscriptionItemDetails { invoice_item_details: (), subscription_item_details: details }
        } else {
            LineParent::InvoiceItemDetails { invoice_item_details: details, subscription_item_details: () }
        },
        period: Period { end: unix(row.period_end_at), start: unix(row.period_start_at) },
        pricing: pricing(row),
        quantity: row.quantity,
        quantity_decimal: row.quantity.to_string(),
        subscription: row.subscription.map(Expandable::from),
        subtotal: row.amount,
        taxes: Vec::new(),
        unused: UnusedOfLine::default(),
    }
}

fn payments(tenant: Tenant, row: &Row) -> Vec<InvoicePayment> {
    let Some(intent) = row.intent else { return Vec::new() };
    let paid = (row.status == Status::Paid).then_some(row.amount_paid);
    let payment = InvoicePayment {
        id: renamed(&intent.to_string(), "inpay"),
        object: PaymentWord::default(),
        amount_paid: paid,
        amount_requested: row.amount_due,
        created: unix(row.finalized_at.unwrap_or(row.created_at)),
        currency: row.currency.clone(),
        invoice: row.id.into(),
        is_default: true,
        livemode: tenant.livemode(),
        payment: Payment { payment_intent: intent.into(), r#type: "payment_intent" },
        status: match row.status {
            Status::Paid => "paid",
            Status::Void => "canceled",
            Status::Draft | Status::Open | Status::Uncollectible => "open",
        },
        status_transitions: PaymentTransitions { canceled_at: row.voided_at.map(unix), paid_at: row.paid_at.map(unix) },
    };
    vec![payment]
}

/// When it is tried by itself: what is sent never is.
fn next_payment_attempt(row: &Row) -> Option<i64> {
    let tried = match row.status {
        Status::Open => true,
        Status::Draft => row.reason != Reason::Manual,
        Status::Paid | Status::Uncollectible | Status::Void => false,
    };
    let charged = row.collection() == Collection::ChargeAutomatically;
    row.due_at.filter(|_| tried && charged).map(unix)
}

fn parent(row: &Row) -> Option<Parent> {
    row.subscription.map(|id| Parent {
        r#type: "subscription_details",
        subscription_details: SubscriptionDetails {
            metadata: row.subscription_metadata.clone(),
            subscription: id.into(),
            unused: UnusedOfSubscription::default(),
        },
        unused: UnusedOfParent::default(),
    })
}

/// An invoice with its lines.
pub fn invoice(tenant: Tenant, row: &Row, lines: &[LineRow]) -> Invoice {
    let draft = row.status == Status::Draft;
    let shown: Vec<Line> =
        lines.iter().filter(|line| line.invoice == Some(row.id)).map(|row| line(tenant, row)).collect();
    Invoice {
        id: Some(row.id.to_string()),
        object: InvoiceWord::default(),
        amount_due: row.amount_due,
        amount_overpaid: 0,
        amount_paid: row.amount_paid,
        amount_remaining: row.amount_due - row.amount_paid,
        amount_shipping: 0,
        attempt_count: row.tries,
        attempted: row.tries > 0 || row.status == Status::Paid,
        auto_advance: row.auto_advance,
        automatic_tax: AutomaticTax::default(),
        automatically_finalizes_at: row.due_at.filter(|_| draft).map(unix),
        billing_reason: row.reason.as_str(),
        collection_method: row.collection().as_str(),
        confirmation_secret: None,
        created: unix(row.created_at),
        currency: row.currency.clone(),
        customer: row.customer.into(),
        customer_tax_exempt: "none",
        customer_tax_ids: Vec::new(),
        default_tax_rates: Vec::new(),
        description: row.description.clone(),
        discounts: Vec::new(),
        due_date: row.payable_until_at.map(unix),
        effective_at: row.finalized_at.map(unix),
        ending_balance: row.ending_balance,
        issuer: Issuer { r#type: "self" },
        lines: List::new(format!("/v1/invoices/{}/lines", row.id), Listed { items: shown, has_more: false }),
        livemode: tenant.livemode(),
        metadata: row.metadata.clone(),
        next_payment_attempt: next_payment_attempt(row),
        number: row.number.clone(),
        parent: parent(row),
        payment_settings: PaymentSettings::default(),
        payments: List::new(
            format!("/v1/invoice_payments?invoice={}", row.id),
            Listed { items: payments(tenant, row), has_more: false },
        ),
        period_end: unix(row.period_end_at),
        period_start: unix(row.period_start_at),
        post_payment_credit_notes_amount: 0,
        pre_payment_credit_notes_amount: 0,
        starting_balance: row.starting_balance,
        status: row.status.as_str(),
        status_transitions: Transitions {
            finalized_at: row.finalized_at.map(unix),
            marked_uncollectible_at: row.uncollectible_at.map(unix),
            paid_at: row.paid_at.map(unix),
            voided_at: row.voided_at.map(unix),
        },
        subtotal: row.total,
        subtotal_excluding_tax: row.total,
        test_clock: row.test_clock.map(Expandable::from),
        total: row.total,
        total_discount_amounts: Vec::new(),
        total_excluding_tax: row.total,
        total_pretax_credit_amounts: Vec::new(),
        total_taxes: Vec::new(),
        unused: Unused::default(),
    }
}
