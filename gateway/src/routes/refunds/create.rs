//! `POST /v1/refunds`: gives captured money back, never more than was captured, however many ask at once.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{ChargeId, PaymentIntentId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::codes::Code;
use crate::domain::payment_intent::{Event, Refusal};
use crate::edge::call::Context;
use crate::endpoint::types::{Amount, IdOf, Metadata};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::money_path::{self, Ending};
use crate::render;
use crate::routes::payment_intents::flow::{NextAttempt, next_attempt};
use crate::store::attempts::{Attempt, Kind, State};
use crate::store::charges::{self, Charge};
use crate::store::disputes;
use crate::store::payers;
use crate::store::payment_intents::{self, Intent};
use crate::store::refunds::{self, Refund};
use crate::store::timeline;

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRefund {
    /// Of this payment: its newest charge.
    payment_intent: Option<IdOf<PaymentIntentId>>,
    /// Of this charge.
    charge: Option<IdOf<ChargeId>>,
    /// Minor units; all that is left where it is left out.
    amount: Option<Amount>,
    /// Your reason.
    reason: Option<Reason>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// Why a merchant gives money back.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Duplicate,
    Fraudulent,
    RequestedByCustomer,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Fraudulent => "fraudulent",
            Self::RequestedByCustomer => "requested_by_customer",
        }
    }
}

/// What is asked for, checked.
struct Asked {
    intent: Option<PaymentIntentId>,
    charge: Option<ChargeId>,
    amount: Option<i64>,
    reason: Option<&'static str>,
    metadata: Map<String, Value>,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateRefund) -> ApiResult<render::refund::Refund> {
    if asked.payment_intent.is_none() && asked.charge.is_none() {
        let message = "One of the following params should be provided: payment_intent or charge.";
        return Err(ApiError::with_message(Code::ParameterMissing, message).on("payment_intent"));
    }
    let asked = Asked {
        intent: asked.payment_intent.map(|id| id.0),
        charge: asked.charge.map(|id| id.0),
        amount: asked.amount.map(|amount| amount.0),
        reason: asked.reason.map(Reason::as_str),
        metadata: asked.metadata.of_new()?,
    };
    let charge = find_charge(&context, &asked).await?;
    let (refund, attempt, intent) = match start(&context, &asked, &charge).await? {
        Started::Met(refund) => return Ok(render::refund::refund(&refund)),
        Started::Fresh(fresh) => *fresh,
    };
    let carried =
        money_path::carry_out(&context.app, &context.cause(), context.vault_context(), &attempt, None, intent).await?;
    if let Some(Ending::Unsent(failure)) = carried.ending {
        return Err(failure.into());
    }
    let settled = match carried.ending {
        Some(_) => refunds::find(&mut *context.db().await?, context.tenant(), refund.id).await?,
        None => None,
    };
    Ok(render::refund::refund(&settled.unwrap_or(refund)))
}

/// The charge that is meant, by its own id or as the payment's newest.
async fn find_charge(context: &Context, asked: &Asked) -> ApiResult<Charge> {
    let (mut db, tenant) = (context.db().await?, context.tenant());
    let id = match (asked.charge, asked.intent) {
        (Some(id), _) => id,
        (None, Some(intent)) => {
            let intent = payment_intents::find(&mut db, tenant, intent).await?;
            let intent = intent.ok_or_else(|| ApiError::missing("payment_intent", "payment_intent"))?;
            intent.latest_charge.ok_or_else(|| ApiError::new(Code::ChargeNotRefundable))?
        }
        (None, None) => return Err(ApiError::new(Code::ParameterMissing)),
    };
    let charge = charges::find(&mut db, tenant, id).await?.ok_or_else(|| ApiError::missing("charge", "charge"))?;
    if asked.intent.is_some_and(|intent| intent != charge.intent) {
        return Err(ApiError::missing("charge of this payment_intent", "charge"));
    }
    if charge.succeeded { Ok(charge) } else { Err(ApiError::new(Code::ChargeNotRefundable)) }
}

enum Started {
    Met(Box<Refund>),
    Fresh(Box<(Refund, Attempt, Intent)>),
}

/// Reserves the amount under the payment's lock, and writes refund and attempt down.
async fn start(context: &Context, asked: &Asked, charge: &Charge) -> ApiResult<Started> {
    let (tenant, at) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let intent = payment_intents::lock(&mut tx, tenant, charge.intent).await?;
    let mut intent = intent.ok_or_else(|| ApiError::internal("a charge without its payment"))?;
    let ids = match next_attempt(context, &mut tx).await? {
        NextAttempt::Fresh(ids) => ids,
        NextAttempt::Met(met) => {
            drop(tx);
            let refund = met.refund.ok_or_else(|| ApiError::internal("a refund's attempt without a refund"))?;
            let refund = refunds::find(&mut *context.db().await?, tenant, refund).await?;
            return refund
                .map(Box::new)
                .map(Started::Met)
                .ok_or_else(|| ApiError::internal("an attempt without its refund"));
        }
    };
    if disputes::holds_back(&mut tx, tenant, charge.id).await? {
        return Err(ApiError::new(Code::ChargeDisputed).on("charge"));
    }
    let amount = asked.amount.unwrap_or_else(|| intent.progress.refundable().max(1));
    intent.progress = intent.progress.after(Event::Refund(amount)).map_err(refused)?;

    let refund = Refund {
        id: ids.refund,
        intent: intent.id,
        charge: charge.id,
        status: "pending".to_owned(),
        amount_minor: amount,
        currency: intent.currency.clone(),
        reason: asked.reason.map(str::to_owned),
        failure_reason: None,
        metadata: asked.metadata.clone(),
        method: method_word(&mut tx, context, charge).await?.to_owned(),
        network_reference: ids.network_reference.clone(),
        created_at: at,
    };
    let attempt = Attempt {
        id: ids.attempt,
        intent: intent.id,
        kind: Kind::Refund,
        original: Some(charge.attempt),
        charge: charge.id,
        refund: Some(ids.refund),
        network_reference: ids.network_reference,
        amount_minor: amount,
        currency: intent.currency.clone(),
        method: charge.method,
        capture: false,
        authentication: None,
        off_session: false,
        stepped_up: false,
        state: State::Unresolved,
        request: context.request_id,
        created_at: at,
    };
    refunds::insert(&mut tx, tenant, &refund).await?;
    money_path::open(&context.app, &mut tx, tenant, &attempt).await?;
    payment_intents::update(&mut tx, tenant, &intent).await?;
    let entries = [money_path::entry("refunding", &attempt, asked.reason)];
    timeline::append(&mut tx, tenant, intent.id, Some(context.request_id), at, &entries).await?;
    let told = Happened::to(&render::refund::refund(&refund), events::Kind::RefundCreated)?;
    events::tell(&mut tx, &context.cause(), at, [told]).await?;
    tx.commit().await?;
    Ok(Started::Fresh(Box::new((refund, attempt, intent))))
}

/// Where the money goes back to.
async fn method_word(conn: &mut PgConnection, context: &Context, charge: &Charge) -> ApiResult<&'static str> {
    Ok(match charge.method.payer() {
        None => "card",
        Some(id) => {
            let payer = payers::find(conn, context.tenant(), id).await?;
            payers::word(payer.ok_or_else(|| ApiError::internal("a charge without its payer"))?.method)
        }
    })
}

fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::NothingLeft => ApiError::new(Code::ChargeAlreadyRefunded),
        Refusal::AmountTooLarge => {
            let message = "Refund amount is greater than the unrefunded amount of the charge.";
            ApiError::with_message(Code::AmountTooLarge, message).on("amount")
        }
        Refusal::AmountTooSmall => ApiError::new(Code::AmountTooSmall).on("amount"),
        Refusal::NothingCaptured | Refusal::Status => ApiError::new(Code::ChargeNotRefundable),
    }
}
