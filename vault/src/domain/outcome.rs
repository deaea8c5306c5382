//! Between what the network answers, what the database keeps and what the gateway is told.

use kura_platform::clock;
use kura_wire::card::{CvcCheck, DeclineCode};
use kura_wire::vault::Outcome;
use uuid::Uuid;

use crate::acquirer::Answer;
use crate::store::attempts::{AttemptRow, Decision};

/// The decision that an answer makes.
pub(super) fn decision_of(attempt: Uuid, answer: &Answer) -> Decision {
    Decision {
        id: attempt,
        outcome: if answer.is_approved() { "approved" } else { "declined" },
        approval_code: answer.approval_code.clone(),
        response_code: Some(answer.response_code.clone()),
        cvc_check: Some(cvc_word(answer.cvc_check)),
        at: clock::now(),
    }
}

/// The decision that it never happened, or was taken back.
pub(super) fn reversed(attempt: Uuid) -> Decision {
    Decision {
        id: attempt,
        outcome: "reversed",
        approval_code: None,
        response_code: None,
        cvc_check: None,
        at: clock::now(),
    }
}

/// What an answer means for the gateway.
pub(super) fn outcome_of(answer: &Answer) -> Outcome {
    if answer.is_approved() {
        let approval_code = answer.approval_code.clone().unwrap_or_default();
        return Outcome::Approved { approval_code, cvc_check: answer.cvc_check };
    }
    Outcome::Declined {
        decline_code: DeclineCode::from_response_code(&answer.response_code),
        response_code: answer.response_code.clone(),
        cvc_check: answer.cvc_check,
    }
}

/// The outcome that is on record; `Unknown` while there is none.
pub(super) fn recorded(attempt: &AttemptRow) -> Outcome {
    let cvc_check = match attempt.cvc_check.as_deref() {
        Some("pass") => CvcCheck::Pass,
        Some("fail") => CvcCheck::Fail,
        Some("unchecked") => CvcCheck::Unchecked,
        _ => CvcCheck::Unavailable,
    };
    let response_code = attempt.response_code.clone().unwrap_or_default();
    match attempt.outcome.as_deref() {
        Some("approved") => {
            Outcome::Approved { approval_code: attempt.approval_code.clone().unwrap_or_default(), cvc_check }
        }
        Some("declined") => Outcome::Declined {
            decline_code: DeclineCode::from_response_code(&response_code),
            response_code,
            cvc_check,
        },
        Some(_) => Outcome::Reversed,
        None => Outcome::Unknown,
    }
}

fn cvc_word(check: CvcCheck) -> &'static str {
    check.as_str().unwrap_or("unavailable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(response_code: &str) -> Answer {
        Answer {
            reference: "R".to_owned(),
            response_code: response_code.to_owned(),
            approval_code: (response_code == "00").then(|| "A1B2C3".to_owned()),
            cvc_check: CvcCheck::Pass,
            reversed: false,
        }
    }

    /// What is told at once and what is told from the record afterwards are the same.
    #[test]
    fn told_and_recorded_agree() {
        for code in ["00", "05", "51", "82", "96", "??"] {
            let decision = decision_of(Uuid::nil(), &answer(code));
            let row = AttemptRow {
                id: Uuid::nil(),
                merchant_id: Uuid::nil(),
                livemode: false,
                kind: "purchase".to_owned(),
                card_id: None,
                payer_id: None,
                original_id: None,
                network_reference: "R".to_owned(),
                stan: 1,
                amount_minor: 1,
                currency: "jpy".to_owned(),
                created_at: clock::now(),
                outcome: Some(decision.outcome.to_owned()),
                approval_code: decision.approval_code,
                response_code: decision.response_code,
                cvc_check: decision.cvc_check.map(str::to_owned),
                node: 0,
                reversing: false,
                authentication_id: None,
                merchant_initiated: false,
            };
            assert_eq!(recorded(&row), outcome_of(&answer(code)), "{code}");
            let open = AttemptRow { outcome: None, ..row };
            assert_eq!(recorded(&open), Outcome::Unknown);
        }
    }
}
