//! A saved card's new expiry, as its merchant was told it. Nothing is opened for it: the number stays what it is.

use kura_platform::clock;
use kura_platform::tls::{Gateway, Peer};
use kura_wire::ids::TokenUse;
use kura_wire::vault::{SetExpiry, Tokenized, VaultErrorCode};
use uuid::Uuid;

use super::attach::summary_of;
use super::{Vault, internal, merchant_uuid, store_error};
use crate::card::Expiry;
use crate::guard::About;
use crate::store::cards::{self, FoundCard};

/// As freezes name it.
const PURPOSE: &str = "set_expiry";

impl Vault {
    /// Changes month, year or both of a `pm_` in force. Asked again, it answers the same.
    ///
    /// # Errors
    /// `ExpiryMonthInvalid`, `ExpiryYearInvalid`, `CardExpired`; `TokenUnknown`; `PurposeFrozen`; `Sealed`; `Internal`.
    pub async fn set_expiry(&self, peer: Peer<Gateway>, request: &SetExpiry) -> Result<Tokenized, VaultErrorCode> {
        let (context, token) = (&request.context, request.token);
        let about = About::of(context, token.record);
        if self.guard.trips(&self.keyring()?.fingerprints, peer.name(), PURPOSE, &token.record, about).await {
            return Err(VaultErrorCode::TokenUnknown);
        }
        self.guard.require_unfrozen(peer.name(), PURPOSE)?;
        if token.allows != TokenUse::Multi {
            return Err(VaultErrorCode::TokenUnknown);
        }
        let (record, owner) = (Uuid::from_bytes(token.record), merchant_uuid(context.merchant));
        let found = cards::find(&self.pool, record, owner, context.livemode).await.map_err(store_error)?;
        let card = found.filter(|card| card.saved_at.is_some()).ok_or(VaultErrorCode::TokenUnknown)?;
        let now = summary_of(&card)?;
        let (month, year) = (request.exp_month.unwrap_or(now.exp_month), request.exp_year.unwrap_or(now.exp_year));
        let expiry = Expiry::parse(month, year, clock::now())?;
        let exp_month = i16::from(expiry.month);
        let exp_year = i16::try_from(expiry.year).map_err(|error| internal(&error))?;
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        if !cards::set_expiry(&mut connection, record, exp_month, exp_year).await.map_err(store_error)? {
            return Err(VaultErrorCode::TokenUnknown);
        }
        let card = summary_of(&FoundCard { exp_month, exp_year, ..card })?;
        Ok(Tokenized { token, card, cvc_held: false })
    }
}
