//! How an attempt's end changes its payment, and what it makes besides.

use kura_platform::database::PgConnection;
use kura_wire::three_d_secure::AuthenticationEnd;
use kura_wire::vault::VaultErrorCode;
use time::OffsetDateTime;

use super::{Ending, entry};
use crate::codes::Code;
use crate::domain::books::{Movement, Network};
use crate::domain::payment_intent::{End, Event, InFlight, Progress};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Cause, Happened};
use crate::render;
use crate::store::attempts::{Attempt, Kind};
use crate::store::authentications::{self, State as Stage};
use crate::store::cards::{self, Card};
use crate::store::charges::{self, Charge};
use crate::store::methods::Method;
use crate::store::payment_intents::{self, Intent, LastError};
use crate::store::timeline::Entry;
use crate::store::{Tenant, refunds, transfers};
use crate::vault_client::VaultFailure;

/// One settlement, under the payment's lock.
pub(super) struct Settling<'a> {
    pub(super) tenant: Tenant,
    pub(super) attempt: &'a Attempt,
    pub(super) ending: &'a Ending,
    pub(super) at: OffsetDateTime,
    pub(super) method: Option<Method>,
    pub(super) told_processing: bool,
    pub(super) happened: Vec<Happened>,
}

/// What the end of an authorization makes besides changing its payment.
#[derive(Debug)]
pub(super) struct Made {
    /// The charge, where the network answered.
    pub(super) charge: Option<Charge>,
    /// What the card was used for; `None` if nothing was sent, else whether it was charged.
    pub(super) used: Option<([u8; 16], bool)>,
    /// Whether the money was taken with it.
    pub(super) taken: bool,
    /// The timeline's word.
    pub(super) word: &'static str,
}

impl Settling<'_> {
    /// Writes it; gives the payment afterwards and the timeline's word.
    pub(super) async fn write(&mut self, conn: &mut PgConnection, intent: Intent) -> ApiResult<(Intent, &'static str)> {
        let progress = self.progress(intent.progress)?;
        let mut intent = Intent { progress, ..intent };
        let kind = match self.attempt.kind {
            Kind::Authorize => self.authorized(conn, &mut intent).await?,
            Kind::Capture => self.captured(conn).await?,
            Kind::Void => self.voided(conn, &mut intent).await?,
            Kind::Refund => self.refunded(conn).await?,
            Kind::Deposit => return Err(ApiError::internal("a deposit goes its own way")),
        };
        payment_intents::update(conn, self.tenant, &intent).await?;
        self.tell_of_the_payment(&intent)?;
        Ok((intent, kind))
    }

    /// What the timeline says of it.
    pub(super) fn entries(&self, cause: &Cause, kind: &'static str) -> Vec<Entry> {
        let state = self.ending.state().as_str();
        let resolved = cause.request.is_none().then(|| entry("resolved", self.attempt, Some(state)));
        resolved.into_iter().chain([entry(kind, self.attempt, self.ending.code())]).collect()
    }

    pub(super) fn tell_of_the_payment(&mut self, intent: &Intent) -> ApiResult<()> {
        if let Some(told) = self.told_of_the_payment() {
            let shown = render::payment_intent::payment_intent(self.tenant, intent, self.method.as_ref(), None);
            self.happened.push(Happened::to(&shown, told)?);
        }
        Ok(())
    }

    /// What the settlement is for the payment: its new status, where it has one.
    fn told_of_the_payment(&self) -> Option<events::Kind> {
        match (self.attempt.kind, self.ending.end()) {
            (Kind::Authorize, End::Approved) if self.attempt.capture => Some(events::Kind::PaymentIntentSucceeded),
            (Kind::Authorize, End::Approved) => Some(events::Kind::PaymentIntentAmountCapturableUpdated),
            (Kind::Authorize, End::Declined | End::Reversed) => Some(events::Kind::PaymentIntentPaymentFailed),
            (Kind::Capture, End::Approved) => Some(events::Kind::PaymentIntentSucceeded),
            (Kind::Void, End::Approved) => Some(events::Kind::PaymentIntentCanceled),
            // Back to where it was; told only where it was told to have left.
            (Kind::Capture | Kind::Void, End::Declined | End::Reversed | End::Unsent) if self.told_processing => {
                Some(events::Kind::PaymentIntentAmountCapturableUpdated)
            }
            (Kind::Authorize, End::Unsent)
            | (Kind::Capture | Kind::Void, End::Declined | End::Reversed | End::Unsent)
            | (Kind::Refund | Kind::Deposit, _) => None,
        }
    }

    fn tell_of_charge(&mut self, charge: &Charge, kind: events::Kind) -> ApiResult<()> {
        let shown = render::charge::charge(self.tenant, charge, self.method.as_ref());
        self.happened.push(Happened::to(&shown, kind)?);
        Ok(())
    }

    /// The charge of this attempt as it is now.
    async fn charge_now(&self, conn: &mut PgConnection) -> ApiResult<Charge> {
        let charge = charges::find(conn, self.tenant, self.attempt.charge).await?;
        charge.ok_or_else(|| ApiError::internal("an attempt without its charge"))
    }

    pub(super) fn progress(&self, before: Progress) -> ApiResult<Progress> {
        let (amount, end) = (self.attempt.amount_minor, self.ending.end());
        let (in_flight, event) = match self.attempt.kind {
            Kind::Authorize => (Some(InFlight::Authorize), Event::Settled(end)),
            Kind::Capture => (Some(InFlight::Capture(amount)), Event::Settled(end)),
            Kind::Void => (Some(InFlight::Void), Event::Settled(end)),
            Kind::Refund => (before.in_flight, Event::RefundSettled(amount, end)),
            Kind::Deposit => (Some(InFlight::Deposit), Event::Settled(end)),
        };
        Progress { in_flight, ..before }.after(event).map_err(ApiError::internal)
    }

    async fn authorized(&mut self, conn: &mut PgConnection, intent: &mut Intent) -> ApiResult<&'static str> {
        let proof = match self.attempt.authentication {
            Some(id) => authentications::find(conn, self.tenant, id).await?,
            None => None,
        };
        let said = proof.and_then(|proof| match proof.state {
            Stage::Ended(end) => Some(end),
            Stage::Asked | Stage::Challenge(_) => None,
        });
        let made = self.authorization(intent, said)?;
        cards::mark_used(conn, self.tenant, &made.used.into_iter().collect(), self.at).await?;
        if let Some(charge) = &made.charge {
            charges::insert_all(conn, self.tenant, &[charge]).await?;
        }
        if self.ending.end() == End::Approved {
            self.keep_for_later(conn, intent).await?;
        }
        if made.taken {
            self.book(conn, Movement::Capture).await?;
        }
        Ok(made.word)
    }

    /// The end of an authorization: what it makes of the payment, and besides.
    pub(super) fn authorization(&mut self, intent: &mut Intent, said: Option<AuthenticationEnd>) -> ApiResult<Made> {
        let attempt = self.attempt;
        let record = attempt.method.card().ok_or_else(|| ApiError::internal("an authorization without a card"))?;
        let charge = self.charge(intent, said);
        if let Some(charge) = &charge {
            let kind = if charge.succeeded { events::Kind::ChargeSucceeded } else { events::Kind::ChargeFailed };
            self.tell_of_charge(charge, kind)?;
            intent.latest_charge = Some(charge.id);
        }
        let end = self.ending.end();
        let used = (end != End::Unsent).then_some((record, end == End::Approved));
        let word = match self.ending {
            Ending::Approved { .. } if attempt.capture => "succeeded",
            Ending::Approved { .. } => "authorized",
            Ending::Declined { decline_code, .. } => {
                let code = Code::of_decline(decline_code.as_str());
                self.failed(intent, code, Some(decline_code.as_str()));
                "declined"
            }
            Ending::Reversed => {
                self.failed(intent, Code::ProcessingError, None);
                "reversed"
            }
            Ending::Unsent(VaultFailure::Refused(VaultErrorCode::CvcRequired)) => {
                self.failed(intent, Code::CvcRequired, None);
                "unsent"
            }
            Ending::Unsent(_) => {
                if end == End::Reversed {
                    intent.card = None;
                }
                "unsent"
            }
        };
        Ok(Made { charge, used, taken: end == End::Approved && attempt.capture, word })
    }

    /// The card of a payment that was to set it up for later becomes the customer's.
    async fn keep_for_later(&mut self, conn: &mut PgConnection, intent: &Intent) -> ApiResult<()> {
        let (Some(_), Some(customer), Some(Method::Card(card))) =
            (intent.future_usage, intent.customer, self.method.clone())
        else {
            return Ok(());
        };
        if card.customer.is_none() && cards::attach(conn, self.tenant, card.record, customer).await? {
            let attached = Card { customer: Some(customer), ..card };
            let shown = render::card::payment_method(self.tenant, &attached);
            self.happened.push(Happened::to(&shown, events::Kind::PaymentMethodAttached)?);
            self.method = Some(Method::Card(attached));
        }
        Ok(())
    }

    fn failed(&self, intent: &mut Intent, code: Code, decline_code: Option<&str>) {
        intent.card = None;
        intent.last_error = Some(LastError {
            code: code.as_str().to_owned(),
            decline_code: decline_code.map(str::to_owned),
            charge: decline_code.and(Some(self.attempt.charge)),
            method: self.attempt.method,
        });
    }

    /// The charge that the network's answer makes.
    fn charge(&self, intent: &Intent, authentication: Option<AuthenticationEnd>) -> Option<Charge> {
        let attempt = self.attempt;
        let (succeeded, cvc_check) = match self.ending {
            Ending::Approved { cvc_check, .. } => (true, *cvc_check),
            Ending::Declined { cvc_check, .. } => (false, *cvc_check),
            Ending::Reversed | Ending::Unsent(_) => return None,
        };
        let mut charge = Charge {
            id: attempt.charge,
            intent: attempt.intent,
            attempt: attempt.id,
            succeeded,
            amount_minor: attempt.amount_minor,
            currency: attempt.currency.clone(),
            captured_minor: if succeeded && attempt.capture { attempt.amount_minor } else { 0 },
            released_minor: 0,
            refunded_minor: 0,
            captured: succeeded && attempt.capture,
            disputed: false,
            method: attempt.method,
            place: None,
            customer: intent.customer,
            approval_code: None,
            response_code: None,
            decline_code: None,
            cvc_check: cvc_check.as_str().map(str::to_owned),
            authentication,
            description: intent.description.clone(),
            metadata: intent.metadata.clone(),
            created_at: self.at,
        };
        match self.ending {
            Ending::Approved { approval_code, .. } => charge.approval_code = Some(approval_code.clone()),
            Ending::Declined { decline_code, response_code, .. } => {
                charge.decline_code = Some(decline_code.as_str().to_owned());
                charge.response_code = Some(response_code.clone());
            }
            Ending::Reversed | Ending::Unsent(_) => {}
        }
        Some(charge)
    }

    async fn captured(&mut self, conn: &mut PgConnection) -> ApiResult<&'static str> {
        if self.ending.end() != End::Approved {
            return Ok("capture_failed");
        }
        charges::mark_captured(conn, self.tenant, self.attempt.charge, self.attempt.amount_minor).await?;
        self.book(conn, Movement::Capture).await?;
        let charge = self.charge_now(conn).await?;
        self.tell_of_charge(&charge, events::Kind::ChargeCaptured)?;
        Ok("captured")
    }

    async fn voided(&mut self, conn: &mut PgConnection, intent: &mut Intent) -> ApiResult<&'static str> {
        if self.ending.end() != End::Approved {
            intent.cancellation_reason = None;
            return Ok("cancel_failed");
        }
        charges::mark_voided(conn, self.tenant, self.attempt.charge).await?;
        intent.canceled_at = Some(self.at);
        let charge = self.charge_now(conn).await?;
        self.tell_of_charge(&charge, events::Kind::ChargeRefunded)?;
        Ok("canceled")
    }

    async fn refunded(&mut self, conn: &mut PgConnection) -> ApiResult<&'static str> {
        let refund = self.attempt.refund.ok_or_else(|| ApiError::internal("a refund without an id"))?;
        let (status, failure, kind) = match self.ending.end() {
            End::Approved => ("succeeded", None, "refunded"),
            End::Declined => ("failed", Some("declined"), "refund_failed"),
            End::Reversed | End::Unsent => ("failed", Some("not_processed"), "refund_failed"),
        };
        refunds::mark_settled(conn, self.tenant, refund, status, failure).await?;
        let now = refunds::find(conn, self.tenant, refund).await?;
        let now = now.ok_or_else(|| ApiError::internal("an attempt without its refund"))?;
        let told = if failure.is_none() { events::Kind::RefundUpdated } else { events::Kind::RefundFailed };
        self.happened.push(Happened::to(&render::refund::refund(&now), told)?);
        if self.ending.end() == End::Approved {
            charges::mark_refunded(conn, self.tenant, self.attempt.charge, self.attempt.amount_minor).await?;
            self.book(conn, Movement::Refund).await?;
            let charge = self.charge_now(conn).await?;
            self.tell_of_charge(&charge, events::Kind::ChargeRefunded)?;
        }
        Ok(kind)
    }

    async fn book(&self, conn: &mut PgConnection, movement: Movement) -> ApiResult<()> {
        let network = Network::from(self.method.as_ref().and_then(Method::deposit));
        transfers::insert(conn, self.tenant, self.attempt, (movement, network), self.at).await?;
        Ok(())
    }
}
