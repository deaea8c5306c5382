//! `POST /v1/disputes/{id}` and `…/close`: the merchant's one answer, which goes through the vault to the network, and its data.

use kura_platform::clock;
use kura_wire::dispute::{AnswerDispute, DisputeAnswer, DisputeAnswered, DisputeState, MAX_EVIDENCE_LEN};
use kura_wire::ids::{AttemptId, DisputeId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{by_id, shown};
use crate::codes::Code;
use crate::disputes::follow;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::endpoint::types::{Metadata, Text};
use crate::error::{ApiError, ApiResult};
use crate::render;
use crate::store::disputes::{self, Dispute};
use crate::vault_client::VaultFailure;

/// What is said, or to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDispute {
    /// What shows that the payment was right. It goes to the network at once and is not kept here; there is one answer.
    evidence: Option<Evidence>,
    /// Your data.
    #[serde(default)]
    metadata: Metadata,
}

/// What shows that the payment was right.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Evidence {
    /// In your words.
    uncategorized_text: Text<MAX_EVIDENCE_LEN>,
}

/// Answers, and changes the merchant's data.
pub async fn update(context: Context, asked: UpdateDispute) -> ApiResult<render::dispute::Dispute> {
    let id: DisputeId = context.id("dispute")?;
    if let Some(evidence) = asked.evidence {
        let text = evidence.uncategorized_text.into_string();
        answer(&context, id, DisputeAnswer::Evidence { text }).await?;
    }
    if asked.metadata == Metadata::Keep {
        return by_id(&context, context.raw_id()).await;
    }
    let tenant = context.tenant();
    let mut tx = context.begin().await?;
    let mut dispute = disputes::lock(&mut tx, tenant, id).await?.ok_or_else(missing)?;
    dispute.metadata = asked.metadata.apply(dispute.metadata)?;
    disputes::update(&mut tx, tenant, &dispute).await?;
    let shown = shown(&mut tx, tenant, &dispute).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Gives in.
pub async fn close(context: Context, _: Nothing) -> ApiResult<render::dispute::Dispute> {
    answer(&context, context.id("dispute")?, DisputeAnswer::Accept).await?;
    by_id(&context, context.raw_id()).await
}

fn missing() -> ApiError {
    ApiError::missing("dispute", "id")
}

/// The network knows an answer again by this: a dispute has one of each kind, whoever asks however often.
fn submission(dispute: &Dispute, answer: &DisputeAnswer) -> AttemptId {
    let mut id = *dispute.id.as_bytes();
    if let (DisputeAnswer::Accept, Some(last)) = (answer, id.last_mut()) {
        *last ^= 1;
    }
    AttemptId::from_bytes(id)
}

async fn answer(context: &Context, id: DisputeId, answer: DisputeAnswer) -> ApiResult<()> {
    let tenant = context.tenant();
    let dispute = disputes::find(&mut *context.db().await?, tenant, id).await?.ok_or_else(missing)?;
    let becomes = match answer {
        DisputeAnswer::Evidence { .. } => DisputeState::UnderReview,
        DisputeAnswer::Accept => DisputeState::Lost,
    };
    if dispute.state != DisputeState::NeedsResponse {
        // A second run of the request that answered.
        let answered = !context.first_run && dispute.state == becomes;
        return if answered { Ok(()) } else { Err(ApiError::new(Code::DisputeAnswered)) };
    }
    let ask = AnswerDispute {
        context: context.vault_context(),
        attempt: submission(&dispute, &answer),
        original: dispute.attempt,
        dispute: dispute.case.clone(),
        answer,
    };
    match context.app.vault.answer_dispute(&ask).await? {
        DisputeAnswered::Accepted => {}
        DisputeAnswered::TooLate => return Err(ApiError::new(Code::DisputeAnswered)),
        DisputeAnswered::NotFound => return Err(ApiError::internal("a dispute that its network does not know")),
        // It may be there: asked again, it is the same answer.
        DisputeAnswered::Unknown => return Err(VaultFailure::Doubt.into()),
    }
    let at = clock::now();
    let mut tx = context.begin().await?;
    let now = disputes::lock(&mut tx, tenant, id).await?.ok_or_else(missing)?;
    // The network's own notice may have been quicker.
    let before = now.state;
    let version = if before == DisputeState::NeedsResponse { now.version.saturating_add(1) } else { now.version };
    let now = Dispute { has_evidence: becomes == DisputeState::UnderReview, version, ..now };
    follow(&mut tx, &context.cause(), now, (Some(before), becomes), at).await?;
    tx.commit().await?;
    Ok(())
}
