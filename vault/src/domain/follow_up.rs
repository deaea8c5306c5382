//! Capture, void and refund of what an earlier attempt moved. They name it by its network reference, so no card is opened.

use kura_platform::clock;
use kura_wire::money::currency_code;
use kura_wire::vault::{FollowUp, Outcome, VaultErrorCode};

use super::authorize::draw_stan;
use super::outcome::recorded;
use super::{Vault, attempt_uuid, internal, merchant_uuid, store_error};
use crate::acquirer::{capture, refund, void};
use crate::commit::{Begun, NewAttempt};
use crate::store::attempts::{self, AttemptRow};

/// What follows an authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowUpKind {
    /// Take what was authorized.
    Capture,
    /// Give the authorization back.
    Void,
    /// Give captured money back.
    Refund,
}

impl FollowUpKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    /// What may be followed by it. A void also takes back a purchase of the same day.
    fn follows(self, original: &str) -> bool {
        match self {
            Self::Capture => original == "authorize",
            Self::Void | Self::Refund => matches!(original, "authorize" | "purchase"),
        }
    }
}

impl Vault {
    /// Sends it once for each attempt id.
    ///
    /// # Errors
    /// `AttemptUnknown` when the original is not an approved attempt of this merchant; else as `authorize`.
    pub async fn follow_up(&self, kind: FollowUpKind, request: &FollowUp) -> Result<Outcome, VaultErrorCode> {
        let merchant = request.context.merchant;
        let acquirer = self.acquirer(request.context.livemode)?;
        let original = self.find_original(kind, request).await?;
        if let Err(sealed) = self.keyring() {
            return self.known_follow_up(kind, request, sealed).await;
        }
        if !acquirer.is_connected() {
            return self.known_follow_up(kind, request, VaultErrorCode::NetworkUnavailable).await;
        }
        let Some(_working) = self.in_flight.begin(request.attempt) else { return Ok(Outcome::Unknown) };
        let attempt = AttemptRow { node: self.node_number(), ..new_attempt(kind, request, &original) };
        let begun =
            self.committer.begin(NewAttempt { attempt: attempt.clone(), opening: None, spends_token: false }).await?;
        if !matches!(begun, Begun::New(_)) {
            return self.known_follow_up(kind, request, VaultErrorCode::Internal).await;
        }
        let message = match kind {
            FollowUpKind::Capture => capture(&attempt, merchant, request.money, &original),
            FollowUpKind::Void => void(&attempt, merchant, request.money, &original),
            FollowUpKind::Refund => refund(&attempt, merchant, request.money, &original),
        };
        let message = message.map_err(|error| internal(&error))?;
        self.conclude(&attempt, acquirer.ask(message).await).await
    }

    async fn find_original(&self, kind: FollowUpKind, request: &FollowUp) -> Result<AttemptRow, VaultErrorCode> {
        let found = attempts::find(&self.pool, attempt_uuid(request.original)).await.map_err(store_error)?;
        found
            .filter(|row| row.merchant_id == merchant_uuid(request.context.merchant))
            .filter(|row| row.livemode == request.context.livemode)
            .filter(|row| kind.follows(&row.kind) && row.outcome.as_deref() == Some("approved"))
            .ok_or(VaultErrorCode::AttemptUnknown)
    }

    async fn known_follow_up(
        &self,
        kind: FollowUpKind,
        request: &FollowUp,
        otherwise: VaultErrorCode,
    ) -> Result<Outcome, VaultErrorCode> {
        let found = attempts::find(&self.pool, attempt_uuid(request.attempt)).await.map_err(store_error)?;
        let row = found.ok_or(otherwise)?;
        let same = row.kind == kind.as_str()
            && row.original_id == Some(attempt_uuid(request.original))
            && row.network_reference == request.network_reference
            && row.amount_minor == request.money.amount_minor
            && row.currency == currency_code(request.money.currency);
        let owned = row.merchant_id == merchant_uuid(request.context.merchant);
        if owned && (same || row.kind == "tombstone") {
            Ok(recorded(&row))
        } else {
            Err(VaultErrorCode::AttemptMismatch)
        }
    }
}

fn new_attempt(kind: FollowUpKind, request: &FollowUp, original: &AttemptRow) -> AttemptRow {
    AttemptRow {
        id: attempt_uuid(request.attempt),
        kind: kind.as_str().to_owned(),
        original_id: Some(original.id),
        network_reference: request.network_reference.clone(),
        stan: draw_stan(),
        amount_minor: request.money.amount_minor,
        currency: currency_code(request.money.currency),
        created_at: clock::now(),
        outcome: None,
        approval_code: None,
        response_code: None,
        cvc_check: None,
        reversing: false,
        authentication_id: None,
        merchant_initiated: false,
        ..original.clone()
    }
}
