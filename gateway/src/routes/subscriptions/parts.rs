//! What creating and updating a subscription have in common.

use kura_wire::ids::{CustomerId, PriceId, ProductId, TokenUse};
use kura_wire::money::{MAX_AMOUNT_MINOR, currency_code};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Map;
use time::OffsetDateTime;

use crate::codes::Code;
use crate::domain::calendar::Recurring;
use crate::domain::invoice::Collection;
use crate::domain::subscription::{Pause, PauseBehavior};
use crate::edge::call::Context;
use crate::endpoint::read;
use crate::endpoint::types::{CurrencyCode, IdOf, Moment, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render;
use crate::routes::invoices::create::DaysUntilDue;
use crate::routes::payment_methods::naming::{self, CardName};
use crate::routes::prices::create::{RecurringParams, UnitAmount};
use crate::store::cards::Card;
use crate::store::prices::{self, Price};
use crate::store::products;
use crate::store::subscription_items::Item;

/// A price for this one use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceData {
    /// Three letters.
    currency: CurrencyCode,
    /// Of what.
    product: IdOf<ProductId>,
    /// How often.
    recurring: RecurringParams,
    /// Of one, in minor units.
    unit_amount: UnitAmount,
}

/// What is done for a period that has begun when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// The parts are put on the next invoice.
    CreateProrations,
    /// The parts are put on an invoice at once.
    AlwaysInvoice,
    /// Nothing.
    None,
}

/// What happens where the first payment is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Behavior {
    /// It is tried; the subscription is incomplete until it is made.
    AllowIncomplete,
    /// It is not tried: the shopper makes it.
    DefaultIncomplete,
    /// It is tried; there is no subscription where it is not made.
    ErrorIfIncomplete,
}

/// How invoices are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CollectionMethod {
    /// From the card.
    ChargeAutomatically,
    /// They are sent; the customer pays by a day.
    SendInvoice,
}

impl From<CollectionMethod> for Collection {
    fn from(sent: CollectionMethod) -> Self {
        match sent {
            CollectionMethod::ChargeAutomatically => Self::ChargeAutomatically,
            CollectionMethod::SendInvoice => Self::SendInvoice,
        }
    }
}

/// How many days a customer has for an invoice that is sent; `None` where they are charged. `before`: as it was.
///
/// # Errors
/// 400 for days of what is charged, and for none of what is sent.
pub fn days_until_due(
    method: Option<CollectionMethod>,
    days: Option<DaysUntilDue>,
    before: Option<i16>,
) -> ApiResult<Option<i16>> {
    let days = days.and_then(|days| i16::try_from(days.0).ok());
    match method.map_or(Collection::of(before.is_some()), Collection::from) {
        Collection::ChargeAutomatically if days.is_some() => {
            Err(ApiError::invalid("days_until_due", "left out unless collection_method is send_invoice"))
        }
        Collection::ChargeAutomatically => Ok(None),
        Collection::SendInvoice => {
            let days = days.or(before).ok_or_else(|| ApiError::new(Code::ParameterMissing).on("days_until_due"))?;
            Ok(Some(days))
        }
    }
}

/// Collection is to rest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseCollection {
    /// What becomes of invoices meanwhile.
    behavior: PausedInvoices,
    /// Until then; until you empty it where it is left out. Unix seconds.
    resumes_at: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PausedInvoices {
    /// They stay drafts.
    KeepAsDraft,
    /// They are given up.
    MarkUncollectible,
    /// They are called off.
    Void,
}

impl PauseCollection {
    /// As a subscription has it.
    ///
    /// # Errors
    /// 400 for what is over.
    pub fn checked(&self, at: OffsetDateTime) -> ApiResult<Pause> {
        let resumes_at = self.resumes_at.map(|at| at.0);
        if resumes_at.is_some_and(|then| then <= at) {
            return Err(ApiError::invalid("pause_collection[resumes_at]", "later than now"));
        }
        let behavior = match self.behavior {
            PausedInvoices::KeepAsDraft => PauseBehavior::KeepAsDraft,
            PausedInvoices::MarkUncollectible => PauseBehavior::MarkUncollectible,
            PausedInvoices::Void => PauseBehavior::Void,
        };
        Ok(Pause { behavior, resumes_at })
    }
}

/// How a subscription is paid.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentSettings {
    /// Whether the card of the first payment becomes the subscription's.
    pub save_default_payment_method: Option<Saves>,
}

/// Whether the card of the first payment becomes the subscription's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saves {
    /// No.
    Off,
    /// Yes.
    OnSubscription,
}

/// What a trial ends with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialSettings {
    end_behavior: EndBehavior,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndBehavior {
    /// Where there is no card.
    missing_payment_method: WithoutCard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WithoutCard {
    /// It is canceled.
    Cancel,
    /// An invoice is made.
    CreateInvoice,
}

impl TrialSettings {
    /// Whether a trial without a card is the end.
    pub fn cancels(&self) -> bool {
        self.end_behavior.missing_payment_method == WithoutCard::Cancel
    }
}

/// `now`, or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NowOr {
    /// At once.
    Now,
    /// Then.
    At(OffsetDateTime),
}

impl<'de> Deserialize<'de> for NowOr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.as_str() == Some("now") {
            return Ok(Self::Now);
        }
        read::again::<Moment, _>(value).map(|at| Self::At(at.0))
    }
}

impl JsonSchema for NowOr {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NowOrMoment".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string", "enum": ["now"] }, generator.subschema_for::<Moment>()],
        })
    }
}

/// A price that a subscription can have, with the name of its product; made, where it is described in words.
///
/// # Errors
/// 404, and 400 for what is due once, off sale, or another currency.
pub async fn price(
    context: &Context,
    number: u32,
    named: Option<IdOf<PriceId>>,
    data: Option<PriceData>,
    param: &str,
) -> ApiResult<(Price, Recurring, String)> {
    let tenant = context.tenant();
    let price = match (named, data) {
        (Some(IdOf(id)), None) => {
            let found = prices::find(&mut *context.db().await?, tenant, id).await?;
            let found = found.ok_or_else(|| ApiError::missing("price", &format!("{param}[price]")))?;
            if !found.active {
                return Err(ApiError::invalid(&format!("{param}[price]"), "a price on sale"));
            }
            found
        }
        (None, Some(data)) => {
            let recurring = data.recurring.checked(&format!("{param}[price_data][recurring]"))?;
            let (currency, product) = (currency_code(data.currency.0), data.product.0);
            new_price(context, number, product, currency, data.unit_amount.0, Some(recurring), param).await?
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(&format!("{param}[price_data]"), "left out where price is given"));
        }
        (None, None) => return Err(ApiError::new(Code::ParameterMissing).on(format!("{param}[price]"))),
    };
    let recurring = price.recurring;
    let recurring = recurring.ok_or_else(|| ApiError::invalid(&format!("{param}[price]"), "a recurring price"))?;
    let product = products::find(&mut *context.db().await?, tenant, price.product).await?;
    let product = product.ok_or_else(|| ApiError::internal("a price without its product"))?;
    Ok((price, recurring, product.name))
}

/// A price that was described where it is used. It is not on sale.
///
/// # Errors
/// 404 for another's product.
pub async fn new_price(
    context: &Context,
    number: u32,
    product: ProductId,
    currency: String,
    unit_amount: i64,
    recurring: Option<Recurring>,
    param: &str,
) -> ApiResult<Price> {
    let tenant = context.tenant();
    let made = Price {
        id: context.ids().nth(number),
        product,
        currency,
        unit_amount,
        recurring,
        nickname: None,
        lookup_key: None,
        active: false,
        metadata: Map::new(),
        created_at: kura_platform::clock::now(),
    };
    let mut tx = context.begin().await?;
    let found = products::find(&mut tx, tenant, made.product).await?;
    found.ok_or_else(|| ApiError::missing("product", &format!("{param}[price_data][product]")))?;
    if prices::insert(&mut tx, tenant, &made).await? {
        let told = Happened::to(&render::product::price(tenant, &made), events::Kind::PriceCreated)?;
        events::tell(&mut tx, &context.cause(), made.created_at, [told]).await?;
        tx.commit().await?;
    }
    Ok(made)
}

/// The items of a subscription are due together, in one currency, each price once, and one payment can move their sum.
///
/// # Errors
/// 400.
pub fn check_together(items: &[Item]) -> ApiResult<()> {
    let Some(first) = items.first() else {
        return Err(ApiError::invalid("items", "at least one"));
    };
    if items.iter().any(|item| item.recurring != first.recurring) {
        return Err(ApiError::invalid("items", "prices that are due equally often"));
    }
    if items.iter().any(|item| item.price.currency != first.price.currency) {
        return Err(ApiError::invalid("items", "prices of one currency"));
    }
    let twice = |item: &Item| items.iter().any(|other| other.id != item.id && other.price.id == item.price.id);
    if items.iter().any(twice) {
        return Err(ApiError::invalid("items", "each price once; say the quantity instead"));
    }
    let sum = items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.amount()));
    match sum {
        Some(sum) if sum <= MAX_AMOUNT_MINOR => Ok(()),
        _ => Err(ApiError::new(Code::AmountTooLarge).on("items")),
    }
}

/// A card of this customer's.
///
/// # Errors
/// 404; 400 for another's.
pub async fn card_of(context: &Context, customer: CustomerId, name: &Text<255>) -> ApiResult<Card> {
    const PARAM: &str = "default_payment_method";
    let name = CardName::parse(name, TokenUse::Multi, context.tenant().livemode(), PARAM)?;
    let (_, card) = naming::find(context, &name).await?;
    if card.customer == Some(customer) { Ok(card) } else { Err(ApiError::new(Code::CustomerMismatch).on(PARAM)) }
}
