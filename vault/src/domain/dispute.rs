//! A merchant's answer to a dispute, handed on to the network. Nothing is opened, and nothing of it is kept here: the network
//! knows the answer again by its attempt, so asking again is safe.

use kura_wire::dispute::{AnswerDispute, DisputeAnswer, DisputeAnswered, MAX_EVIDENCE_LEN};
use kura_wire::vault::VaultErrorCode;
use serde::{Deserialize, Serialize};

use super::{Vault, attempt_uuid, merchant_uuid, store_error};
use crate::acquirer::merchant_code;
use crate::egress::EgressError;
use crate::store::attempts::{self, AttemptRow};

const CASE_LEN: usize = 12;

/// What is said to the network.
#[derive(Serialize)]
struct Said<'a> {
    submission: String,
    merchant: String,
    reference: &'a str,
    evidence: Option<&'a str>,
}

#[derive(Deserialize)]
struct Heard {
    outcome: Outcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Accepted,
    TooLate,
}

impl Vault {
    /// Hands the answer on.
    ///
    /// # Errors
    /// `Malformed`; `AttemptUnknown` when the original is no approved payment of this merchant; `NetworkNotConfigured`;
    /// `Internal`.
    pub async fn answer_dispute(&self, request: &AnswerDispute) -> Result<DisputeAnswered, VaultErrorCode> {
        let evidence = match &request.answer {
            DisputeAnswer::Evidence { text } => Some(text.as_str()),
            DisputeAnswer::Accept => None,
        };
        if !is_case(&request.dispute) || !evidence.is_none_or(is_evidence) {
            return Err(VaultErrorCode::Malformed);
        }
        let context = &request.context;
        let found = attempts::find(&self.pool, attempt_uuid(request.original)).await.map_err(store_error)?;
        let own = |row: &AttemptRow| {
            row.merchant_id == merchant_uuid(context.merchant)
                && row.livemode == context.livemode
                && matches!(row.kind.as_str(), "authorize" | "purchase")
                && row.outcome.as_deref() == Some("approved")
        };
        let original = found.filter(own).ok_or(VaultErrorCode::AttemptUnknown)?;
        let said = Said {
            submission: request.attempt.to_string(),
            merchant: merchant_code(context.merchant),
            reference: &original.network_reference,
            evidence,
        };
        let path = format!("/cards/disputes/{}/answer", request.dispute);
        match self.services(context.livemode)?.post::<Heard>(&path, &said).await {
            Ok(Heard { outcome: Outcome::Accepted }) => Ok(DisputeAnswered::Accepted),
            Ok(Heard { outcome: Outcome::TooLate }) => Ok(DisputeAnswered::TooLate),
            Err(EgressError::Unknown) => Ok(DisputeAnswered::NotFound),
            Err(EgressError::Away | EgressError::Doubt | EgressError::Refused(_)) => Ok(DisputeAnswered::Unknown),
        }
    }
}

/// It stands in a path.
fn is_case(text: &str) -> bool {
    text.len() == CASE_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_evidence(text: &str) -> bool {
    (1..=MAX_EVIDENCE_LEN).contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case number goes into a path, so it is letters and digits; evidence has its length.
    #[test]
    fn answers_have_a_form() {
        assert!(is_case("DP0123456789"));
        for text in ["", "DP012345678", "../../../etc", "DP01234567é"] {
            assert!(!is_case(text), "{text}");
        }
        assert!(is_evidence("あ") && is_evidence(&"あ".repeat(MAX_EVIDENCE_LEN)));
        assert!(!is_evidence("") && !is_evidence(&"a".repeat(MAX_EVIDENCE_LEN + 1)));
    }
}
