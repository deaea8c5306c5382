//! What confirm, capture, cancel and refund share: finding out whether an earlier run of the same request already made an
//! attempt, and turning an attempt's end into an answer.

use kura_platform::database::PgConnection;

use super::render_one;
use crate::codes::Code;
use crate::domain::payment_intent::{Refusal, Status};
use crate::edge::call::Context;
use crate::error::{ApiError, ApiResult};
use crate::money_path::{Carried, Ending};
use crate::render::payment_intent::{PaymentIntent, message_of};
use crate::request_ids::AttemptIds;
use crate::store::attempts::{self, Attempt, Kind, State};
use crate::store::cards::Card;
use crate::store::payment_intents::Intent;
use crate::three_d_secure::Gone;

/// Attempts of one request at the most: each but the last ended with nothing sent.
const MAX_ATTEMPTS: u32 = 100;

/// Whether a request is to make an attempt, or has made it.
pub enum NextAttempt {
    /// To be made, with these ids.
    Fresh(AttemptIds),
    /// An earlier run made it: it may be under way or over. It must not be made again.
    Met(Attempt),
}

/// Looks for what an earlier run of this request did. The payment is locked, so no other run can be between here and its
/// own insert.
pub async fn next_attempt(context: &Context, conn: &mut PgConnection) -> ApiResult<NextAttempt> {
    if context.first_run {
        return Ok(NextAttempt::Fresh(context.ids().attempt(0)));
    }
    for number in 0..MAX_ATTEMPTS {
        let ids = context.ids().attempt(number);
        match attempts::find(conn, context.tenant(), ids.attempt).await? {
            None => return Ok(NextAttempt::Fresh(ids)),
            Some(met) if met.state == State::Unsent => {}
            Some(met) => return Ok(NextAttempt::Met(met)),
        }
    }
    Err(ApiError::new(Code::VaultUnavailable).retry_after(5))
}

/// The answer to a request whose attempt was carried out.
pub async fn answer(context: &Context, carried: Carried, card: Option<&Card>) -> ApiResult<PaymentIntent> {
    let Carried { intent, ending, .. } = carried;
    match ending {
        None | Some(Ending::Approved { .. }) => render_one(context, &intent, card).await,
        Some(Ending::Unsent(failure)) => Err(failure.into()),
        Some(Ending::Declined { decline_code, .. }) => {
            Err(declined(context, &intent, card, Some(decline_code.as_str())).await?)
        }
        Some(Ending::Reversed) => Err(declined(context, &intent, card, None).await?),
    }
}

/// The answer to a request whose payment went through an authentication.
pub async fn answer_gone(context: &Context, gone: Gone) -> ApiResult<PaymentIntent> {
    match gone {
        Gone::Waits(intent) => render_one(context, &intent, None).await,
        Gone::Asked(carried) => answer(context, *carried, None).await,
        Gone::Refused(intent) => {
            let rendered = render_one(context, &intent, None).await?;
            let rendered = serde_json::to_value(rendered).map_err(ApiError::internal)?;
            Err(ApiError::new(Code::AuthenticationFailed).about(None, rendered))
        }
    }
}

/// The answer to a request whose attempt an earlier run made.
pub async fn answer_met(context: &Context, met: &Attempt, intent: &Intent) -> ApiResult<PaymentIntent> {
    match met.state {
        _ if met.stepped_up || met.kind == Kind::Deposit => render_one(context, intent, None).await,
        State::Unresolved | State::Approved | State::Unsent => render_one(context, intent, None).await,
        State::Declined | State::Reversed => {
            let code = intent.last_error.as_ref().and_then(|error| error.decline_code.clone());
            Err(declined(context, intent, None, code.as_deref()).await?)
        }
    }
}

/// The 402 of a payment that the card or the network refused.
async fn declined(
    context: &Context,
    intent: &Intent,
    card: Option<&Card>,
    decline_code: Option<&str>,
) -> ApiResult<ApiError> {
    let code = decline_code.map_or(Code::ProcessingError, Code::of_decline);
    let message = intent.last_error.as_ref().map_or(code.message(), message_of);
    let charge = intent.latest_charge.filter(|_| decline_code.is_some()).map(|id| id.to_string());
    let rendered = render_one(context, intent, card).await?;
    let rendered = serde_json::to_value(rendered).map_err(ApiError::internal)?;
    let error = ApiError::with_message(code, message).about(charge, rendered);
    Ok(match decline_code {
        Some(decline_code) => error.declined_for(decline_code),
        None => error,
    })
}

/// The 400 of an event that the state machine refuses.
pub fn refused(intent: &Intent, what: &str, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::AmountTooLarge => ApiError::new(Code::AmountTooLarge).on("amount_to_capture"),
        Refusal::AmountTooSmall => ApiError::new(Code::AmountTooSmall).on("amount_to_capture"),
        Refusal::Status | Refusal::NothingCaptured | Refusal::NothingLeft => {
            let status = intent.progress.status;
            if status == Status::RequiresPaymentMethod && what == "confirm" {
                return ApiError::new(Code::PaymentMethodMissing);
            }
            let message =
                format!("You cannot {what} this PaymentIntent because it has a status of {}.", status.as_str());
            ApiError::with_message(Code::PaymentIntentUnexpectedState, message)
        }
    }
}
