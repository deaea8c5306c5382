//! `POST /v1/checkout/sessions`. Nothing is made of it until its shopper sends the form.

use kura_platform::clock;
use kura_wire::ids::{CustomerId, PriceId, ProductId};
use kura_wire::money::{MAX_AMOUNT_MINOR, currency_code};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Map;
use time::Duration;

use super::{by_id, shown};
use crate::codes::Code;
use crate::domain::checkout::{Mode, Status};
use crate::edge::call::Context;
use crate::endpoint::types::{CurrencyCode, IdOf, Metadata, Moment, Text, WebAddress, Whole};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::render::checkout_session::Session;
use crate::routes::customers::existing;
use crate::routes::payment_intents::confirm::Usage;
use crate::routes::payment_methods::naming::MethodType;
use crate::routes::prices::create::{RecurringParams, UnitAmount};
use crate::routes::subscriptions::parts::new_price;
use crate::store::checkout_sessions::{self, Session as Row, SessionData, SessionItem};
use crate::store::payment_intents::FutureUsage;
use crate::store::prices::{self, Price};
use crate::store::products::{self, Product};

/// How long a session is open.
const OPEN_FOR: Duration = Duration::hours(24);
const SHORTEST: Duration = Duration::minutes(30);
const MOST_ITEMS: usize = 20;

/// A page that a shopper pays on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// What it is for.
    mode: ModeParam,
    /// Where the shopper goes when done. `{CHECKOUT_SESSION_ID}` in it becomes the session's id.
    success_url: Text<2000>,
    /// Where the shopper goes who won't pay.
    cancel_url: Option<WebAddress>,
    /// Your own id for it.
    client_reference_id: Option<Text<200>>,
    /// Three letters; for `setup`, where it means nothing, it is left out.
    currency: Option<CurrencyCode>,
    /// Who pays. For a subscription one is made, where it is left out.
    customer: Option<IdOf<CustomerId>>,
    /// Unix seconds: half an hour to a day from now.
    expires_at: Option<Moment>,
    /// For what; not for `setup`.
    line_items: Option<Vec<NewItem>>,
    /// The page's language; the browser's, where it is left out.
    locale: Option<Locale>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// What goes into the payment.
    payment_intent_data: Option<PaymentData>,
    /// What it may be paid with.
    #[serde(default, rename = "payment_method_types")]
    _payment_method_types: Option<Vec<MethodType>>,
    /// What goes into the set-up.
    setup_intent_data: Option<SetupData>,
    /// What goes into the subscription.
    subscription_data: Option<SubscriptionData>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ModeParam {
    /// One payment.
    Payment,
    /// Keeping a card.
    Setup,
    /// A subscription.
    Subscription,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Locale {
    Auto,
    Ja,
    En,
}

/// A line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewItem {
    /// Which price.
    price: Option<IdOf<PriceId>>,
    /// One for this session alone.
    price_data: Option<PriceData>,
    /// How many; one where it is left out.
    quantity: Option<Whole<1, 1_000_000>>,
}

/// A price for this one use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PriceData {
    /// Three letters.
    currency: CurrencyCode,
    /// Of what.
    product: Option<IdOf<ProductId>>,
    /// A new product.
    product_data: Option<ProductData>,
    /// How often; once where it is left out.
    recurring: Option<RecurringParams>,
    /// Of one, in minor units.
    unit_amount: UnitAmount,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProductData {
    /// What the shopper reads.
    name: Text<250>,
    /// More of it.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PaymentData {
    /// Your words.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// Keep the card, for payments with the shopper there or without.
    setup_future_usage: Option<Usage>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetupData {
    /// Your words.
    description: Option<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SubscriptionData {
    /// Your words.
    description: Option<Text<500>>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// Days for which nothing is due.
    trial_period_days: Option<Whole<1, 730>>,
}

/// Runs it.
pub async fn run(context: Context, mut asked: CreateSession) -> ApiResult<Session> {
    let (tenant, at) = (context.tenant(), clock::now());
    let id = context.ids().one();
    if !context.first_run && checkout_sessions::find(&mut *context.db().await?, tenant, id).await?.is_some() {
        return by_id(&context, &id.to_string()).await;
    }
    let mode = match asked.mode {
        ModeParam::Payment => Mode::Payment,
        ModeParam::Setup => Mode::Setup,
        ModeParam::Subscription => Mode::Subscription,
    };
    check_address(&asked.success_url)?;
    let expires_at = asked.expires_at.map_or(at + OPEN_FOR, |at| at.0);
    if expires_at < at + SHORTEST - Duration::minutes(1) || expires_at > at + OPEN_FOR {
        return Err(ApiError::invalid("expires_at", "half an hour to a day from now"));
    }
    let customer = match asked.customer {
        Some(id) => Some(existing(&context, id.0, "customer").await?.id),
        None => None,
    };
    let data = data(mode, &mut asked)?;
    let items = items(&context, mode, asked.line_items.take()).await?;
    let currency = currency(mode, &items, asked.currency)?;
    let due = if data.trial_days.is_some() { 0 } else { total(&items)? };
    let row = Row {
        id,
        mode,
        status: Status::Open,
        customer,
        amount: currency.is_some().then_some(due),
        currency,
        items: items.into_iter().map(|(price, quantity)| SessionItem { price: price.id, quantity }).collect(),
        success_url: asked.success_url.into_string(),
        cancel_url: asked.cancel_url.map(WebAddress::into_string),
        locale: match asked.locale {
            Some(Locale::Ja) => "ja",
            Some(Locale::En) => "en",
            Some(Locale::Auto) | None => "auto",
        }
        .to_owned(),
        client_reference: asked.client_reference_id.map(Text::into_string),
        email: None,
        metadata: asked.metadata.of_new()?,
        data,
        intent: None,
        setup: None,
        subscription: None,
        tries: 0,
        trying: false,
        created_at: at,
        expires_at,
        completed_at: None,
    };
    checkout_sessions::insert(&mut *context.db().await?, tenant, &row).await?;
    shown(&mut *context.db().await?, &context, &row).await
}

/// An address, once the session's id is in it.
fn check_address(address: &str) -> ApiResult<()> {
    let filled = address.replace("{CHECKOUT_SESSION_ID}", "cs_x");
    let tree = std::iter::once(("success_url".to_owned(), filled.into())).collect();
    #[derive(Deserialize)]
    struct Sent {
        #[serde(rename = "success_url")]
        _address: WebAddress,
    }
    crate::endpoint::read::read::<Sent>(tree).map(drop)
}

/// What goes further; each mode has its own.
fn data(mode: Mode, asked: &mut CreateSession) -> ApiResult<SessionData> {
    let (payment, setup) = (asked.payment_intent_data.take(), asked.setup_intent_data.take());
    let subscription = asked.subscription_data.take();
    for (given, name, of) in [
        (payment.is_some(), "payment_intent_data", Mode::Payment),
        (setup.is_some(), "setup_intent_data", Mode::Setup),
        (subscription.is_some(), "subscription_data", Mode::Subscription),
    ] {
        if given && mode != of {
            return Err(ApiError::invalid(name, "left out in this mode"));
        }
    }
    let mut data = SessionData { metadata: Map::new(), ..SessionData::default() };
    if let Some(payment) = payment {
        data.description = payment.description.map(Text::into_string);
        data.metadata = payment.metadata.of_new()?;
        let usage = payment.setup_future_usage.map(FutureUsage::from);
        data.future_usage = usage.map(|usage| usage.as_str().to_owned());
    }
    if let Some(setup) = setup {
        data.description = setup.description.map(Text::into_string);
        data.metadata = setup.metadata.of_new()?;
    }
    if let Some(subscription) = subscription {
        data.description = subscription.description.map(Text::into_string);
        data.metadata = subscription.metadata.of_new()?;
        data.trial_days = subscription.trial_period_days.map(|days| days.0);
    }
    Ok(data)
}

async fn items(context: &Context, mode: Mode, asked: Option<Vec<NewItem>>) -> ApiResult<Vec<(Price, i64)>> {
    let asked = asked.unwrap_or_default();
    if asked.is_empty() != (mode == Mode::Setup) || asked.len() > MOST_ITEMS {
        return Err(ApiError::invalid("line_items", "1 to 20, and none in mode setup"));
    }
    let mut items = Vec::with_capacity(asked.len());
    for (number, new) in (0..).zip(asked) {
        let param = format!("line_items[{number}]");
        let price = price(context, number, new.price, new.price_data, &param).await?;
        if price.recurring.is_some() != (mode == Mode::Subscription) {
            return Err(ApiError::invalid(&format!("{param}[price]"), "recurring in mode subscription, else not"));
        }
        items.push((price, new.quantity.map_or(1, |quantity| quantity.0)));
    }
    Ok(items)
}

async fn price(
    context: &Context,
    number: u32,
    named: Option<IdOf<PriceId>>,
    data: Option<PriceData>,
    param: &str,
) -> ApiResult<Price> {
    let tenant = context.tenant();
    let data = match (named, data) {
        (Some(IdOf(id)), None) => {
            let found = prices::find(&mut *context.db().await?, tenant, id).await?;
            let found = found.ok_or_else(|| ApiError::missing("price", &format!("{param}[price]")))?;
            let on_sale = found.active.then_some(found);
            return on_sale.ok_or_else(|| ApiError::invalid(&format!("{param}[price]"), "a price on sale"));
        }
        (None, Some(data)) => data,
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(&format!("{param}[price_data]"), "left out where price is given"));
        }
        (None, None) => return Err(ApiError::new(Code::ParameterMissing).on(format!("{param}[price]"))),
    };
    let recurring = match data.recurring {
        Some(sent) => Some(sent.checked(&format!("{param}[price_data][recurring]"))?),
        None => None,
    };
    let product = match (data.product, data.product_data) {
        (Some(IdOf(id)), None) => id,
        (None, Some(words)) => new_product(context, number, words).await?,
        _ => return Err(ApiError::invalid(&format!("{param}[price_data][product]"), "given, or product_data")),
    };
    let currency = currency_code(data.currency.0);
    new_price(context, number, product, currency, data.unit_amount.0, recurring, param).await
}

async fn new_product(context: &Context, number: u32, words: ProductData) -> ApiResult<ProductId> {
    let (tenant, at) = (context.tenant(), clock::now());
    let made = Product {
        id: context.ids().nth(number),
        name: words.name.into_string(),
        description: words.description.map(Text::into_string),
        unit_label: None,
        url: None,
        active: false,
        default_price: None,
        metadata: words.metadata.of_new()?,
        created_at: at,
        updated_at: at,
    };
    let id = made.id;
    let mut tx = context.begin().await?;
    if products::insert(&mut tx, tenant, &made).await? {
        let told = Happened::to(&render::product::product(tenant, made), events::Kind::ProductCreated)?;
        events::tell(&mut tx, &context.cause(), at, [told]).await?;
        tx.commit().await?;
    }
    Ok(id)
}

fn currency(mode: Mode, items: &[(Price, i64)], said: Option<CurrencyCode>) -> ApiResult<Option<String>> {
    let said = said.map(|said| currency_code(said.0));
    if mode == Mode::Setup {
        return match said {
            None => Ok(None),
            Some(_) => Err(ApiError::invalid("currency", "left out in mode setup")),
        };
    }
    let first = items.first().map(|(price, _)| price);
    let own = first.map(|price| price.currency.clone());
    if items.iter().any(|(price, _)| Some(&price.currency) != own.as_ref()) || said.is_some_and(|it| Some(it) != own) {
        return Err(ApiError::invalid("currency", "the same in all prices"));
    }
    if items.iter().any(|(price, _)| price.recurring != first.and_then(|first| first.recurring)) {
        return Err(ApiError::invalid("line_items", "prices that are due equally often"));
    }
    Ok(own)
}

fn total(items: &[(Price, i64)]) -> ApiResult<i64> {
    let sum = items.iter().try_fold(0_i64, |sum, (price, quantity)| {
        price.unit_amount.checked_mul(*quantity).and_then(|amount| sum.checked_add(amount))
    });
    match sum {
        Some(sum) if sum <= MAX_AMOUNT_MINOR => Ok(sum),
        _ => Err(ApiError::new(Code::AmountTooLarge).on("line_items")),
    }
}
