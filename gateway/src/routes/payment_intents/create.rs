//! `POST /v1/payment_intents`, with `confirm=true` a whole payment in one call.

use kura_platform::clock;
use kura_wire::ids::CustomerId;
use kura_wire::money::Money;
use serde_json::{Map, Value};

use super::confirm::{Target, confirm, meet};
use super::{EXPANDABLE, render_one};
use crate::domain::mask;
use crate::domain::payment_intent::{CaptureMethod, Progress};
use crate::edge::call::Context;
use crate::edge::params::{Params, new_metadata};
use crate::error::{ApiError, ApiResult};
use crate::routes::lists::expansions;
use crate::routes::payment_methods::naming::{self, CardName};
use crate::store::cards::Card;
use crate::store::payment_intents::{self, Intent, NamedCard};
use crate::store::timeline::{self, Entry};
use crate::store::{customers};

/// `automatic_async` differs from `automatic` in nothing that a merchant of ours could see.
const CAPTURE_METHODS: &[(&str, CaptureMethod)] = &[
    ("automatic", CaptureMethod::Automatic),
    ("automatic_async", CaptureMethod::Automatic),
    ("manual", CaptureMethod::Manual),
];

/// What is asked for.
struct Asked {
    money: Money,
    capture_method: CaptureMethod,
    confirm: bool,
    card: Option<CardName>,
    customer: Option<String>,
    description: Option<String>,
    receipt_email: Option<String>,
    metadata: Map<String, Value>,
    automatic: bool,
    expand: Vec<&'static str>,
}

/// Runs it.
pub async fn run(context: Context, mut params: Params) -> ApiResult<Value> {
    let asked = extract(&mut params, context.tenant().livemode())?;
    params.finish()?;

    // Before anything is checked again: what an earlier run made may itself have spent the token.
    if let Some(answer) = answer_again(&context, &asked).await? {
        return Ok(answer);
    }
    let customer = find_customer(&context, asked.customer.as_deref()).await?;
    let named = match &asked.card {
        Some(name) => Some(naming::find(&context, name).await?),
        None => None,
    };
    let intent = new_intent(&context, &asked, customer, named.as_ref());
    if asked.confirm {
        // This checks the card's owner itself, where it has seen that no earlier run asked for the money.
        return confirm(&context, Target::New(Box::new(intent)), named, &asked.expand).await;
    }
    super::confirm::check_owner(&intent, named.as_ref())?;
    let intent = insert(&context, intent).await?;
    render_one(&context, &intent, named.map(|(_, card)| card), &asked.expand).await
}

/// The answer about the payment that an earlier run of this request made. `None` where there is none, or where it is yet to
/// be confirmed.
async fn answer_again(context: &Context, asked: &Asked) -> ApiResult<Option<Value>> {
    if context.first_run {
        return Ok(None);
    }
    let id = context.ids().payment_intent();
    if asked.confirm {
        return meet(context, id, &asked.expand).await;
    }
    match payment_intents::find(&mut *context.db().await?, context.tenant(), id).await? {
        Some(intent) => render_one(context, &intent, None, &asked.expand).await.map(Some),
        None => Ok(None),
    }
}

fn extract(params: &mut Params, livemode: bool) -> ApiResult<Asked> {
    let money = params.required_money()?;
    let capture_method = params.choice("capture_method", CAPTURE_METHODS)?.unwrap_or(CaptureMethod::Automatic);
    let confirm = params.boolean("confirm")?.unwrap_or(false);
    let card = naming::take(params, livemode)?;
    if !confirm && matches!(card, Some(CardName::Test(_, kura_wire::ids::TokenUse::Single, _))) {
        return Err(params.invalid_value("payment_method_data", "given with confirm=true where it names a test token"));
    }
    let automatic = take_methods(params)?;
    Ok(Asked {
        money,
        capture_method,
        confirm,
        card,
        customer: params.text("customer")?,
        description: params.text("description")?,
        receipt_email: params.text("receipt_email")?.as_deref().map(mask::email),
        metadata: new_metadata(params.metadata()?)?,
        automatic,
        expand: expansions(params, "", EXPANDABLE)?,
    })
}

/// `payment_method_types[]` can only be `card`; `automatic_payment_methods[enabled]` leaves it to us.
fn take_methods(params: &mut Params) -> ApiResult<bool> {
    let types = params.texts("payment_method_types")?;
    if types.as_ref().is_some_and(|types| types.iter().any(|kind| kind != "card") || types.is_empty()) {
        return Err(params.invalid_value("payment_method_types", "card"));
    }
    let Some(mut automatic) = params.object("automatic_payment_methods")? else { return Ok(types.is_none()) };
    let enabled = automatic.boolean("enabled")?.ok_or_else(|| automatic.missing_value("enabled"))?;
    automatic.choice("allow_redirects", &[("always", ()), ("never", ())])?;
    automatic.finish()?;
    if enabled && types.is_some() {
        return Err(params.invalid_value("payment_method_types", "left out where automatic_payment_methods is enabled"));
    }
    Ok(enabled)
}

/// The merchant's customer of this id.
pub(super) async fn find_customer(context: &Context, id: Option<&str>) -> ApiResult<Option<CustomerId>> {
    let Some(id) = id else { return Ok(None) };
    let missing = || ApiError::missing("customer", "customer");
    let id = id.parse().map_err(|_| missing())?;
    customers::find(&mut *context.db().await?, context.tenant(), id).await?.ok_or_else(missing)?;
    Ok(Some(id))
}

fn new_intent(
    context: &Context,
    asked: &Asked,
    customer: Option<CustomerId>,
    named: Option<&(NamedCard, Card)>,
) -> Intent {
    Intent {
        id: context.ids().payment_intent(),
        progress: Progress::new(asked.money.amount_minor, asked.capture_method, named.is_some()),
        currency: asked.money.currency_code(),
        card: named.map(|(named, _)| *named),
        customer,
        description: asked.description.clone(),
        receipt_email: asked.receipt_email.clone(),
        metadata: asked.metadata.clone(),
        automatic_payment_methods: asked.automatic,
        latest_charge: None,
        last_error: None,
        cancellation_reason: None,
        canceled_at: None,
        created_at: clock::now(),
    }
}

/// Writes the payment down, or meets the one that an earlier run of this request wrote.
async fn insert(context: &Context, intent: Intent) -> ApiResult<Intent> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    if payment_intents::insert(&mut tx, tenant, &intent).await? {
        let entries = [Entry { amount_minor: Some(intent.progress.amount), ..Entry::of("created") }];
        timeline::append(&mut tx, tenant, intent.id, Some(context.request_id), intent.created_at, &entries).await?;
        tx.commit().await?;
        return Ok(intent);
    }
    drop(tx);
    let met = payment_intents::find(&mut *context.db().await?, tenant, intent.id).await?;
    met.ok_or_else(|| ApiError::internal("a payment that is there and isn't"))
}
