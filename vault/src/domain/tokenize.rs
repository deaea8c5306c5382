//! A box comes in, a token goes out.

use std::time::Instant;

use kura_platform::{clock, random};
use kura_wire::card::CardSummary;
use kura_wire::ids::{CardToken, TokenUse};
use kura_wire::vault::{Context, TestCard, Tokenize, Tokenized, VaultErrorCode};
use uuid::Uuid;

use super::{CARDS, Vault, internal, merchant_uuid};
use crate::card::test_cards::test_card;
use crate::card::{Card, read_card};
use crate::commit::Inserted;
use crate::crypto::field::{DataClass, Place};
use crate::crypto::keyring::Keyring;
use crate::store::cards::CardRow;

/// How often a card is sealed anew when its key is retired under its hands.
const MAX_RESEALS: usize = 4;

impl Vault {
    /// Opens the box, checks the card, seals it, answers a single-use token.
    ///
    /// # Errors
    /// The first thing that is wrong with the box or the card; `Overloaded`; `Internal`.
    pub async fn tokenize(&self, request: &Tokenize) -> Result<Tokenized, VaultErrorCode> {
        let keyring = self.keyring()?;
        let plaintext = self.sealing_keys.open(&request.sealed, &request.publishable_key, clock::now_ms())?;
        let card = read_card(&plaintext, clock::now())?;
        drop(plaintext);
        self.store(&keyring, &request.context, card, TokenUse::Single).await
    }

    /// Makes a record of a published test card.
    ///
    /// # Errors
    /// `TestCardUnknown`, in live mode always; `Overloaded`; `Internal`.
    pub async fn make_test_card(&self, request: &TestCard) -> Result<Tokenized, VaultErrorCode> {
        if request.context.livemode {
            return Err(VaultErrorCode::TestCardUnknown);
        }
        self.store(&*self.keyring()?, &request.context, test_card(&request.name, clock::now())?, request.allows).await
    }

    async fn store(
        &self,
        keyring: &Keyring,
        context: &Context,
        card: Card,
        allows: TokenUse,
    ) -> Result<Tokenized, VaultErrorCode> {
        let record: [u8; 16] = random::bytes();
        let fingerprint = keyring.fingerprints.for_merchant(context.merchant, &card.pan);
        let summary = CardSummary {
            brand: card.pan.brand(),
            bin: card.pan.bin(),
            last_four: card.pan.last_four(),
            exp_month: card.expiry.month,
            exp_year: card.expiry.year,
            fingerprint: fingerprint.map_err(|error| internal(&error))?,
        };
        for _ in 0..MAX_RESEALS {
            let row = sealed_row(keyring, context, record, &card, &summary, allows).await?;
            let key_id = row.key_id;
            if self.committer.insert_card(row).await? == Inserted::Done {
                // Held only once the card is durable: a code without its card would be of no use to anyone.
                let cvc_held = card.cvc.is_some_and(|cvc| self.cvcs.hold(record, &cvc, Instant::now()));
                return Ok(Tokenized { token: CardToken { allows, node: self.node, record }, card: summary, cvc_held });
            }
            keyring.deks.forget(key_id);
        }
        tracing::error!("each key was retired before its row was in");
        Err(VaultErrorCode::Internal)
    }
}

/// The card under the key of the moment.
pub(super) async fn sealed_row(
    keyring: &Keyring,
    context: &Context,
    record: [u8; 16],
    card: &Card,
    summary: &CardSummary,
    allows: TokenUse,
) -> Result<CardRow, VaultErrorCode> {
    let merchant = context.merchant;
    let seals = 1 + i64::from(card.holder.is_some());
    let key = keyring.deks.for_sealing(merchant, DataClass::Card, seals).await.map_err(|error| internal(&error))?;
    let place = |column| Place { table: CARDS, column, record: &record, merchant, class: DataClass::Card };
    let failed = |error| internal(&error);
    let pan_sealed = key.seal(place("pan_sealed"), card.pan.reveal_to_sealer()).map_err(failed)?;
    let holder_sealed = match &card.holder {
        Some(holder) => Some(key.seal(place("holder_sealed"), holder.as_bytes()).map_err(failed)?),
        None => None,
    };
    let now = clock::now();
    Ok(CardRow {
        id: Uuid::from_bytes(record),
        merchant_id: merchant_uuid(merchant),
        livemode: context.livemode,
        key_id: key.id(),
        pan_sealed,
        holder_sealed,
        fingerprint_hash: keyring.fingerprints.vault_wide(&card.pan),
        merchant_fingerprint: summary.fingerprint.clone(),
        brand: summary.brand.as_str(),
        bin: summary.bin.clone(),
        last_four: summary.last_four.clone(),
        exp_month: i16::from(summary.exp_month),
        exp_year: i16::try_from(summary.exp_year).map_err(|_| VaultErrorCode::ExpiryYearInvalid)?,
        created_at: now,
        saved_at: (allows == TokenUse::Multi).then_some(now),
    })
}
