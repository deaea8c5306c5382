//! `POST /v1/setup_intents/{id}` and `…/cancel`.

use kura_platform::clock;
use kura_wire::ids::CustomerId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::confirm::refused;
use super::create::check_owner;
use super::{render_in, render_one};
use crate::domain::setup_intent::{Event, Status};
use crate::edge::call::Context;
use crate::endpoint::types::{IdOf, Metadata, Patch, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened};
use crate::render::setup_intent::SetupIntent;
use crate::routes::customers::existing;
use crate::routes::payment_intents::confirm::MethodOptions;
use crate::routes::payment_methods::naming::{self, MethodName};
use crate::store::setup_intents::{self, Setup};

/// What is to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSetup {
    /// For whom.
    customer: Option<IdOf<CustomerId>>,
    /// Your words.
    #[serde(default)]
    description: Patch<Text>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
    /// `pm_…`.
    payment_method: Option<Text<255>>,
    /// A new payment method.
    payment_method_data: Option<naming::MethodData>,
    /// What is said of each method.
    payment_method_options: Option<MethodOptions>,
}

/// Runs it.
pub async fn run(context: Context, asked: UpdateSetup) -> ApiResult<SetupIntent> {
    let (saved, data) = (asked.payment_method.as_deref(), asked.payment_method_data);
    let name = naming::named(saved, data, context.tenant().livemode())?.map(MethodName::into_card).transpose()?;
    let id = context.id("setup_intent")?;
    let customer = match asked.customer {
        Some(id) => Some(existing(&context, id.0, "customer").await?.id),
        None => None,
    };
    let named = match name {
        Some(name) => Some(naming::find(&context, &name).await?),
        None => None,
    };
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let setup = setup_intents::lock(&mut tx, tenant, id).await?;
    let mut setup = setup.ok_or_else(|| ApiError::missing("setup_intent", "id"))?;
    let options = asked.payment_method_options.as_ref().and_then(MethodOptions::three_d_secure);
    if (customer.is_some() || named.is_some() || options.is_some()) && !setup.status.is_open() {
        return Err(refused(&setup, "update the customer or payment method of"));
    }
    setup.customer = customer.or(setup.customer);
    setup.three_d_secure = options.unwrap_or(setup.three_d_secure);
    check_owner(setup.customer, named.as_ref())?;
    if let Some((named, _)) = named {
        setup.card = Some(named);
        setup.status = setup.status.after(Event::NameCard).ok_or_else(|| ApiError::internal("not open"))?;
    }
    setup.description = asked.description.map(Text::into_string).apply(setup.description);
    setup.metadata = asked.metadata.apply(setup.metadata)?;
    setup_intents::update(&mut tx, tenant, &setup).await?;
    let shown = render_in(&mut tx, &context.app, tenant, &setup).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Why a set-up is called off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSetup {
    /// Your reason.
    cancellation_reason: Option<Reason>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Abandoned,
    Duplicate,
    RequestedByCustomer,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Duplicate => "duplicate",
            Self::RequestedByCustomer => "requested_by_customer",
        }
    }
}

/// Calls it off.
pub async fn cancel(context: Context, asked: CancelSetup) -> ApiResult<SetupIntent> {
    let (tenant, id) = (context.tenant(), context.id("setup_intent")?);
    let mut tx = context.begin().await?;
    let setup = setup_intents::lock(&mut tx, tenant, id).await?;
    let setup = setup.ok_or_else(|| ApiError::missing("setup_intent", "id"))?;
    // An earlier run of this request canceled it.
    if !context.first_run && setup.status == Status::Canceled {
        drop(tx);
        return render_one(&context, &setup).await;
    }
    let Some(status) = setup.status.after(Event::Cancel) else { return Err(refused(&setup, "cancel")) };
    let reason = asked.cancellation_reason.map(Reason::as_str);
    let setup = Setup { status, cancellation_reason: reason.map(str::to_owned), ..setup };
    setup_intents::update(&mut tx, tenant, &setup).await?;
    let shown = render_in(&mut tx, &context.app, tenant, &setup).await?;
    let told = Happened::to(&shown, events::Kind::SetupIntentCanceled)?;
    events::tell(&mut tx, &context.cause(), clock::now(), [told]).await?;
    tx.commit().await?;
    Ok(shown)
}
