//! `POST /checkout/pay/{id}`: the shopper sends the form. The card comes as a token of the card fields; from here on it is a
//! payment, a set-up or a subscription like any other, under seeds of the session and the number of the try.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use kura_platform::clock;
use kura_wire::ids::{CheckoutSessionId, CustomerId, TokenUse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::Duration;

use super::page::{brought, done_url, words};
use super::settle::settle;
use super::{PATH, address};
use crate::app::App;
use crate::billing::{charge, subscriptions as steps};
use crate::codes::Code;
use crate::domain::checkout::{Mode, Status};
use crate::domain::mask;
use crate::domain::payment_intent::{CaptureMethod, Progress, Status as PaymentStatus};
use crate::edge::call::Context;
use crate::edge::{body, pan_guard};
use crate::endpoint::read::read;
use crate::endpoint::types::Text;
use crate::error::{ApiError, ApiResult};
use crate::render::payment_intent::NextAction;
use crate::request_ids::RequestIds;
use crate::routes::payment_intents::confirm::{Target, Terms, confirm};
use crate::routes::payment_methods::naming::{self, CardName};
use crate::routes::subscriptions::create as subscription;
use crate::routes::subscriptions::parts::Behavior;
use crate::routes::{customers, setup_intents};
use crate::store::cards::Card;
use crate::store::checkout_sessions::{self, Session as Row};
use crate::store::customers as customer_rows;
use crate::store::payment_intents::{FutureUsage, Intent, MethodType, NamedCard};

/// How long a try may be under way before somebody else looks at it.
const LOOK_AFTER: Duration = Duration::seconds(30);

/// What the form says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// `tok_…`.
    token: Text<255>,
    /// The shopper's, where the session has no customer.
    email: Option<Text>,
}

/// Runs it. Whatever goes wrong is said in words for the shopper.
pub async fn run(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap, sent: Bytes) -> Response {
    let ja = headers.get(header::CONTENT_LANGUAGE).is_some_and(|language| language == "ja");
    // On a task of its own: a shopper who closes the page doesn't leave a payment half-way.
    let work = tokio::spawn(async move { try_run(&app, &id, &headers, &sent).await });
    match work.await {
        Ok(Ok(url)) => Json(json!({ "redirect": url })).into_response(),
        Ok(Err(error)) => {
            let code = error.code();
            Json(json!({ "error": { "code": code.as_str(), "message": words(code, ja) } })).into_response()
        }
        Err(error) => ApiError::internal(format_args!("a checkout ended early: {error}")).into_response(),
    }
}

/// Where the shopper goes next.
async fn try_run(app: &App, id: &str, headers: &HeaderMap, sent: &Bytes) -> ApiResult<String> {
    // Our own page, and nobody else's.
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if origin != Some(&app.public_origin) {
        return Err(ApiError::new(Code::OriginNotAllowed));
    }
    let tree = body::parse(headers, sent)?;
    pan_guard::search_tree(&Value::Object(tree.clone())).map_err(|_| ApiError::new(Code::RawCardDataRefused))?;
    let sent: Sent = read(tree)?;
    let context = brought(app, id).await?;
    let id: CheckoutSessionId = id.parse().map_err(|_| ApiError::missing("checkout session", "id"))?;
    let row = begin(&context, id, sent.email.as_deref()).await?;
    let seed = RequestIds::seed_of(&app.secrets.ids, id.as_bytes(), b"try", row.tries.into());
    let own = context.within(seed);
    let made = make(&context, &own, &row, &sent).await;
    let row = settle(&context, id).await?;
    if row.status == Status::Complete {
        return Ok(done_url(&row));
    }
    match made? {
        Some(NextAction::RedirectToUrl { redirect_to_url }) => Ok(redirect_to_url.url),
        _ => Ok(format!("{PATH}/{id}/return")),
    }
}

/// Writes the try down. One at a time.
async fn begin(context: &Context, id: CheckoutSessionId, email: Option<&str>) -> ApiResult<Row> {
    let (tenant, now) = (context.tenant(), clock::now());
    let mut tx = context.begin().await?;
    let row = checkout_sessions::lock(&mut tx, tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::missing("checkout session", "id"))?;
    if row.status != Status::Open || row.expires_at <= now {
        return Err(ApiError::new(Code::CheckoutSessionUnexpectedState));
    }
    if row.trying {
        return Err(ApiError::new(Code::IdempotencyKeyInUse));
    }
    let row = Row { tries: row.tries + 1, trying: true, email: email.map(mask::email).or(row.email), ..row };
    checkout_sessions::update(&mut tx, tenant, &row, Some(now + LOOK_AFTER)).await?;
    tx.commit().await?;
    Ok(row)
}

/// The payment, the set-up or the subscription, with this card.
async fn make(context: &Context, own: &Context, row: &Row, sent: &Sent) -> ApiResult<Option<NextAction>> {
    let name = CardName::parse(&sent.token, TokenUse::Single, context.tenant().livemode(), "token")?;
    let card = naming::find(own, &name).await?;
    match row.mode {
        Mode::Payment => pay(context, own, row, card).await,
        Mode::Setup => set_up(context, own, row, card).await,
        Mode::Subscription => subscribe(context, row, card, sent.email.as_deref()).await,
    }
}

async fn pay(context: &Context, own: &Context, row: &Row, card: (NamedCard, Card)) -> ApiResult<Option<NextAction>> {
    let (Some(amount), Some(currency)) = (row.amount, row.currency.clone()) else {
        return Err(ApiError::internal("a payment of nothing"));
    };
    let usage = match row.data.future_usage.as_deref() {
        Some("on_session") => Some(FutureUsage::OnSession),
        Some(_) => Some(FutureUsage::OffSession),
        None => None,
    };
    let return_url = Some(format!("{}/return", address(context, row)));
    let intent = Intent {
        id: context.ids().one(),
        progress: Progress::new(amount, CaptureMethod::Automatic, false),
        currency,
        card: None,
        payer: None,
        types: vec![MethodType::Card],
        deposit_options: Default::default(),
        customer: row.customer,
        description: row.data.description.clone(),
        receipt_email: row.email.clone(),
        return_url: return_url.clone(),
        three_d_secure: Default::default(),
        future_usage: usage,
        metadata: row.data.metadata.clone(),
        automatic_payment_methods: false,
        latest_charge: None,
        last_error: None,
        cancellation_reason: None,
        canceled_at: None,
        invoice: None,
        created_at: clock::now(),
    };
    let made = crate::routes::payment_intents::create::meet_or_insert(context, intent).await?;
    note(context, row, |row| row.intent = Some(made)).await?;
    let terms = Terms { return_url, receipt_email: row.email.clone(), ..Terms::default() };
    let shown = confirm(own, Target::Existing(made), Some(card), &terms).await?;
    Ok(shown.next_action.filter(|_| shown.status == PaymentStatus::RequiresAction.as_str()))
}

async fn set_up(context: &Context, own: &Context, row: &Row, card: (NamedCard, Card)) -> ApiResult<Option<NextAction>> {
    let setup = setup_intents::create::of_checkout(context, row).await?;
    note(context, row, |row| row.setup = Some(setup)).await?;
    let return_url = Some(format!("{}/return", address(context, row)));
    let target = setup_intents::confirm::Target { id: setup, return_url, three_d_secure: None };
    let shown = setup_intents::confirm::confirm(own, target, Some(card)).await?;
    Ok(shown.next_action)
}

async fn subscribe(
    context: &Context,
    row: &Row,
    card: (NamedCard, Card),
    email: Option<&str>,
) -> ApiResult<Option<NextAction>> {
    let customer = match row.customer {
        Some(id) => id,
        None => new_customer(context, email).await?,
    };
    note(context, row, |row| row.customer = Some(customer)).await?;
    let found = customers::existing(context, customer, "customer").await?;
    let asked = read(subscription_of(row, customer))?;
    let made = subscription::make(context, &found, asked, Behavior::DefaultIncomplete).await?;
    note(context, row, |row| row.subscription = Some(made.id)).await?;
    let Some(invoice) = made.latest_invoice else { return Ok(None) };
    if made.status != crate::domain::subscription::Status::Incomplete {
        // Nothing is due yet: the card is kept for when something is.
        steps::keep_card(context, made.id, card).await?;
        return Ok(None);
    }
    let how = charge::How { begin: true, on_session: true, card: Some(card) };
    match charge::pay(context, invoice, how).await?.refusal {
        Some(refusal) => Err(refusal),
        None => Ok(None),
    }
}

/// A subscription in the words of its own endpoint.
fn subscription_of(row: &Row, customer: CustomerId) -> Map<String, Value> {
    let items: Vec<Value> =
        row.items.iter().map(|item| json!({ "price": item.price.to_string(), "quantity": item.quantity })).collect();
    let asked = json!({
        "customer": customer.to_string(),
        "items": items,
        "metadata": row.data.metadata,
        "payment_settings": { "save_default_payment_method": "on_subscription" },
    });
    let mut asked = asked.as_object().cloned().unwrap_or_default();
    if let Some(days) = row.data.trial_days {
        asked.insert("trial_period_days".to_owned(), days.into());
    }
    if let Some(description) = &row.data.description {
        asked.insert("description".to_owned(), description.clone().into());
    }
    asked
}

async fn new_customer(context: &Context, email: Option<&str>) -> ApiResult<CustomerId> {
    let id: CustomerId = context.ids().one();
    if customer_rows::find(&mut *context.db().await?, context.tenant(), id).await?.is_none() {
        let asked = email.map(|email| ("email".to_owned(), Value::from(email))).into_iter().collect();
        customers::create::run(context.clone(), read(asked)?).await?;
    }
    Ok(id)
}

/// What the session made, before anything is asked of it.
async fn note(context: &Context, row: &Row, change: impl FnOnce(&mut Row)) -> ApiResult<()> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let Some(mut row) = checkout_sessions::lock(&mut tx, tenant, row.id).await? else { return Ok(()) };
    change(&mut row);
    checkout_sessions::update(&mut tx, tenant, &row, Some(clock::now() + LOOK_AFTER)).await?;
    tx.commit().await?;
    Ok(())
}
