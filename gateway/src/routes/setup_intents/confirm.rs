//! `POST /v1/setup_intents/{id}/confirm`: saves the card, has its issuer asked, and keeps it if it is good.

use kura_platform::clock;
use kura_wire::ids::SetupIntentId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::create::check_owner;
use super::flow::{self, Step};
use super::render_one;
use crate::codes::Code;
use crate::domain::setup_intent::{Event, Status};
use crate::edge::call::Context;
use crate::endpoint::types::{Text, WebAddress};
use crate::error::{ApiError, ApiResult};
use crate::render::setup_intent::SetupIntent;
use crate::routes::payment_intents::confirm::{MethodOptions, saved};
use crate::routes::payment_methods::naming::{self, MethodName};
use crate::store::cards::{self, Card};
use crate::store::payment_intents::{NamedCard, ThreeDSecure};
use crate::store::setup_intents::{self, Setup};

/// How a set-up is confirmed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSetup {
    /// `pm_…`; the one that the set-up has, where it is left out.
    payment_method: Option<Text<255>>,
    /// A new payment method.
    payment_method_data: Option<naming::MethodData>,
    /// What is said of each method.
    payment_method_options: Option<MethodOptions>,
    /// Where the shopper goes after the issuer's page.
    return_url: Option<WebAddress>,
}

/// What is confirmed, and what was said with it.
pub struct Target {
    /// Which set-up.
    pub id: SetupIntentId,
    /// Where the shopper goes afterwards.
    pub return_url: Option<String>,
    /// When 3-D Secure is asked for.
    pub three_d_secure: Option<ThreeDSecure>,
}

/// Runs it.
pub async fn run(context: Context, asked: ConfirmSetup) -> ApiResult<SetupIntent> {
    let (saved, data) = (asked.payment_method.as_deref(), asked.payment_method_data);
    let name = naming::named(saved, data, context.tenant().livemode())?.map(MethodName::into_card).transpose()?;
    let id = context.id("setup_intent")?;
    if !context.first_run
        && let Some(answer) = meet(&context, id, true).await?
    {
        return Ok(answer);
    }
    let named = match name {
        Some(name) => Some(naming::find(&context, &name).await?),
        None => None,
    };
    let target = Target {
        id,
        return_url: asked.return_url.map(WebAddress::into_string),
        three_d_secure: asked.payment_method_options.as_ref().and_then(MethodOptions::three_d_secure),
    };
    confirm(&context, target, named).await
}

/// The answer about what an earlier run of this request did, where it did anything. A confirmation that never began is begun.
pub(super) async fn meet(context: &Context, id: SetupIntentId, confirms: bool) -> ApiResult<Option<SetupIntent>> {
    let setup = setup_intents::find(&mut *context.db().await?, context.tenant(), id).await?;
    match setup {
        Some(setup) if confirms && setup.status == Status::RequiresConfirmation => Ok(None),
        Some(setup) if confirms && setup.status == Status::RequiresPaymentMethod && setup.last_error.is_none() => {
            Ok(None)
        }
        Some(setup) => answer(context, &setup).await.map(Some),
        None => Ok(None),
    }
}

/// Confirms, and answers.
///
/// # Errors
/// 400 for what the status or the card's owner refuse, 402 for what the issuer does.
pub(in crate::routes) async fn confirm(
    context: &Context,
    target: Target,
    named: Option<(NamedCard, Card)>,
) -> ApiResult<SetupIntent> {
    let tenant = context.tenant();
    let (named, card) = match named {
        Some(named) => named,
        None => kept(context, target.id).await?,
    };
    let (named, card) = saved(context, (named, card)).await?;
    let mut tx = context.begin().await?;
    let setup = setup_intents::lock(&mut tx, tenant, target.id).await?;
    let setup = setup.ok_or_else(|| ApiError::missing("setup_intent", "id"))?;
    check_owner(setup.customer, Some(&(named, card)))?;
    let status = setup.status.after(Event::NameCard).and_then(|status| status.after(Event::Confirm));
    let Some(status) = status else { return Err(refused(&setup, "confirm")) };
    let setup = Setup {
        status,
        card: Some(named),
        last_error: None,
        return_url: target.return_url.or(setup.return_url),
        three_d_secure: target.three_d_secure.unwrap_or(setup.three_d_secure),
        ..setup
    };
    let step = if setup.three_d_secure == ThreeDSecure::Automatic { Step::Verify } else { Step::Authenticate };
    let setup = flow::begin(context, &mut tx, setup, step, clock::now()).await?;
    tx.commit().await?;
    let setup = flow::go_on(context, setup).await?;
    answer(context, &setup).await
}

/// The card that the set-up has.
async fn kept(context: &Context, id: SetupIntentId) -> ApiResult<(NamedCard, Card)> {
    let mut db = context.db().await?;
    let setup = setup_intents::find(&mut db, context.tenant(), id).await?;
    let setup = setup.ok_or_else(|| ApiError::missing("setup_intent", "id"))?;
    let Some(named) = setup.card else {
        return Err(if setup.status.is_open() {
            ApiError::new(Code::SetupPaymentMethodMissing)
        } else {
            refused(&setup, "confirm")
        });
    };
    let card = cards::find(&mut db, context.tenant(), named.record).await?;
    Ok((named, card.ok_or_else(|| ApiError::internal("a set-up without its card"))?))
}

/// The set-up as it is, or the 402 of a card that was refused.
async fn answer(context: &Context, setup: &Setup) -> ApiResult<SetupIntent> {
    let shown = render_one(context, setup).await?;
    let Some(error) = setup.last_error.as_ref().filter(|_| setup.status == Status::RequiresPaymentMethod) else {
        return Ok(shown);
    };
    let code = Code::of_word(&error.code).unwrap_or(Code::CardDeclined);
    let rendered = serde_json::to_value(shown).map_err(ApiError::internal)?;
    let refused = ApiError::new(code).about_setup(rendered);
    Err(match &error.decline_code {
        Some(decline_code) => refused.declined_for(decline_code.clone()),
        None => refused,
    })
}

/// The 400 of what a status refuses.
pub(super) fn refused(setup: &Setup, what: &str) -> ApiError {
    let message = format!("You cannot {what} this SetupIntent because it has a status of {}.", setup.status.as_str());
    ApiError::with_message(Code::SetupIntentUnexpectedState, message)
}
