//! `POST /v1/payment_intents`, with `confirm=true` a whole payment in one call.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::ids::{CustomerId, PaymentIntentId, TokenUse};
use kura_wire::money::{Currency, Money};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::confirm::{MethodOptions, Target, Terms, Usage, confirm, meet};
use super::{deposit, render_one};
use crate::codes::Code;
use crate::domain::mask;
use crate::domain::payment_intent::{CaptureMethod, Progress};
use crate::edge::call::Context;
use crate::endpoint::types::{Amount, CurrencyCode, IdOf, Metadata, Text, WebAddress};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::payment_intent::{PaymentIntent, payment_intent};
use crate::routes::customers::existing;
use crate::routes::payment_methods::naming::{self, CardName, Found, MethodData, MethodName, MethodType};
use crate::store::methods::Method;
use crate::store::payment_intents::{self, FutureUsage, Intent};
use crate::store::timeline::{self, Entry};

/// A payment to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateIntent {
    /// What is asked for, in the smallest unit of the currency.
    amount: Amount,
    /// Three letters.
    currency: CurrencyCode,
    /// Whether you leave the methods to us; so it is where `payment_method_types` is left out.
    automatic_payment_methods: Option<Automatic>,
    /// When the money is taken.
    capture_method: Option<Capture>,
    /// Ask for the money at once.
    #[serde(default)]
    confirm: bool,
    /// Who pays.
    customer: Option<IdOf<CustomerId>>,
    /// Your words.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// `pm_…`.
    payment_method: Option<Text<255>>,
    /// A new payment method.
    payment_method_data: Option<MethodData>,
    /// What it may be paid with.
    payment_method_types: Option<Vec<MethodType>>,
    /// What is said of each method.
    payment_method_options: Option<MethodOptions>,
    /// With `confirm`: the shopper is not there; you charge by an agreement.
    #[serde(default)]
    off_session: bool,
    /// Comes back masked.
    receipt_email: Option<Text>,
    /// With `confirm`: where the shopper goes after the issuer's page.
    return_url: Option<WebAddress>,
    /// Keep the payment method, for payments with the shopper there or without.
    setup_future_usage: Option<Usage>,
}

/// Whether the methods are left to us.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Automatic {
    /// They are.
    enabled: bool,
    /// Whether some of them may send the shopper elsewhere.
    #[serde(default, rename = "allow_redirects")]
    _allow_redirects: Option<AllowRedirects>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AllowRedirects {
    Always,
    Never,
}

/// When the money is taken. `automatic_async` differs from `automatic` in nothing that a merchant of ours could see.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Capture {
    Automatic,
    AutomaticAsync,
    Manual,
}

impl From<Capture> for CaptureMethod {
    fn from(sent: Capture) -> Self {
        match sent {
            Capture::Automatic | Capture::AutomaticAsync => Self::Automatic,
            Capture::Manual => Self::Manual,
        }
    }
}

/// What is asked for, checked.
struct Asked {
    money: Money,
    capture_method: CaptureMethod,
    confirm: bool,
    method: Option<MethodName>,
    customer: Option<CustomerId>,
    description: Option<String>,
    terms: Terms,
    metadata: Map<String, Value>,
    automatic: bool,
    types: Vec<MethodType>,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateIntent) -> ApiResult<PaymentIntent> {
    let asked = check(asked, context.tenant().livemode())?;
    // Before anything is checked again: what an earlier run made may itself have spent the token.
    if let Some(answer) = answer_again(&context, &asked).await? {
        return Ok(answer);
    }
    let customer = match asked.customer {
        Some(id) => Some(existing(&context, id, "customer").await?.id),
        None => None,
    };
    let mut asked = asked;
    let found = match asked.method.take() {
        Some(name) => Some(naming::find_method(&context, name).await?),
        None => None,
    };
    let intent = new_intent(&context, &asked, customer, found.as_ref());
    check_type(&intent, found.as_ref())?;
    let named = match found {
        Some(Found::Payer(payer)) if asked.confirm => {
            let target = Target::New(Box::new(intent));
            return deposit::confirm(&context, target, Some(payer), &asked.terms).await;
        }
        Some(Found::Payer(payer)) => return insert(&context, intent, Some(&Method::Payer(payer))).await,
        Some(Found::Card(named, card)) => Some((named, card)),
        None => None,
    };
    if asked.confirm {
        // This checks the card's owner itself, where it has seen that no earlier run asked for the money.
        return confirm(&context, Target::New(Box::new(intent)), named, &asked.terms).await;
    }
    super::confirm::check_owner(&intent, named.as_ref())?;
    insert(&context, intent, named.map(|(_, card)| Method::Card(card)).as_ref()).await
}

/// The answer about the payment that an earlier run of this request made. `None` where there is none, or where it is yet to
/// be confirmed.
async fn answer_again(context: &Context, asked: &Asked) -> ApiResult<Option<PaymentIntent>> {
    if context.first_run {
        return Ok(None);
    }
    let id = context.ids().one();
    if asked.confirm {
        return meet(context, id).await;
    }
    match payment_intents::find(&mut *context.db().await?, context.tenant(), id).await? {
        Some(intent) => render_one(context, &intent, None).await.map(Some),
        None => Ok(None),
    }
}

fn check(asked: CreateIntent, livemode: bool) -> ApiResult<Asked> {
    let money = Money::new(asked.amount.0, asked.currency.0).map_err(|_| ApiError::new(Code::AmountTooLarge))?;
    let method = naming::named(asked.payment_method.as_deref(), asked.payment_method_data, livemode)?;
    if !asked.confirm && matches!(method, Some(MethodName::Card(CardName::Test(_, TokenUse::Single, _)))) {
        let expected = "given with confirm=true where it names a test token";
        return Err(ApiError::invalid("payment_method_data", expected));
    }
    for (given, name) in [(asked.off_session, "off_session"), (asked.return_url.is_some(), "return_url")] {
        if given && !asked.confirm {
            return Err(ApiError::invalid(name, "given with confirm=true"));
        }
    }
    let automatic = automatic(asked.automatic_payment_methods.as_ref(), asked.payment_method_types.as_deref())?;
    let yen = asked.currency.0 == Currency::JPY;
    let types = match asked.payment_method_types {
        Some(types) if !yen && types.iter().any(|kind| kind.deposit().is_some()) => {
            return Err(ApiError::invalid("payment_method_types", "card, where the currency is not jpy"));
        }
        Some(types) => unique(types),
        None if yen => MethodType::ALL.to_vec(),
        None => vec![MethodType::Card],
    };
    Ok(Asked {
        money,
        capture_method: asked.capture_method.map_or(CaptureMethod::Automatic, CaptureMethod::from),
        confirm: asked.confirm,
        method,
        customer: asked.customer.map(|id| id.0),
        description: asked.description.map(Text::into_string),
        terms: Terms {
            off_session: asked.off_session,
            receipt_email: asked.receipt_email.as_deref().map(mask::email),
            return_url: asked.return_url.map(WebAddress::into_string),
            three_d_secure: asked.payment_method_options.as_ref().and_then(MethodOptions::three_d_secure),
            future_usage: asked.setup_future_usage.map(FutureUsage::from),
            deposits: asked.payment_method_options.map(MethodOptions::into_deposits).transpose()?.unwrap_or_default(),
        },
        automatic,
        types,
        metadata: asked.metadata.of_new()?,
    })
}

/// Each kind once, in the order of their first mention.
fn unique(types: Vec<MethodType>) -> Vec<MethodType> {
    let mut once = Vec::with_capacity(types.len());
    for kind in types {
        if !once.contains(&kind) {
            once.push(kind);
        }
    }
    once
}

/// The payment may be made with what was found.
///
/// # Errors
/// 400 `payment_intent_incompatible_payment_method`.
pub(super) fn check_type(intent: &Intent, found: Option<&Found>) -> ApiResult<()> {
    let kind = match found {
        None => return Ok(()),
        Some(Found::Card(..)) => MethodType::Card,
        Some(Found::Payer(payer)) => payer.method.into(),
    };
    if intent.types.contains(&kind) { Ok(()) } else { Err(ApiError::new(Code::IncompatibleMethod)) }
}

/// Whether the methods are left to us.
///
/// # Errors
/// 400 for types beside it, and for none.
pub fn automatic(automatic: Option<&Automatic>, types: Option<&[MethodType]>) -> ApiResult<bool> {
    if types.is_some_and(<[MethodType]>::is_empty) {
        return Err(ApiError::invalid("payment_method_types", "at least one type"));
    }
    match automatic {
        Some(automatic) if automatic.enabled && types.is_some() => {
            let expected = "left out where automatic_payment_methods is enabled";
            Err(ApiError::invalid("payment_method_types", expected))
        }
        Some(automatic) => Ok(automatic.enabled),
        None => Ok(types.is_none()),
    }
}

fn new_intent(context: &Context, asked: &Asked, customer: Option<CustomerId>, found: Option<&Found>) -> Intent {
    let (card, payer) = match found {
        None => (None, None),
        Some(Found::Card(named, _)) => (Some(*named), None),
        Some(Found::Payer(payer)) => (None, Some(payer.id)),
    };
    Intent {
        id: context.ids().one(),
        progress: Progress::new(asked.money.amount_minor, asked.capture_method, found.is_some()),
        currency: asked.money.currency_code(),
        card,
        payer,
        types: asked.types.clone(),
        deposit_options: asked.terms.deposits.clone(),
        customer,
        description: asked.description.clone(),
        receipt_email: asked.terms.receipt_email.clone(),
        return_url: asked.terms.return_url.clone(),
        three_d_secure: asked.terms.three_d_secure.unwrap_or_default(),
        future_usage: asked.terms.future_usage,
        metadata: asked.metadata.clone(),
        automatic_payment_methods: asked.automatic,
        latest_charge: None,
        last_error: None,
        cancellation_reason: None,
        canceled_at: None,
        invoice: None,
        created_at: clock::now(),
    }
}

/// Writes the payment down, or meets the one that an earlier run of this request wrote.
async fn insert(context: &Context, intent: Intent, method: Option<&Method>) -> ApiResult<PaymentIntent> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    if payment_intents::insert(&mut tx, tenant, &intent).await? {
        let shown = payment_intent(tenant, &intent, method, None);
        created(&mut tx, context, &intent, &shown).await?;
        tx.commit().await?;
        return Ok(shown);
    }
    drop(tx);
    let met = payment_intents::find(&mut *context.db().await?, tenant, intent.id).await?;
    let met = met.ok_or_else(|| ApiError::internal("a payment that is there and isn't"))?;
    render_one(context, &met, None).await
}

/// Writes a payment of our own pages down, unless it is there; gives its id.
///
/// # Errors
/// The database's.
pub(crate) async fn meet_or_insert(context: &Context, intent: Intent) -> ApiResult<PaymentIntentId> {
    let id = intent.id;
    insert(context, intent, None).await?;
    Ok(id)
}

/// What is written beside a new payment.
pub(super) async fn created(
    conn: &mut PgConnection,
    context: &Context,
    intent: &Intent,
    shown: &PaymentIntent,
) -> ApiResult<()> {
    let (tenant, at) = (context.tenant(), intent.created_at);
    let (entry, told) = creation(intent, shown)?;
    timeline::append(conn, tenant, intent.id, Some(context.request_id), at, &[entry]).await?;
    events::tell(conn, &context.cause(), at, [told]).await
}

/// The same, to be written.
pub(super) fn creation(intent: &Intent, shown: &PaymentIntent) -> ApiResult<(Entry, Happened)> {
    let entry = Entry { amount_minor: Some(intent.progress.amount), ..Entry::of("created") };
    Ok((entry, Happened::to(shown, events::Kind::PaymentIntentCreated)?))
}
