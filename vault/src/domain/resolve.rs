//! What became of an attempt? The record knows, or the network is asked (0600), or it is taken back (0420). Never sent again.
//!
//! An attempt that never came here gets a tombstone, so that it can't come later: its outcome is final too.
//!
//! Another node may still be at it. While that can be, it is left alone; and whenever it is taken back, this is on record
//! first, so that an answer that arrives meanwhile at the other node decides nothing: the network is told to take it back,
//! whatever it has said, and says so of itself from then on. Record and network never part, whoever comes first.

use std::time::Duration;

use kura_platform::clock;
use kura_wire::ids::MerchantId;
use kura_wire::money::{Money, parse_currency};
use kura_wire::vault::{Context, Outcome, Resolve, VaultErrorCode};
use uuid::Uuid;

use super::outcome::{recorded, reversed};
use super::{Vault, attempt_uuid, internal, merchant_uuid, store_error};
use crate::acquirer::{Acquirer, Reply, inquiry, reversal_advice};
use crate::commit::{Begun, Decided, NewAttempt};
use crate::store::attempts::{self, AttemptRow};

/// Field 39 of a reversal's answer: it arrived after all, and can't be taken back. Then its own answer counts again.
const STANDS: [&str; 2] = ["12", "13"];
/// How much longer than the network another node may take to write an outcome down.
const ANOTHERS_MARGIN: Duration = Duration::from_secs(2);
/// Field 39 of an inquiry's answer: nothing is known of that reference.
const NOT_KNOWN: &str = "25";
/// Field 39 of an inquiry's answer that can only be the issuer's, about the attempt. Others (30, 91, 96 …) may be about the
/// inquiry itself, which decides nothing: an approved payment must not be told as declined because a host was busy.
const ISSUERS_DECLINES: [&str; 14] =
    ["1A", "05", "14", "34", "41", "43", "51", "54", "57", "59", "61", "62", "65", "82"];

impl Vault {
    /// Decides an open attempt, if the network can be heard.
    ///
    /// # Errors
    /// `AttemptUnknown` for another merchant's; `NetworkNotConfigured`; `Internal`.
    pub async fn resolve(&self, request: &Resolve) -> Result<Outcome, VaultErrorCode> {
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(Outcome::Unknown) };
        let id = attempt_uuid(request.attempt);
        let Some(attempt) = attempts::find(&self.pool, id).await.map_err(store_error)? else {
            return self.bury(&request.context, id).await;
        };
        let is_deposit = attempt.payer_id.is_some() || attempt.kind == "give_back";
        if attempt.merchant_id != merchant_uuid(request.context.merchant) || is_deposit {
            return Err(VaultErrorCode::AttemptUnknown);
        }
        if attempt.outcome.is_some() {
            return Ok(recorded(&attempt));
        }
        let acquirer = self.acquirer(attempt.livemode)?;
        if attempt.node != self.node_number()
            && clock::now() < attempt.created_at + acquirer.patience() + ANOTHERS_MARGIN
        {
            return Ok(Outcome::Unknown);
        }
        if attempt.reversing {
            // It was not heard, or its answer was not: it is told again.
            return self.take_back(acquirer, request.context.merchant, &attempt).await;
        }
        self.ask_network(acquirer, request.context.merchant, &attempt).await
    }

    async fn ask_network(
        &self,
        acquirer: &Acquirer,
        merchant: MerchantId,
        attempt: &AttemptRow,
    ) -> Result<Outcome, VaultErrorCode> {
        let message = inquiry(attempt, merchant).map_err(|error| internal(&error))?;
        match acquirer.ask(message).await {
            Reply::Answered(answer) if answer.reversed => {
                let decided = self.committer.decide(reversed(attempt.id)).await?;
                self.told(attempt, decided, Outcome::Reversed).await
            }
            Reply::Answered(answer) if answer.response_code == NOT_KNOWN => {
                self.take_back(acquirer, merchant, attempt).await
            }
            Reply::Answered(answer) if answer.is_approved() || is_decline(&answer.response_code) => {
                self.conclude(attempt, Reply::Answered(answer)).await
            }
            // Said without saying what became of it: taken back, it is certain.
            Reply::Answered(_) => self.take_back(acquirer, merchant, attempt).await,
            Reply::NotSent | Reply::Unknown => Ok(Outcome::Unknown),
        }
    }

    /// It may still be on its way: the network is told to take it back, now and whenever it arrives.
    async fn take_back(
        &self,
        acquirer: &Acquirer,
        merchant: MerchantId,
        attempt: &AttemptRow,
    ) -> Result<Outcome, VaultErrorCode> {
        let currency = parse_currency(&attempt.currency).map_err(|error| internal(&error))?;
        let money = Money { amount_minor: attempt.amount_minor, currency };
        let message = reversal_advice(attempt, merchant, money).map_err(|error| internal(&error))?;
        if !attempts::mark_reversing(&self.pool, attempt.id).await.map_err(store_error)? {
            return self.told(attempt, Decided::Before, Outcome::Unknown).await;
        }
        match acquirer.ask(message).await {
            Reply::Answered(answer) if answer.is_approved() => {
                let decided = self.committer.decide(reversed(attempt.id)).await?;
                self.told(attempt, decided, Outcome::Reversed).await
            }
            Reply::Answered(answer) if STANDS.contains(&answer.response_code.as_str()) => {
                attempts::mark_standing(&self.pool, attempt.id).await.map_err(store_error)?;
                Ok(Outcome::Unknown)
            }
            _ => Ok(Outcome::Unknown),
        }
    }

    /// An attempt that never came here can't come any more.
    pub(super) async fn bury(&self, context: &Context, id: Uuid) -> Result<Outcome, VaultErrorCode> {
        let tombstone = AttemptRow {
            id,
            merchant_id: merchant_uuid(context.merchant),
            livemode: context.livemode,
            node: self.node_number(),
            kind: "tombstone".to_owned(),
            card_id: None,
            payer_id: None,
            original_id: None,
            // References are unique; a tombstone's is its own id, which is no reference of any message.
            network_reference: format!("tombstone {id}"),
            stan: 0,
            amount_minor: 0,
            currency: String::new(),
            created_at: clock::now(),
            outcome: Some("reversed".to_owned()),
            approval_code: None,
            response_code: None,
            cvc_check: None,
            reversing: false,
            authentication_id: None,
            merchant_initiated: false,
        };
        let buried = NewAttempt { attempt: tombstone, opening: None, spends_token: false };
        match self.committer.begin(buried).await? {
            Begun::New(_) => Ok(Outcome::Reversed),
            // It arrived in this very moment: ask again later.
            Begun::Existing | Begun::TokenUsed => Ok(Outcome::Unknown),
        }
    }
}

/// Whether an inquiry's response code is the issuer's own decline.
fn is_decline(response_code: &str) -> bool {
    ISSUERS_DECLINES.contains(&response_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Approval, ignorance and trouble are no declines.
    #[test]
    fn only_the_issuers_own_codes_decline() {
        assert!(ISSUERS_DECLINES.iter().all(|code| is_decline(code)));
        assert!(["00", "12", "25", "30", "68", "91", "94", "96", ""].iter().all(|code| !is_decline(code)));
    }
}
