//! What networks tell of disputes, and all that follows from it: in one transaction the dispute, its charge, the books, the
//! timeline and the events. Told twice, late or out of order, it follows once.

use kura_platform::clock;
use kura_platform::database::PgConnection;
use kura_wire::dispute::{DisputeReason, DisputeState};
use kura_wire::ids::DisputeId;
use kura_wire::notice::DisputeNotice;
use time::OffsetDateTime;

use crate::app::App;
use crate::domain::books::{Movement, Network};
use crate::domain::dispute::{Step, steps, word};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Cause, Happened, Kind};
use crate::render;
use crate::store::attempts::Attempt;
use crate::store::disputes::{self, Dispute};
use crate::store::timeline::{self, Entry};
use crate::store::transfers::{self, Moving};
use crate::store::{Tenant, balance, charges, payment_intents};

/// Writes down what a network tells of a dispute about this attempt's payment.
///
/// # Errors
/// 400 for other money than could be disputed; the database's, and nothing is written.
pub async fn hear(app: &App, tenant: Tenant, attempt: &Attempt, notice: &DisputeNotice) -> ApiResult<()> {
    let at = clock::now();
    let mut tx = app.db.begin(tenant).await?;
    // Whoever gives money back of this payment waits, or is waited for.
    payment_intents::lock(&mut tx, tenant, attempt.intent).await?;
    let known = disputes::lock_case(&mut tx, tenant, &notice.dispute).await?;
    let version = i32::try_from(notice.version).map_err(|_| ApiError::invalid("version", "a count from 1"))?;
    let before = known.as_ref().map(|dispute| dispute.state);
    if known.as_ref().is_some_and(|dispute| dispute.version >= version) {
        return Ok(());
    }
    let dispute = match known {
        Some(dispute) => Dispute { version, ..dispute },
        None => {
            let opened = opened(app, attempt, notice, version);
            let charge = charges::find(&mut tx, tenant, opened.charge).await?;
            let charge = charge.ok_or_else(|| ApiError::internal("a dispute about no charge"))?;
            if opened.amount_minor > charge.captured_minor || opened.currency != charge.currency {
                tracing::error!(dispute = %opened.id, "a dispute about other money than was taken");
                return Err(ApiError::invalid("money", "what was taken, or a part of it"));
            }
            disputes::insert(&mut tx, tenant, &opened).await?;
            opened
        }
    };
    follow(&mut tx, &Cause::ours(tenant), dispute, (before, notice.state), at).await?;
    tx.commit().await?;
    Ok(())
}

/// The dispute as it is first heard of. Its id follows from the case, so a second hearing makes no second one.
fn opened(app: &App, attempt: &Attempt, notice: &DisputeNotice, version: i32) -> Dispute {
    let tag = app.secrets.ids.tag(&[b"dispute", attempt.id.as_bytes(), notice.dispute.as_bytes()]);
    let mut id = [0; 16];
    id.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    Dispute {
        id: DisputeId::from_bytes(id),
        case: notice.dispute.clone(),
        attempt: attempt.id,
        charge: attempt.charge,
        intent: attempt.intent,
        reason: reason(notice.reason).to_owned(),
        state: DisputeState::NeedsResponse,
        amount_minor: notice.money.amount_minor,
        currency: notice.money.currency_code(),
        version,
        respond_by: notice.respond_by,
        has_evidence: false,
        metadata: serde_json::Map::new(),
        created_at: notice.at,
    }
}

/// All that follows from a dispute's coming to stand so.
///
/// # Errors
/// The database's; the transaction must not be committed then.
pub async fn follow(
    conn: &mut PgConnection,
    cause: &Cause,
    dispute: Dispute,
    (before, now): (Option<DisputeState>, DisputeState),
    at: OffsetDateTime,
) -> ApiResult<Dispute> {
    let tenant = cause.tenant;
    let mut dispute = dispute;
    for step in steps(before, now) {
        match step {
            Step::Opened => {
                dispute.state = DisputeState::NeedsResponse;
                charges::mark_disputed(conn, tenant, dispute.charge).await?;
                book(conn, tenant, &dispute, Movement::Dispute, at).await?;
                tell(conn, cause, &dispute, &[Kind::ChargeDisputeCreated, Kind::ChargeDisputeFundsWithdrawn], at)
                    .await?;
            }
            Step::Reviewed => {
                dispute.state = DisputeState::UnderReview;
                tell(conn, cause, &dispute, &[Kind::ChargeDisputeUpdated], at).await?;
            }
            Step::Won => {
                dispute.state = DisputeState::Won;
                book(conn, tenant, &dispute, Movement::DisputeReversal, at).await?;
                tell(conn, cause, &dispute, &[Kind::ChargeDisputeClosed, Kind::ChargeDisputeFundsReinstated], at)
                    .await?;
            }
            Step::Lost => {
                dispute.state = DisputeState::Lost;
                tell(conn, cause, &dispute, &[Kind::ChargeDisputeClosed], at).await?;
            }
        }
        let entry = Entry {
            kind: "disputed",
            attempt: Some(dispute.attempt),
            amount_minor: Some(dispute.amount_minor),
            code: Some(word(dispute.state).to_owned()),
            ..Entry::default()
        };
        timeline::append(conn, tenant, dispute.intent, cause.request, at, &[entry]).await?;
    }
    disputes::update(conn, tenant, &dispute).await?;
    Ok(dispute)
}

/// Disputes are about cards.
async fn book(
    conn: &mut PgConnection,
    tenant: Tenant,
    dispute: &Dispute,
    what: Movement,
    at: OffsetDateTime,
) -> ApiResult<()> {
    let mut id = *dispute.id.as_bytes();
    if what == Movement::DisputeReversal
        && let Some(last) = id.last_mut()
    {
        // The money's coming back has an id of its own, beside its going.
        *last ^= 1;
    }
    let moving = Moving {
        id,
        source: *dispute.id.as_bytes(),
        attempt: dispute.attempt,
        amount_minor: dispute.amount_minor,
        currency: &dispute.currency,
    };
    transfers::insert_all(conn, tenant, &[(moving, (what, Network::Acquirer))], at).await?;
    Ok(())
}

async fn tell(
    conn: &mut PgConnection,
    cause: &Cause,
    dispute: &Dispute,
    kinds: &[Kind],
    at: OffsetDateTime,
) -> ApiResult<()> {
    let moved = balance::of_source(conn, cause.tenant, *dispute.id.as_bytes()).await?;
    let shown = render::dispute::dispute(cause.tenant, dispute, &moved, at);
    let happened: Vec<Happened> = kinds.iter().map(|kind| Happened::to(&shown, *kind)).collect::<ApiResult<_>>()?;
    events::tell(conn, cause, at, happened).await
}

const fn reason(reason: DisputeReason) -> &'static str {
    match reason {
        DisputeReason::CreditNotProcessed => "credit_not_processed",
        DisputeReason::Duplicate => "duplicate",
        DisputeReason::Fraudulent => "fraudulent",
        DisputeReason::General => "general",
        DisputeReason::ProductNotReceived => "product_not_received",
        DisputeReason::ProductUnacceptable => "product_unacceptable",
        DisputeReason::SubscriptionCanceled => "subscription_canceled",
        DisputeReason::Unrecognized => "unrecognized",
    }
}
