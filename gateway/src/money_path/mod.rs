//! The way of every movement of money: written down, asked once, written down again.
//!
//! 1. [`open`], in the caller's transaction: the attempt's row, with its id and network reference, and the payment
//!    `processing`. After this commit the attempt can't be forgotten.
//! 2. [`carry_out`]: the vault is asked, outside any transaction, once.
//! 3. [`settle`]: in one transaction the attempt's end, the payment, the charge or refund, the books, the timeline. Whoever
//!    comes first settles (the request or the recovery worker); the other finds it done.
//!
//! Where the end is not known there is no third step: the payment stays `processing` until the worker knows.

pub mod groups;
mod settling;

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::card::{CvcCheck, DeclineCode};
use kura_wire::ids::TokenUse;
use kura_wire::money::{Money, parse_currency};
use kura_wire::vault::{Authorize, Context, CvcRule, FollowUp, Initiator, Outcome, VaultErrorCode};

use crate::app::App;
use crate::deposits;
use crate::domain::payment_intent::End;
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Cause, Happened};
use crate::render;
use crate::store::Tenant;
use crate::store::attempts::{self, Attempt, Kind, State};
use crate::store::authentications::Authentication;
use crate::store::cards::Card;
use crate::store::methods::{self, Method};
use crate::store::payment_intents::{self, Intent, NamedCard};
use crate::store::timeline::{self, Entry};
use crate::three_d_secure;
use crate::vault_client::VaultFailure;
use groups::{Settled, Settlement};
use settling::Settling;

/// How an attempt ended, with what the network said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Yes.
    Approved {
        /// Field 38.
        approval_code: String,
        /// The security code's check.
        cvc_check: CvcCheck,
    },
    /// No.
    Declined {
        /// Why.
        decline_code: DeclineCode,
        /// Field 39.
        response_code: String,
        /// The security code's check.
        cvc_check: CvcCheck,
    },
    /// It did not happen.
    Reversed,
    /// The vault refused before anything was sent.
    Unsent(VaultFailure),
}

impl Ending {
    /// What the vault's answer means. `None`: nothing is known yet.
    pub fn of(answer: Result<Outcome, VaultFailure>) -> Option<Self> {
        match answer {
            Ok(Outcome::Approved { approval_code, cvc_check }) => Some(Self::Approved { approval_code, cvc_check }),
            Ok(Outcome::Declined { decline_code, response_code, cvc_check }) => {
                Some(Self::Declined { decline_code, response_code, cvc_check })
            }
            Ok(Outcome::Reversed) => Some(Self::Reversed),
            Ok(Outcome::Unknown) => None,
            Err(failure) if failure.surely_unsent() => Some(Self::Unsent(failure)),
            Err(_) => None,
        }
    }

    fn end(&self) -> End {
        match self {
            Self::Approved { .. } => End::Approved,
            Self::Declined { .. } => End::Declined,
            Self::Reversed => End::Reversed,
            // The card itself was refused: there is no use in asking again with it.
            Self::Unsent(VaultFailure::Refused(
                VaultErrorCode::TokenUsed
                | VaultErrorCode::TokenUnknown
                | VaultErrorCode::CardExpired
                | VaultErrorCode::CvcRequired
                | VaultErrorCode::ExposedCardRefused,
            )) => End::Reversed,
            Self::Unsent(_) => End::Unsent,
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Approved { .. } => State::Approved,
            Self::Declined { .. } => State::Declined,
            Self::Reversed => State::Reversed,
            Self::Unsent(_) => State::Unsent,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Declined { decline_code, .. } => Some(decline_code.as_str()),
            _ => None,
        }
    }
}

/// Writes an attempt down. Part of the transaction that sets the payment going.
pub async fn open(app: &App, conn: &mut PgConnection, tenant: Tenant, attempt: &Attempt) -> ApiResult<()> {
    attempts::insert(conn, tenant, attempt, attempt.created_at + app.recover_after).await?;
    Ok(())
}

/// The timeline's entry for an attempt that was opened or has ended.
pub fn entry(kind: &'static str, attempt: &Attempt, code: Option<&str>) -> Entry {
    Entry {
        kind,
        attempt: Some(attempt.id),
        network_reference: Some(attempt.network_reference.clone()),
        amount_minor: Some(attempt.amount_minor),
        code: code.map(str::to_owned),
    }
}

/// How the call went.
#[derive(Debug)]
pub struct Carried {
    /// The payment afterwards.
    pub intent: Intent,
    /// The end, if it is known.
    pub ending: Option<Ending>,
    /// The proof that the network asked for instead of saying yes.
    pub step_up: Option<Authentication>,
}

/// The card that is charged.
#[derive(Debug, Clone)]
pub struct Charged {
    /// What is known of it.
    pub card: Card,
    /// By which of its names.
    pub allows: TokenUse,
    /// What is to be done where its security code is not at hand.
    pub cvc: CvcRule,
}

/// Asks the vault, once, and settles what it says. `intent` is the payment as it was left when the attempt was opened.
///
/// # Errors
/// The database's, after which the recovery worker settles.
pub async fn carry_out(
    app: &App,
    cause: &Cause,
    context: Context,
    attempt: &Attempt,
    charged: Option<&Charged>,
    intent: Intent,
) -> ApiResult<Carried> {
    let answer = ask(app, context, attempt, charged).await?;
    let Some(ending) = Ending::of(answer) else {
        tell_processing(app, cause, attempt).await?;
        return Ok(Carried { intent, ending: None, step_up: None });
    };
    let card = charged.map(|charged| &charged.card);
    if let Some(settlement) = Settlement::of(cause, attempt, &ending, card, &intent)
        && let Settled::Done(intent) = app.grouped.settlements.ask(cause.tenant, settlement).await?
    {
        return Ok(Carried { intent: *intent, ending: Some(ending), step_up: None });
    }
    let (intent, step_up) = settle(app, cause, attempt, &ending, card).await?;
    Ok(Carried { intent, ending: Some(ending), step_up })
}

/// Tells, once for each attempt, that a payment is `processing`: that its end is not known and may take a while.
///
/// # Errors
/// The database's; then nothing is told, and the recovery worker does it.
pub async fn tell_processing(app: &App, cause: &Cause, attempt: &Attempt) -> ApiResult<()> {
    if attempt.kind == Kind::Refund {
        return Ok(());
    }
    let (tenant, at) = (cause.tenant, clock::now());
    let mut tx = app.db.begin(tenant).await?;
    let intent = payment_intents::lock(&mut tx, tenant, attempt.intent).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an attempt without its payment"))?;
    if !attempts::mark_told(&mut tx, tenant, attempt.id).await? {
        return Ok(());
    }
    let method = methods::find(&mut tx, tenant, attempt.method).await?;
    let shown = render::payment_intent::payment_intent(tenant, &intent, method.as_ref(), None);
    events::tell(&mut tx, cause, at, [Happened::to(&shown, events::Kind::PaymentIntentProcessing)?]).await?;
    tx.commit().await?;
    Ok(())
}

async fn ask(
    app: &App,
    context: Context,
    attempt: &Attempt,
    charged: Option<&Charged>,
) -> ApiResult<Result<Outcome, VaultFailure>> {
    let money = Money::new(attempt.amount_minor, parse_currency(&attempt.currency).map_err(ApiError::internal)?)
        .map_err(ApiError::internal)?;
    let network_reference = attempt.network_reference.clone();
    let follow_up = |context, network_reference| {
        let original = attempt.original.ok_or_else(|| ApiError::internal("a follow-up without its original"))?;
        Ok::<_, ApiError>(FollowUp { context, attempt: attempt.id, network_reference, original, money })
    };
    Ok(match (attempt.kind, charged) {
        (Kind::Authorize, Some(charged)) => {
            let (token, cvc, capture) = (charged.card.token(charged.allows), charged.cvc, attempt.capture);
            let ask = Authorize {
                context,
                attempt: attempt.id,
                network_reference,
                token,
                money,
                capture,
                cvc,
                initiator: if attempt.off_session { Initiator::Merchant } else { Initiator::Cardholder },
                authentication: attempt.authentication,
            };
            app.vault.authorize(&ask).await
        }
        (Kind::Authorize, None) => return Err(ApiError::internal("an authorization without a token")),
        (Kind::Capture, _) => app.vault.capture(&follow_up(context, network_reference)?).await,
        (Kind::Void, _) => app.vault.void(&follow_up(context, network_reference)?).await,
        (Kind::Refund, _) => match deposits::again(attempt, &context)? {
            Some(ask) => app.vault.give_back(&ask).await.map(deposits::given_back),
            None => app.vault.refund(&follow_up(context, network_reference)?).await,
        },
        (Kind::Deposit, _) => return Err(ApiError::internal("a deposit goes its own way")),
    })
}

/// Writes down how an attempt ended, and all that follows. Settling twice changes nothing.
///
/// # Errors
/// The database's; nothing is written then.
pub async fn settle(
    app: &App,
    cause: &Cause,
    attempt: &Attempt,
    ending: &Ending,
    at_hand: Option<&Card>,
) -> ApiResult<(Intent, Option<Authentication>)> {
    if attempt.kind == Kind::Deposit {
        return Err(ApiError::internal("a deposit goes its own way"));
    }
    let (tenant, at) = (cause.tenant, clock::now());
    let mut tx = app.db.begin(tenant).await?;
    let intent = payment_intents::lock(&mut tx, tenant, attempt.intent).await?;
    let intent = intent.ok_or_else(|| ApiError::internal("an attempt without its payment"))?;
    let settled = attempts::mark_settled(&mut tx, tenant, attempt.id, ending.state(), ending.code(), at).await?;
    let Some(told_processing) = settled else { return Ok((intent, None)) };
    if asks_for_a_proof(attempt, ending)
        && let Some(card) = intent.card
    {
        let step_up = step_up(app, &mut tx, cause, attempt, intent, card).await?;
        tx.commit().await?;
        return Ok(step_up);
    }
    let method = match at_hand {
        Some(card) => Some(Method::Card(card.clone())),
        None => methods::find(&mut tx, tenant, attempt.method).await?,
    };
    let mut settling = Settling { tenant, attempt, ending, at, method, told_processing, happened: Vec::new() };
    let (intent, kind) = settling.write(&mut tx, intent).await?;
    let entries = settling.entries(cause, kind);
    events::tell(&mut tx, cause, at, settling.happened).await?;
    timeline::append(&mut tx, tenant, attempt.intent, cause.request, at, &entries).await?;
    tx.commit().await?;
    Ok((intent, None))
}

/// The network says no for want of a proof of who the cardholder is, and the cardholder can be asked.
fn asks_for_a_proof(attempt: &Attempt, ending: &Ending) -> bool {
    let soft = matches!(ending, Ending::Declined { decline_code: DeclineCode::AuthenticationRequired, .. });
    soft && attempt.kind == Kind::Authorize && attempt.authentication.is_none() && !attempt.off_session
}

/// Instead of ending, the payment goes on to 3-D Secure. No charge is made of what was only a question.
async fn step_up(
    app: &App,
    conn: &mut PgConnection,
    cause: &Cause,
    attempt: &Attempt,
    intent: Intent,
    card: NamedCard,
) -> ApiResult<(Intent, Option<Authentication>)> {
    let (tenant, at) = (cause.tenant, clock::now());
    let progress = three_d_secure::stepping_up(intent.progress)?;
    let intent = Intent { progress, ..intent };
    let authentication = three_d_secure::of_payment(three_d_secure::after_decline(app, attempt), &intent, card);
    three_d_secure::begin(app, conn, tenant, &authentication).await?;
    attempts::mark_stepped_up(conn, tenant, attempt.id).await?;
    payment_intents::update(conn, tenant, &intent).await?;
    let entries = [entry("authentication_required", attempt, None)];
    timeline::append(conn, tenant, attempt.intent, cause.request, at, &entries).await?;
    Ok((intent, Some(authentication)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever leaves room for doubt has no end: the payment stays `processing`.
    #[test]
    fn doubt_has_no_ending() {
        assert_eq!(Ending::of(Ok(Outcome::Unknown)), None);
        assert_eq!(Ending::of(Err(VaultFailure::Doubt)), None);
        assert_eq!(Ending::of(Err(VaultFailure::Refused(VaultErrorCode::Internal))), None);
        assert_eq!(Ending::of(Err(VaultFailure::Refused(VaultErrorCode::AttemptMismatch))), None);
        assert_eq!(Ending::of(Err(VaultFailure::Away)), Some(Ending::Unsent(VaultFailure::Away)));
        assert_eq!(Ending::of(Ok(Outcome::Reversed)), Some(Ending::Reversed));
    }

    /// After an outage the same card may be asked again; a card that the vault refuses may not.
    #[test]
    fn an_outage_is_not_the_cards_fault() {
        assert_eq!(Ending::Unsent(VaultFailure::Away).end(), End::Unsent);
        assert_eq!(Ending::Unsent(VaultFailure::Refused(VaultErrorCode::TokenUsed)).end(), End::Reversed);
    }
}
