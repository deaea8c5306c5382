//! A single-use token becomes a saved payment method. Nothing is opened for it: both names are one record's.

use std::time::Instant;

use kura_platform::clock;
use kura_platform::tls::{Gateway, Peer};
use kura_wire::card::{CardBrand, CardSummary};
use kura_wire::ids::TokenUse;
use kura_wire::vault::{Attach, Tokenized, VaultErrorCode};
use uuid::Uuid;

use super::{Vault, merchant_uuid, store_error};
use crate::guard::About;
use crate::store::cards::{self, FoundCard};

/// As freezes name it.
const PURPOSE: &str = "attach";

impl Vault {
    /// Uses up `tok_X` and puts `pm_X` in force. Asked again, it answers the same.
    ///
    /// # Errors
    /// `TokenUnknown`; `TokenUsed`; `PurposeFrozen`; `Internal`.
    pub async fn attach(&self, peer: Peer<Gateway>, request: &Attach) -> Result<Tokenized, VaultErrorCode> {
        let context = &request.context;
        let keyring = self.keyring()?;
        let about = About::of(context, request.token.record);
        if self.guard.trips(&keyring.fingerprints, peer.name(), PURPOSE, &request.token.record, about).await {
            return Err(VaultErrorCode::TokenUnknown);
        }
        self.guard.require_unfrozen(peer.name(), PURPOSE)?;
        if request.token.allows != TokenUse::Single {
            return Err(VaultErrorCode::TokenUnknown);
        }
        let (record, owner) = (Uuid::from_bytes(request.token.record), merchant_uuid(context.merchant));
        let found = cards::find(&self.pool, record, owner, context.livemode).await.map_err(store_error)?;
        let card = found.ok_or(VaultErrorCode::TokenUnknown)?;
        // Saved before: the gateway asks again after an answer that it never got. It is the same record, so it is told again;
        // whether the merchant may use the token again is on the gateway's own books.
        if card.saved_at.is_none()
            && !cards::mark_saved(&self.pool, record, owner, clock::now()).await.map_err(store_error)?
        {
            return Err(VaultErrorCode::TokenUsed);
        }
        Ok(Tokenized {
            token: request.token.with_use(TokenUse::Multi),
            card: summary_of(&card)?,
            cvc_held: self.cvcs.holds(&request.token.record, Instant::now()),
        })
    }
}

pub(super) fn summary_of(card: &FoundCard) -> Result<CardSummary, VaultErrorCode> {
    let brands = [
        CardBrand::Amex,
        CardBrand::Diners,
        CardBrand::Discover,
        CardBrand::Jcb,
        CardBrand::Mastercard,
        CardBrand::Unionpay,
        CardBrand::Visa,
    ];
    Ok(CardSummary {
        brand: brands.into_iter().find(|brand| brand.as_str() == card.brand).ok_or(VaultErrorCode::Internal)?,
        bin: card.bin.clone(),
        last_four: card.last_four.clone(),
        exp_month: u8::try_from(card.exp_month).map_err(|_| VaultErrorCode::Internal)?,
        exp_year: u16::try_from(card.exp_year).map_err(|_| VaultErrorCode::Internal)?,
        fingerprint: card.merchant_fingerprint.clone(),
    })
}
