//! `POST /v1/setup_intents`, with `confirm=true` in one call.

use kura_platform::clock;
use kura_wire::ids::{CustomerId, SetupIntentId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::confirm::{Target, confirm, meet};
use super::{render_in, render_one};
use crate::codes::Code;
use crate::domain::setup_intent::Status;
use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Metadata, Text, WebAddress};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::setup_intent::SetupIntent;
use crate::routes::customers::existing;
use crate::routes::payment_intents::confirm::{MethodOptions, Usage};
use crate::routes::payment_intents::create::{Automatic, automatic};
use crate::routes::payment_methods::naming::{self, MethodData, MethodName, MethodType};
use crate::store::cards::Card;
use crate::store::checkout_sessions::Session;
use crate::store::payment_intents::{FutureUsage, NamedCard, ThreeDSecure};
use crate::store::setup_intents::{self, Setup};

/// A card to be set up for later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSetup {
    /// Whether you leave the methods to us; so it is where `payment_method_types` is left out.
    automatic_payment_methods: Option<Automatic>,
    /// Have the card checked at once.
    #[serde(default)]
    confirm: bool,
    /// For whom; the card is attached to them.
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
    /// What is said of each method.
    payment_method_options: Option<MethodOptions>,
    /// What may be kept.
    payment_method_types: Option<Vec<MethodType>>,
    /// With `confirm`: where the shopper goes after the issuer's page.
    return_url: Option<WebAddress>,
    /// What it is kept for: `off_session` where it is left out.
    usage: Option<Usage>,
}

/// Runs it.
pub async fn run(context: Context, asked: CreateSetup) -> ApiResult<SetupIntent> {
    let (saved, data) = (asked.payment_method.as_deref(), asked.payment_method_data);
    let name = naming::named(saved, data, context.tenant().livemode())?.map(MethodName::into_card).transpose()?;
    let automatic = automatic(asked.automatic_payment_methods.as_ref(), asked.payment_method_types.as_deref())?;
    if asked.return_url.is_some() && !asked.confirm {
        return Err(ApiError::invalid("return_url", "given with confirm=true"));
    }
    let metadata = asked.metadata.of_new()?;
    let id: SetupIntentId = context.ids().one();
    if !context.first_run
        && let Some(answer) = meet(&context, id, asked.confirm).await?
    {
        return Ok(answer);
    }
    let customer = match asked.customer {
        Some(id) => Some(existing(&context, id.0, "customer").await?.id),
        None => None,
    };
    let named = match name {
        Some(name) => Some(naming::find(&context, &name).await?),
        None => None,
    };
    check_owner(customer, named.as_ref())?;
    let options = asked.payment_method_options.as_ref();
    let setup = Setup {
        id,
        status: if named.is_some() { Status::RequiresConfirmation } else { Status::RequiresPaymentMethod },
        usage: asked.usage.map_or(FutureUsage::OffSession, FutureUsage::from),
        customer,
        card: named.as_ref().map(|(named, _)| *named),
        description: asked.description.map(Text::into_string),
        metadata,
        automatic_payment_methods: automatic,
        return_url: asked.return_url.map(WebAddress::into_string),
        three_d_secure: options.and_then(MethodOptions::three_d_secure).unwrap_or_default(),
        last_error: None,
        cancellation_reason: None,
        question: None,
        authentication: None,
        resolve_at: None,
        created_at: clock::now(),
    };
    let made = insert(&context, setup).await?;
    if asked.confirm {
        return confirm(&context, Target { id, return_url: None, three_d_secure: None }, named).await;
    }
    render_one(&context, &made).await
}

/// The named card is nobody's, or this customer's.
pub(super) fn check_owner(customer: Option<CustomerId>, named: Option<&(NamedCard, Card)>) -> ApiResult<()> {
    let foreign = named.is_some_and(|(_, card)| card.customer.is_some() && card.customer != customer);
    if foreign { Err(ApiError::new(Code::CustomerMismatch).on("payment_method")) } else { Ok(()) }
}

/// The set-up of a checkout session, made unless it is there.
///
/// # Errors
/// The database's.
pub(crate) async fn of_checkout(context: &Context, session: &Session) -> ApiResult<SetupIntentId> {
    let setup = Setup {
        id: context.ids().one(),
        status: Status::RequiresPaymentMethod,
        usage: FutureUsage::OffSession,
        customer: session.customer,
        card: None,
        description: session.data.description.clone(),
        metadata: session.data.metadata.clone(),
        automatic_payment_methods: false,
        return_url: None,
        three_d_secure: ThreeDSecure::default(),
        last_error: None,
        cancellation_reason: None,
        question: None,
        authentication: None,
        resolve_at: None,
        created_at: clock::now(),
    };
    Ok(insert(context, setup).await?.id)
}

/// Writes the set-up down, or meets the one that an earlier run of this request wrote.
async fn insert(context: &Context, setup: Setup) -> ApiResult<Setup> {
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    if setup_intents::insert(&mut tx, tenant, &setup).await? {
        let shown = render_in(&mut tx, &context.app, tenant, &setup).await?;
        let told = Happened::to(&shown, events::Kind::SetupIntentCreated)?;
        events::tell(&mut tx, &context.cause(), setup.created_at, [told]).await?;
        tx.commit().await?;
        return Ok(setup);
    }
    drop(tx);
    let met = setup_intents::find(&mut *context.db().await?, tenant, setup.id).await?;
    met.ok_or_else(|| ApiError::internal("a set-up that is there and isn't"))
}
