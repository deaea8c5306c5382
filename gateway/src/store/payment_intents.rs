//! Table `payment_intents`.

use kura_platform::clock;
use kura_wire::ids::{ChargeId, CustomerId, InvoiceId, PayerId, PaymentIntentId, TokenUse};
use kura_wire::payer::PayerMethod;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::methods::MethodRef;
use super::{Conn, Cursor, Listed, Page, Tenant, column, object, page_of, uuid};
use crate::domain::payment_intent::{CaptureMethod, InFlight, Progress, Status};

/// The card named for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedCard {
    /// The vault's record.
    pub record: [u8; 16],
    /// By which of its names it is used.
    pub allows: TokenUse,
}

/// Why the last attempt brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// Of the catalogue.
    pub code: String,
    /// The network's reason.
    pub decline_code: Option<String>,
    /// The failed charge, if the network answered.
    pub charge: Option<ChargeId>,
    /// The card, or who was to pay without one.
    pub method: MethodRef,
}

/// When 3-D Secure is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ThreeDSecure {
    /// When the issuer wants it.
    #[default]
    Automatic,
    /// Always, with or without a challenge.
    Any,
    /// Always, with a challenge.
    Challenge,
}

impl ThreeDSecure {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Any => "any",
            Self::Challenge => "challenge",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Automatic, Self::Any, Self::Challenge].into_iter().find(|when| when.as_str() == word)
    }
}

/// For what a payment method is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FutureUsage {
    /// With the shopper there.
    OnSession,
    /// Without.
    OffSession,
}

impl FutureUsage {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnSession => "on_session",
            Self::OffSession => "off_session",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::OnSession, Self::OffSession].into_iter().find(|usage| usage.as_str() == word)
    }
}

/// With what a payment may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodType {
    /// A card.
    Card,
    /// At a convenience store.
    Konbini,
    /// By bank (Pay-easy).
    Payeasy,
    /// From a wallet.
    Emoney,
}

impl MethodType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Card, Self::Konbini, Self::Payeasy, Self::Emoney];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Konbini => "konbini",
            Self::Payeasy => "payeasy",
            Self::Emoney => "emoney",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// How a payer pays; `None` for cards.
    pub const fn deposit(self) -> Option<PayerMethod> {
        match self {
            Self::Card => None,
            Self::Konbini => Some(PayerMethod::Konbini),
            Self::Payeasy => Some(PayerMethod::Payeasy),
            Self::Emoney => Some(PayerMethod::Emoney),
        }
    }
}

impl From<PayerMethod> for MethodType {
    fn from(method: PayerMethod) -> Self {
        match method {
            PayerMethod::Konbini => Self::Konbini,
            PayerMethod::Payeasy => Self::Payeasy,
            PayerMethod::Emoney => Self::Emoney,
        }
    }
}

fn words(types: &[MethodType]) -> Vec<String> {
    types.iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// What a merchant says of deposits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositOptions {
    /// At convenience stores.
    #[serde(default)]
    pub konbini: DepositTerms,
    /// By bank.
    #[serde(default)]
    pub payeasy: DepositTerms,
    /// From the wallet.
    #[serde(default)]
    pub emoney: DepositTerms,
}

impl DepositOptions {
    /// Of one method.
    pub const fn of(&self, method: PayerMethod) -> &DepositTerms {
        match method {
            PayerMethod::Konbini => &self.konbini,
            PayerMethod::Payeasy => &self.payeasy,
            PayerMethod::Emoney => &self.emoney,
        }
    }
}

/// What a merchant says of deposits over one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositTerms {
    /// Konbini: a number of the merchant's choice, 10 or 11 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_number: Option<String>,
    /// How many days the shopper has: until the end of the last one, in Japan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_days: Option<u8>,
    /// Until when, exactly. Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// What stands on the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_description: Option<String>,
}

fn deposit_options(intent: &Intent) -> sqlx::Result<Value> {
    serde_json::to_value(&intent.deposit_options).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A PaymentIntent.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Its id.
    pub id: PaymentIntentId,
    /// How far it is. `in_flight` is known only where the attempt was read with it.
    pub progress: Progress,
    /// Three lower-case letters.
    pub currency: String,
    /// The card.
    pub card: Option<NamedCard>,
    /// Who pays without a card.
    pub payer: Option<PayerId>,
    /// The customer.
    pub customer: Option<CustomerId>,
    /// The merchant's words.
    pub description: Option<String>,
    /// Masked.
    pub receipt_email: Option<String>,
    /// The merchant's data.
    pub metadata: Map<String, Value>,
    /// Where the shopper goes after the issuer's, the bank's or the wallet's page.
    pub return_url: Option<String>,
    /// When 3-D Secure is asked for.
    pub three_d_secure: ThreeDSecure,
    /// Whether, and for what, the payment method is kept.
    pub future_usage: Option<FutureUsage>,
    /// What it may be paid with.
    pub types: Vec<MethodType>,
    /// What was said of deposits.
    pub deposit_options: DepositOptions,
    /// Whether the merchant left the methods to us.
    pub automatic_payment_methods: bool,
    /// The newest charge.
    pub latest_charge: Option<ChargeId>,
    /// The last failure.
    pub last_error: Option<LastError>,
    /// Why it was called off.
    pub cancellation_reason: Option<String>,
    /// When.
    pub canceled_at: Option<OffsetDateTime>,
    /// The invoice that it pays.
    pub invoice: Option<InvoiceId>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    amount_minor: i64,
    currency: String,
    status: String,
    capture_method: String,
    amount_capturable_minor: i64,
    amount_received_minor: i64,
    amount_refunding_minor: i64,
    amount_refunded_minor: i64,
    card_record: Option<Uuid>,
    card_use: Option<String>,
    payer_id: Option<Uuid>,
    payment_method_types: Vec<String>,
    deposit_options: Value,
    customer_id: Option<Uuid>,
    description: Option<String>,
    receipt_email_masked: Option<String>,
    metadata: Value,
    return_url: Option<String>,
    request_three_d_secure: String,
    setup_future_usage: Option<String>,
    automatic_payment_methods: bool,
    latest_charge_id: Option<Uuid>,
    error_code: Option<String>,
    error_decline_code: Option<String>,
    error_charge_id: Option<Uuid>,
    error_card_record: Option<Uuid>,
    error_payer_id: Option<Uuid>,
    cancellation_reason: Option<String>,
    canceled_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    invoice_id: Option<Uuid>,
}

impl TryFrom<Row> for Intent {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        let bad = |what: &'static str| sqlx::Error::Decode(what.into());
        let card = match (row.card_record, row.card_use.as_deref()) {
            (Some(record), Some("single")) => Some(NamedCard { record: record.into_bytes(), allows: TokenUse::Single }),
            (Some(record), Some("multi")) => Some(NamedCard { record: record.into_bytes(), allows: TokenUse::Multi }),
            (None, None) => None,
            _ => return Err(bad("card_use")),
        };
        let charge = |id: Uuid| ChargeId::from_bytes(id.into_bytes());
        let failed = MethodRef::of_columns(row.error_card_record, row.error_payer_id);
        let last_error = row.error_code.zip(failed).map(|(code, method)| LastError {
            code,
            decline_code: row.error_decline_code,
            charge: row.error_charge_id.map(charge),
            method,
        });
        Ok(Self {
            id: PaymentIntentId::from_bytes(row.id.into_bytes()),
            progress: Progress {
                status: Status::parse(&row.status).ok_or_else(|| bad("status"))?,
                amount: row.amount_minor,
                capture_method: CaptureMethod::parse(&row.capture_method).ok_or_else(|| bad("capture_method"))?,
                capturable: row.amount_capturable_minor,
                received: row.amount_received_minor,
                refunded: row.amount_refunded_minor,
                refunding: row.amount_refunding_minor,
                in_flight: None,
            },
            currency: row.currency,
            card,
            payer: row.payer_id.map(|id| PayerId::from_bytes(id.into_bytes())),
            types: row.payment_method_types.iter().filter_map(|word| MethodType::parse(word)).collect(),
            deposit_options: serde_json::from_value(row.deposit_options)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            customer: row.customer_id.map(|id| CustomerId::from_bytes(id.into_bytes())),
            description: row.description,
            receipt_email: row.receipt_email_masked,
            metadata: object(row.metadata),
            return_url: row.return_url,
            three_d_secure: ThreeDSecure::parse(&row.request_three_d_secure)
                .ok_or_else(|| bad("request_three_d_secure"))?,
            future_usage: row.setup_future_usage.as_deref().and_then(FutureUsage::parse),
            automatic_payment_methods: row.automatic_payment_methods,
            latest_charge: row.latest_charge_id.map(charge),
            last_error,
            cancellation_reason: row.cancellation_reason,
            canceled_at: row.canceled_at,
            invoice: row.invoice_id.map(|id| InvoiceId::from_bytes(id.into_bytes())),
            created_at: row.created_at,
        })
    }
}

impl Intent {
    /// How it is paid, where that is named.
    pub fn method(&self) -> Option<MethodRef> {
        self.card.map(|card| MethodRef::Card(card.record)).or(self.payer.map(MethodRef::Payer))
    }

    /// The same with what is known to be under way.
    #[must_use]
    pub fn with_in_flight(mut self, in_flight: Option<InFlight>) -> Self {
        self.progress.in_flight = in_flight;
        self
    }
}

/// All columns, between a head that names the statement and a tail.
macro_rules! select {
    ($head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        select!(from $head, "payment_intents " $($tail)+, $($argument),*)
    };
    (from $head:literal, $($tail:literal)+, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            $head + "SELECT id, amount_minor, currency, status, capture_method, amount_capturable_minor,
                amount_received_minor, amount_refunding_minor, amount_refunded_minor, card_record, card_use, payer_id,
                payment_method_types, deposit_options, customer_id, description, receipt_email_masked, metadata, return_url, request_three_d_secure, setup_future_usage,
                automatic_payment_methods, latest_charge_id, error_code, error_decline_code, error_charge_id,
                error_card_record, error_payer_id, cancellation_reason, canceled_at, invoice_id, created_at
                FROM " $(+ $tail)+,
            $($argument),*
        )
    };
}

pub(super) const fn use_word(allows: TokenUse) -> &'static str {
    match allows {
        TokenUse::Single => "single",
        TokenUse::Multi => "multi",
    }
}

/// Makes it; false when a first run of the same request did.
pub(crate) async fn insert(conn: Conn<'_>, tenant: Tenant, intent: &Intent) -> sqlx::Result<bool> {
    Ok(insert_all(conn, tenant, &[intent]).await? == 1)
}

/// Makes those that are not there; says how many.
pub(crate) async fn insert_all(conn: Conn<'_>, tenant: Tenant, intents: &[&Intent]) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "/* gateway payment_intents::insert_all */
         INSERT INTO payment_intents (merchant_id, livemode, id, amount_minor, currency, status, capture_method, card_record,
             card_use, customer_id, description, receipt_email_masked, metadata, automatic_payment_methods, created_at,
             return_url, request_three_d_secure, setup_future_usage, payer_id, payment_method_types, deposit_options, invoice_id)
         SELECT $1, $2, id, amount_minor, currency, status, capture_method, card_record, card_use, customer_id, description,
             receipt_email_masked, metadata, automatic_payment_methods, created_at, return_url, request_three_d_secure,
             setup_future_usage, payer_id, string_to_array(types, ','), deposit_options, invoice_id
         FROM UNNEST($3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::text[], $10::uuid[],
                 $11::text[], $12::text[], $13::jsonb[], $14::boolean[], $15::timestamptz[], $16::text[], $17::text[],
                 $18::text[], $19::uuid[], $20::text[], $21::jsonb[], $22::uuid[])
             AS made (id, amount_minor, currency, status, capture_method, card_record, card_use, customer_id, description,
                 receipt_email_masked, metadata, automatic_payment_methods, created_at, return_url, request_three_d_secure,
                 setup_future_usage, payer_id, types, deposit_options, invoice_id)
         ON CONFLICT DO NOTHING",
        tenant.id(),
        tenant.livemode,
        &column(intents, |intent| uuid(intent.id.as_bytes())),
        &column(intents, |intent| intent.progress.amount),
        &column(intents, |intent| intent.currency.clone()),
        &column(intents, |intent| intent.progress.status.as_str().to_owned()),
        &column(intents, |intent| intent.progress.capture_method.as_str().to_owned()),
        &column(intents, |intent| intent.card.map(|card| uuid(&card.record))) as &[Option<Uuid>],
        &column(intents, |intent| intent.card.map(|card| use_word(card.allows).to_owned())) as &[Option<String>],
        &column(intents, |intent| intent.customer.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(intents, |intent| intent.description.clone()) as &[Option<String>],
        &column(intents, |intent| intent.receipt_email.clone()) as &[Option<String>],
        &column(intents, |intent| Value::Object(intent.metadata.clone())),
        &column(intents, |intent| intent.automatic_payment_methods),
        &column(intents, |intent| intent.created_at),
        &column(intents, |intent| intent.return_url.clone()) as &[Option<String>],
        &column(intents, |intent| intent.three_d_secure.as_str().to_owned()),
        &column(intents, |intent| intent.future_usage.map(|usage| usage.as_str().to_owned())) as &[Option<String>],
        &column(intents, |intent| intent.payer.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(intents, |intent| words(&intent.types).join(",")),
        &intents.iter().map(|intent| deposit_options(intent)).collect::<sqlx::Result<Vec<_>>>()?,
        &column(intents, |intent| intent.invoice.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The merchant's PaymentIntent of this id.
pub(crate) async fn find(conn: Conn<'_>, tenant: Tenant, id: PaymentIntentId) -> sqlx::Result<Option<Intent>> {
    let row = select!(
        "/* gateway payment_intents::find */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Intent::try_from).transpose()
}

/// The merchant's PaymentIntents of these ids.
pub(crate) async fn find_many(conn: Conn<'_>, tenant: Tenant, ids: &[PaymentIntentId]) -> sqlx::Result<Vec<Intent>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.as_bytes())).collect();
    let rows = select!(
        "/* gateway payment_intents::find_many */ ",
        "WHERE merchant_id = $1 AND id = ANY($2) AND livemode = $3",
        tenant.id(),
        &ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Intent::try_from).collect()
}

/// The same, locked until the transaction ends: whatever changes a payment begins here.
pub(crate) async fn lock(conn: Conn<'_>, tenant: Tenant, id: PaymentIntentId) -> sqlx::Result<Option<Intent>> {
    let row = select!(
        "/* gateway payment_intents::lock */ ",
        "WHERE merchant_id = $1 AND id = $2 AND livemode = $3 FOR UPDATE",
        tenant.id(),
        uuid(id.as_bytes()),
        tenant.livemode,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Intent::try_from).transpose()
}

/// Several, locked in this order, each found by its key.
pub(crate) async fn lock_all(conn: Conn<'_>, tenant: Tenant, ids: &[Uuid]) -> sqlx::Result<Vec<Intent>> {
    let rows = select!(
        from
        "/* gateway payment_intents::lock_all */ ",
        "UNNEST($2::uuid[]) AS named (named_id) CROSS JOIN LATERAL (
             SELECT * FROM payment_intents WHERE merchant_id = $1 AND id = named_id AND livemode = $3 FOR UPDATE) AS locked",
        tenant.id(),
        ids,
        tenant.livemode,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Intent::try_from).collect()
}

/// Writes what the end of an authorization changes.
pub(crate) async fn settle_all(conn: Conn<'_>, tenant: Tenant, intents: &[&Intent]) -> sqlx::Result<()> {
    sqlx::query!(
        "/* gateway payment_intents::settle_all */
         UPDATE payment_intents SET status = ended.status, amount_capturable_minor = ended.capturable,
             amount_received_minor = ended.received, card_record = ended.card_record, card_use = ended.card_use,
             latest_charge_id = ended.charge_id, error_code = ended.code, error_decline_code = ended.decline_code,
             error_charge_id = ended.error_charge_id, error_card_record = ended.error_card, error_payer_id = NULL
         FROM UNNEST($3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::uuid[], $8::text[], $9::uuid[], $10::text[],
                 $11::text[], $12::uuid[], $13::uuid[])
             AS ended (id, status, capturable, received, card_record, card_use, charge_id, code, decline_code,
                 error_charge_id, error_card)
         WHERE payment_intents.merchant_id = $1 AND payment_intents.livemode = $2 AND payment_intents.id = ended.id",
        tenant.id(),
        tenant.livemode,
        &column(intents, |intent| uuid(intent.id.as_bytes())),
        &column(intents, |intent| intent.progress.status.as_str().to_owned()),
        &column(intents, |intent| intent.progress.capturable),
        &column(intents, |intent| intent.progress.received),
        &column(intents, |intent| intent.card.map(|card| uuid(&card.record))) as &[Option<Uuid>],
        &column(intents, |intent| intent.card.map(|card| use_word(card.allows).to_owned())) as &[Option<String>],
        &column(intents, |intent| intent.latest_charge.map(|id| uuid(id.as_bytes()))) as &[Option<Uuid>],
        &column(intents, |intent| intent.last_error.as_ref().map(|error| error.code.clone())) as &[Option<String>],
        &column(intents, |intent| intent.last_error.as_ref().and_then(|error| error.decline_code.clone()))
            as &[Option<String>],
        &column(intents, |intent| {
            intent.last_error.as_ref().and_then(|error| error.charge).map(|id| uuid(id.as_bytes()))
        }) as &[Option<Uuid>],
        &column(intents, |intent| {
            intent.last_error.as_ref().and_then(|error| error.method.card()).map(|record| uuid(&record))
        }) as &[Option<Uuid>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes all that can change, and calls somebody to the invoice that it pays.
pub(crate) async fn update(conn: Conn<'_>, tenant: Tenant, intent: &Intent) -> sqlx::Result<()> {
    let progress = &intent.progress;
    let error = intent.last_error.as_ref();
    sqlx::query!(
        "/* gateway payment_intents::update */
         UPDATE payment_intents SET amount_minor = $4, status = $5, amount_capturable_minor = $6,
             amount_received_minor = $7, amount_refunding_minor = $8, amount_refunded_minor = $9, card_record = $10,
             card_use = $11, customer_id = $12, description = $13, receipt_email_masked = $14, metadata = $15,
             latest_charge_id = $16, error_code = $17, error_decline_code = $18, error_charge_id = $19,
             error_card_record = $20, cancellation_reason = $21, canceled_at = $22, return_url = $23,
             request_three_d_secure = $24, setup_future_usage = $25, payer_id = $26, error_payer_id = $27,
             payment_method_types = $28, deposit_options = $29
         WHERE merchant_id = $1 AND id = $2 AND livemode = $3",
        tenant.id(),
        uuid(intent.id.as_bytes()),
        tenant.livemode,
        progress.amount,
        progress.status.as_str(),
        progress.capturable,
        progress.received,
        progress.refunding,
        progress.refunded,
        intent.card.map(|card| uuid(&card.record)),
        intent.card.map(|card| use_word(card.allows)),
        intent.customer.map(|id| uuid(id.as_bytes())),
        intent.description,
        intent.receipt_email,
        Value::Object(intent.metadata.clone()),
        intent.latest_charge.map(|id| uuid(id.as_bytes())),
        error.map(|error| error.code.as_str()),
        error.and_then(|error| error.decline_code.as_deref()),
        error.and_then(|error| error.charge).map(|id| uuid(id.as_bytes())),
        error.and_then(|error| error.method.card()).map(|record| uuid(&record)),
        intent.cancellation_reason,
        intent.canceled_at,
        intent.return_url,
        intent.three_d_secure.as_str(),
        intent.future_usage.map(FutureUsage::as_str),
        intent.payer.map(|id| uuid(id.as_bytes())),
        error.and_then(|error| error.method.payer()).map(|id| uuid(id.as_bytes())),
        &words(&intent.types),
        deposit_options(intent)?,
    )
    .execute(&mut *conn)
    .await?;
    if let Some(invoice) = intent.invoice
        && progress.status != Status::Processing
    {
        super::invoices::call(conn, tenant, invoice, clock::now()).await?;
    }
    Ok(())
}

/// The merchant's PaymentIntents, perhaps of one customer.
pub(crate) async fn list(
    conn: Conn<'_>,
    tenant: Tenant,
    customer: Option<CustomerId>,
    page: &Page,
) -> sqlx::Result<Listed<Intent>> {
    let rows = match customer {
        None => page_of!(select, "/* gateway payment_intents::list */ ", "id", "", conn, tenant, page),
        Some(id) => {
            let id = uuid(id.as_bytes());
            page_of!(
                select,
                "/* gateway payment_intents::list of customer */ ",
                "id",
                "AND customer_id = $7",
                conn,
                tenant,
                page,
                id
            )
        }
    };
    Ok(page.close(rows.into_iter().map(Intent::try_from).collect::<sqlx::Result<Vec<_>>>()?))
}

/// Where this one stands in lists.
pub fn cursor(intent: &Intent) -> Cursor {
    (intent.created_at, uuid(intent.id.as_bytes()))
}
