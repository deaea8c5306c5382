//! Events: what happened to an object, told in the transaction that made it happen, so that a change and its event are there
//! together or not at all. A change of state has exactly one event.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{EventId, RequestId};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::error::{ApiError, ApiResult};
use crate::store::Tenant;
use crate::store::events as store;

/// How long an event can be read.
pub const KEPT_FOR: time::Duration = time::Duration::days(30);

macro_rules! kinds {
    ($($variant:ident $word:literal;)*) => {
        /// What happened, in Stripe's words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $word] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

kinds! {
    ChargeCaptured "charge.captured";
    ChargeDisputeClosed "charge.dispute.closed";
    ChargeDisputeCreated "charge.dispute.created";
    ChargeDisputeFundsReinstated "charge.dispute.funds_reinstated";
    ChargeDisputeFundsWithdrawn "charge.dispute.funds_withdrawn";
    ChargeDisputeUpdated "charge.dispute.updated";
    ChargeFailed "charge.failed";
    ChargeRefunded "charge.refunded";
    ChargeSucceeded "charge.succeeded";
    CheckoutSessionCompleted "checkout.session.completed";
    CheckoutSessionExpired "checkout.session.expired";
    CustomerCreated "customer.created";
    CustomerDeleted "customer.deleted";
    CustomerSubscriptionCreated "customer.subscription.created";
    CustomerSubscriptionDeleted "customer.subscription.deleted";
    CustomerSubscriptionTrialWillEnd "customer.subscription.trial_will_end";
    CustomerSubscriptionUpdated "customer.subscription.updated";
    CustomerUpdated "customer.updated";
    InvoiceCreated "invoice.created";
    InvoiceDeleted "invoice.deleted";
    InvoiceFinalized "invoice.finalized";
    InvoiceMarkedUncollectible "invoice.marked_uncollectible";
    InvoiceOverdue "invoice.overdue";
    InvoicePaid "invoice.paid";
    InvoicePaymentActionRequired "invoice.payment_action_required";
    InvoicePaymentFailed "invoice.payment_failed";
    InvoicePaymentSucceeded "invoice.payment_succeeded";
    InvoiceSent "invoice.sent";
    InvoiceUpdated "invoice.updated";
    InvoiceVoided "invoice.voided";
    InvoiceItemCreated "invoiceitem.created";
    InvoiceItemDeleted "invoiceitem.deleted";
    PaymentIntentAmountCapturableUpdated "payment_intent.amount_capturable_updated";
    PaymentIntentCanceled "payment_intent.canceled";
    PaymentIntentCreated "payment_intent.created";
    PaymentIntentDepositUnapplied "payment_intent.deposit_unapplied";
    PaymentIntentPaymentFailed "payment_intent.payment_failed";
    PaymentIntentProcessing "payment_intent.processing";
    PaymentIntentRequiresAction "payment_intent.requires_action";
    PaymentIntentSucceeded "payment_intent.succeeded";
    PaymentMethodAttached "payment_method.attached";
    PaymentMethodDetached "payment_method.detached";
    PaymentMethodUpdated "payment_method.updated";
    PriceCreated "price.created";
    PriceUpdated "price.updated";
    ProductCreated "product.created";
    ProductDeleted "product.deleted";
    ProductUpdated "product.updated";
    RefundCreated "refund.created";
    RefundFailed "refund.failed";
    RefundUpdated "refund.updated";
    SetupIntentCanceled "setup_intent.canceled";
    SetupIntentCreated "setup_intent.created";
    SetupIntentRequiresAction "setup_intent.requires_action";
    SetupIntentSetupFailed "setup_intent.setup_failed";
    SetupIntentSucceeded "setup_intent.succeeded";
    TestClockAdvancing "test_helpers.test_clock.advancing";
    TestClockCreated "test_helpers.test_clock.created";
    TestClockDeleted "test_helpers.test_clock.deleted";
    TestClockInternalFailure "test_helpers.test_clock.internal_failure";
    TestClockReady "test_helpers.test_clock.ready";
    WebhookEndpointDisabled "webhook_endpoint.disabled";
}

impl Kind {
    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// On whose behalf something happens, and because of what.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Whose objects.
    pub tenant: Tenant,
    /// The merchant's request; none where a worker, a network or a clock is behind it.
    pub request: Option<RequestId>,
    /// The request's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

impl Cause {
    /// No request of the merchant's.
    pub const fn ours(tenant: Tenant) -> Self {
        Self { tenant, request: None, idempotency_key: None }
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Happened {
    kind: Kind,
    object: Value,
    previous: Option<Map<String, Value>>,
}

impl Happened {
    /// To an object, which is now as it is shown here.
    ///
    /// # Errors
    /// 500 for what is no JSON object.
    pub fn to(object: &impl Serialize, kind: Kind) -> ApiResult<Self> {
        Ok(Self { kind, object: value_of(object)?, previous: None })
    }

    /// An update: what its changed properties were before is told too. `None` where nothing changed.
    ///
    /// # Errors
    /// 500 for what is no JSON object.
    pub fn update(before: &impl Serialize, after: &impl Serialize, kind: Kind) -> ApiResult<Option<Self>> {
        let (before, object) = (value_of(before)?, value_of(after)?);
        let Value::Object(before) = before else { return Err(ApiError::internal("an object that is none")) };
        let changed: Map<String, Value> =
            before.into_iter().filter(|(name, value)| object.get(name) != Some(value)).collect();
        if changed.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { kind, object, previous: Some(changed) }))
    }
}

fn value_of(object: &impl Serialize) -> ApiResult<Value> {
    serde_json::to_value(object).map_err(ApiError::internal)
}

/// Writes events down, in their order.
///
/// # Errors
/// The database's; the transaction must not be committed then.
pub async fn tell(
    conn: &mut PgConnection,
    cause: &Cause,
    at: OffsetDateTime,
    happened: impl IntoIterator<Item = Happened>,
) -> ApiResult<()> {
    let happened: Vec<_> = happened.into_iter().map(|what| (cause, what)).collect();
    tell_all(conn, cause.tenant, at, happened).await
}

/// Writes events of one merchant down that have different causes, in their order.
///
/// # Errors
/// The database's; the transaction must not be committed then.
pub async fn tell_all(
    conn: &mut PgConnection,
    tenant: Tenant,
    at: OffsetDateTime,
    happened: Vec<(&Cause, Happened)>,
) -> ApiResult<()> {
    let events: Vec<store::Event> = happened
        .into_iter()
        .map(|(cause, what)| store::Event {
            // Of one moment, they are listed by their ids.
            id: EventId::from_bytes(kura_platform::random::time_ordered()),
            kind: what.kind.as_str().to_owned(),
            object: what.object,
            previous: what.previous,
            request: cause.request,
            idempotency_key: cause.idempotency_key.clone(),
            created_at: at,
            pending: 0,
        })
        .collect();
    if !events.is_empty() {
        store::insert_all(conn, tenant, &events).await?;
    }
    Ok(())
}

/// Since when events are kept.
pub fn kept_since() -> OffsetDateTime {
    clock::now() - KEPT_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The words are paths of merchants' code: each stands once, and every one is of the form that the database asks for.
    #[test]
    fn kinds_are_words() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
            assert!(kind.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.'));
        }
    }

    /// An update tells what was there before, and only of what changed; where nothing did there is none.
    #[test]
    fn updates_tell_what_was_before() {
        let (before, after) = (json!({"a": 1, "b": null, "c": "x"}), json!({"a": 1, "b": 2, "c": "y"}));
        let told = Happened::update(&before, &after, Kind::CustomerUpdated).unwrap().unwrap();
        assert_eq!(Value::from(told.previous.unwrap()), json!({"b": null, "c": "x"}));
        assert!(Happened::update(&before, &before, Kind::CustomerUpdated).unwrap().is_none());
    }
}
