//! `POST /v1/disputes/{id}` and `…/close`: the merchant's one answer, which goes through the vault to the network, and its data.

use kura_platform::clock;
use kura_wire::dispute::{AnswerDispute, DisputeAnswer, DisputeAnswered, DisputeState, MAX_EVIDENCE_LEN};
use kura_wire::ids::{AttemptId, ChargeId, DisputeId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{by_id, shown};
use crate::codes::Code;
use crate::disputes::follow;
use crate::edge::call::Context;
use crate::endpoint::Nothing;
use crate::endpoint::types::{IdOf, Metadata, Text};
use crate::error::{ApiError, ApiResult};
use crate::events::{self, Happened, Kind};
use crate::render;
use crate::store::charges;
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
    /// `true`, as where it is left out: the evidence is sent. `false` is refused, for it would have to be kept.
    submit: Option<bool>,
}

/// A part of the evidence.
type Said = Text<MAX_EVIDENCE_LEN>;

/// What shows that the payment was right; 10,000 characters together. What is about a person is refused: names, addresses.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Evidence {
    /// Refused: it is about a person.
    access_activity_log: Option<Said>,
    /// Refused: it is about a person.
    billing_address: Option<Said>,
    /// How the customer was shown your cancellation policy.
    cancellation_policy_disclosure: Option<Said>,
    /// Why the customer's subscription was not canceled.
    cancellation_rebuttal: Option<Said>,
    /// Refused: it is about a person.
    customer_email_address: Option<Said>,
    /// Refused: it is about a person.
    customer_name: Option<Said>,
    /// Refused: it is about a person.
    customer_purchase_ip: Option<Said>,
    /// How the charge differs from the one that it seems to repeat.
    duplicate_charge_explanation: Option<Said>,
    /// `ch_…`: the charge that it seems to repeat.
    duplicate_charge_id: Option<IdOf<ChargeId>>,
    /// What was sold.
    product_description: Option<Said>,
    /// How the customer was shown your refund policy.
    refund_policy_disclosure: Option<Said>,
    /// Why the customer has no right to a refund.
    refund_refusal_explanation: Option<Said>,
    /// When the service was done.
    service_date: Option<Said>,
    /// Refused: it is about a person.
    shipping_address: Option<Said>,
    /// Who carried it.
    shipping_carrier: Option<Said>,
    /// When it was sent.
    shipping_date: Option<Said>,
    /// By which number it is traced.
    shipping_tracking_number: Option<Said>,
    /// Anything else, in your words.
    uncategorized_text: Option<Said>,
}

impl Evidence {
    /// As one text for the network: the free words as they are where they stand alone, else each part under its name.
    ///
    /// # Errors
    /// 400 for what is about a person, for nothing, and for too much.
    fn into_text(self) -> ApiResult<String> {
        for (name, personal) in [
            ("access_activity_log", &self.access_activity_log),
            ("billing_address", &self.billing_address),
            ("customer_email_address", &self.customer_email_address),
            ("customer_name", &self.customer_name),
            ("customer_purchase_ip", &self.customer_purchase_ip),
            ("shipping_address", &self.shipping_address),
        ] {
            if personal.is_some() {
                return Err(ApiError::new(Code::EvidencePersonal).on(format!("evidence[{name}]")));
            }
        }
        let parts = [
            ("product_description", self.product_description),
            ("service_date", self.service_date),
            ("shipping_carrier", self.shipping_carrier),
            ("shipping_date", self.shipping_date),
            ("shipping_tracking_number", self.shipping_tracking_number),
            ("cancellation_policy_disclosure", self.cancellation_policy_disclosure),
            ("cancellation_rebuttal", self.cancellation_rebuttal),
            ("refund_policy_disclosure", self.refund_policy_disclosure),
            ("refund_refusal_explanation", self.refund_refusal_explanation),
            ("duplicate_charge_explanation", self.duplicate_charge_explanation),
            ("uncategorized_text", self.uncategorized_text),
        ];
        let duplicate = self.duplicate_charge_id.map(|id| ("duplicate_charge_id", id.0.to_string()));
        let said = parts.into_iter().filter_map(|(name, text)| Some((name, text?.into_string())));
        let said: Vec<(&str, String)> = duplicate.into_iter().chain(said).collect();
        let text = match said.as_slice() {
            [] => return Err(ApiError::new(Code::ParameterMissing).on("evidence[uncategorized_text]")),
            [("uncategorized_text", text)] => text.clone(),
            several => several.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("\n"),
        };
        if text.chars().count() > MAX_EVIDENCE_LEN {
            return Err(ApiError::invalid("evidence", "at most 10000 characters together"));
        }
        Ok(text)
    }
}

/// Answers, and changes the merchant's data.
pub async fn update(context: Context, asked: UpdateDispute) -> ApiResult<render::dispute::Dispute> {
    let id: DisputeId = context.id("dispute")?;
    let tenant = context.tenant();
    if let Some(evidence) = asked.evidence {
        if asked.submit == Some(false) {
            return Err(ApiError::new(Code::EvidenceNotStaged).on("submit"));
        }
        if let Some(IdOf(charge)) = evidence.duplicate_charge_id {
            let found = charges::find(&mut *context.db().await?, tenant, charge).await?;
            found.ok_or_else(|| ApiError::missing("charge", "evidence[duplicate_charge_id]"))?;
        }
        let text = evidence.into_text()?;
        answer(&context, id, DisputeAnswer::Evidence { text }, asked.metadata).await?;
        return by_id(&context, context.raw_id()).await;
    }
    if asked.submit == Some(true) {
        return Err(ApiError::new(Code::EvidenceNotStaged).on("evidence"));
    }
    let mut tx = context.begin().await?;
    let mut dispute = disputes::lock(&mut tx, tenant, id).await?.ok_or_else(missing)?;
    let before = shown(&mut tx, tenant, &dispute).await?;
    dispute.metadata = asked.metadata.apply(dispute.metadata)?;
    disputes::update(&mut tx, tenant, &dispute).await?;
    let shown = shown(&mut tx, tenant, &dispute).await?;
    let told = Happened::update(&before, &shown, Kind::ChargeDisputeUpdated)?;
    events::tell(&mut tx, &context.cause(), clock::now(), told).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Gives in.
pub async fn close(context: Context, _: Nothing) -> ApiResult<render::dispute::Dispute> {
    answer(&context, context.id("dispute")?, DisputeAnswer::Accept, Metadata::Keep).await?;
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

async fn answer(context: &Context, id: DisputeId, answer: DisputeAnswer, metadata: Metadata) -> ApiResult<()> {
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
    let metadata = metadata.apply(now.metadata)?;
    let now = Dispute { metadata, has_evidence: becomes == DisputeState::UnderReview, version, ..now };
    follow(&mut tx, &context.cause(), now, (Some(before), becomes), at).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::read;
    use serde_json::json;

    fn text(evidence: serde_json::Value) -> Result<String, Code> {
        let tree = evidence.as_object().cloned().unwrap();
        read::read::<Evidence>(tree).and_then(Evidence::into_text).map_err(|error| error.code())
    }

    /// Free words alone go as they are, parts under their names; what is about a person goes nowhere.
    #[test]
    fn evidence_is_one_text() {
        assert_eq!(text(json!({"uncategorized_text": "Signed for."})).unwrap(), "Signed for.");
        let parts =
            json!({"uncategorized_text": "Signed for.", "shipping_carrier": "ヤマト", "product_description": "靴"});
        assert_eq!(
            text(parts).unwrap(),
            "product_description: 靴\nshipping_carrier: ヤマト\nuncategorized_text: Signed for."
        );
        assert_eq!(text(json!({})), Err(Code::ParameterMissing));
        let long = "a".repeat(MAX_EVIDENCE_LEN);
        assert_eq!(text(json!({"uncategorized_text": long, "service_date": "x"})), Err(Code::ParameterInvalid));
        for name in [
            "access_activity_log",
            "billing_address",
            "customer_email_address",
            "customer_name",
            "customer_purchase_ip",
            "shipping_address",
        ] {
            assert_eq!(text(json!({name: "x", "uncategorized_text": "y"})), Err(Code::EvidencePersonal), "{name}");
        }
        assert_eq!(text(json!({"receipt": "file_1"})), Err(Code::ParameterUnknown));
    }
}
