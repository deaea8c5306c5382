//! What may be known of an imported card, told to a gateway that has not heard of it. Nothing is opened for it.

use kura_platform::tls::{Gateway, Peer};
use kura_wire::ids::TokenUse;
use kura_wire::vault::{Describe, Tokenized, VaultErrorCode};
use uuid::Uuid;

use super::attach::summary_of;
use super::{Vault, merchant_uuid, store_error};
use crate::guard::About;
use crate::store::cards;

/// As freezes name it.
const PURPOSE: &str = "describe";

impl Vault {
    /// Brand, BIN, last four and expiry behind a `pm_` that an import made. Of any other token the gateway was told when it
    /// was made, and is not told again.
    ///
    /// # Errors
    /// `TokenUnknown`; `PurposeFrozen`; `Sealed`; `Internal`.
    pub async fn describe(&self, peer: Peer<Gateway>, request: &Describe) -> Result<Tokenized, VaultErrorCode> {
        let (context, token) = (&request.context, request.token);
        let about = About::of(context, token.record);
        if self.guard.trips(&self.keyring()?.fingerprints, peer.name(), PURPOSE, &token.record, about).await {
            return Err(VaultErrorCode::TokenUnknown);
        }
        self.guard.require_unfrozen(peer.name(), PURPOSE)?;
        if token.allows != TokenUse::Multi {
            return Err(VaultErrorCode::TokenUnknown);
        }
        let node = i16::try_from(token.node.number()).map_err(|_| VaultErrorCode::TokenUnknown)?;
        let (record, owner) = (Uuid::from_bytes(token.record), merchant_uuid(context.merchant));
        let found = cards::find_imported(&self.pool, record, owner, context.livemode, node).await;
        let card = found.map_err(store_error)?.ok_or(VaultErrorCode::TokenUnknown)?;
        Ok(Tokenized { token, card: summary_of(&card)?, cvc_held: false })
    }
}
