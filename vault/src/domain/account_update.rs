//! Account update: another number under the same token (a card was replaced), or another expiry.
//!
//! The lines come as one sealed box from an operator's terminal. The token stays; both fingerprints change with the number;
//! a row of history says when, by which file, and whether the number changed.

use aws_lc_rs::digest::{SHA256, digest};
use kura_platform::clock;
use kura_wire::exposed::{AccountUpdates, BatchDone, MAX_BATCH_LINES, RefusedLine};
use kura_wire::ids::{CardToken, MerchantId, RequestId, TokenUse};
use kura_wire::operator_box::PURPOSE_ACCOUNT_UPDATE;
use kura_wire::vault::VaultErrorCode;
use serde::Deserialize;
use uuid::Uuid;

use super::person::open_field;
use super::{CARDS, MAX_RESEALS, Vault, internal, store_error};
use crate::card::{Expiry, Pan};
use crate::crypto::field::{DataClass, Place, Sealed};
use crate::crypto::keyring::Keyring;
use crate::store::account_updates::{self, AccountUpdateRow};
use crate::store::cards::{self, ReplaceableCard, Replacement};
use crate::store::openings::OpeningRow;

const MAX_SOURCE_LEN: usize = 200;

/// Borrowed, so that the only plaintext is the buffer that the box was opened into.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    line: u64,
    #[serde(borrow)]
    token: &'a str,
    /// Empty: only the expiry changes.
    #[serde(borrow, default)]
    number: &'a str,
    exp_month: u8,
    exp_year: u16,
}

/// Who updates, from where.
struct Update<'a> {
    actor: &'a str,
    source: &'a str,
    request_id: RequestId,
}

impl Vault {
    /// Opens a batch and replaces each card that it names.
    ///
    /// # Errors
    /// `Malformed`; what is wrong with the box; `Sealed`. What is wrong with a line is told by its number.
    pub async fn update_accounts(
        &self,
        actor: &str,
        request_id: RequestId,
        request: &AccountUpdates,
    ) -> Result<BatchDone, VaultErrorCode> {
        let keyring = self.keyring()?;
        if !(1..=MAX_SOURCE_LEN).contains(&request.source.chars().count()) {
            return Err(VaultErrorCode::Malformed);
        }
        let (sealed, source) = (&request.sealed, request.source.as_str());
        let opened = self.sealing_keys.open_batch(sealed, PURPOSE_ACCOUNT_UPDATE, source, clock::now_ms())?;
        let lines: Vec<Line<'_>> = serde_json::from_slice(&opened).map_err(|_| VaultErrorCode::Malformed)?;
        if lines.len() > MAX_BATCH_LINES {
            return Err(VaultErrorCode::Malformed);
        }
        let update = Update { actor, source, request_id };
        let mut done = BatchDone::default();
        for line in &lines {
            match self.update_account(&keyring, &update, line).await {
                Ok(true) => done.done += 1,
                Ok(false) => done.unchanged += 1,
                Err(code) => done.refused.push(RefusedLine { line: line.line, code }),
            }
        }
        Ok(done)
    }

    /// False when number and expiry are what they were.
    async fn update_account(
        &self,
        keyring: &Keyring,
        update: &Update<'_>,
        line: &Line<'_>,
    ) -> Result<bool, VaultErrorCode> {
        let token: CardToken = line.token.parse().map_err(|_| VaultErrorCode::TokenUnknown)?;
        if token.allows != TokenUse::Multi {
            return Err(VaultErrorCode::TokenUnknown);
        }
        let record = Uuid::from_bytes(token.record);
        let expiry = Expiry::parse(line.exp_month, line.exp_year, clock::now())?;
        let pan = if line.number.is_empty() { None } else { Some(Pan::parse(line.number.as_bytes())?) };
        for _ in 0..MAX_RESEALS {
            let found = cards::find_replaceable(&self.pool, record).await.map_err(store_error)?;
            let old = found.ok_or(VaultErrorCode::TokenUnknown)?;
            let new_print = pan.as_ref().map(|pan| keyring.fingerprints.vault_wide(pan));
            let other_number = new_print.as_ref().is_some_and(|print| *print != old.fingerprint_hash);
            let month = i16::from(expiry.month);
            let year = i16::try_from(expiry.year).map_err(|_| VaultErrorCode::ExpiryYearInvalid)?;
            if !other_number && (old.exp_month, old.exp_year) == (month, year) {
                return Ok(false);
            }
            let replacement = match &pan {
                Some(pan) if other_number => Some(self.replacement(keyring, update, record, &old, pan).await?),
                _ => None,
            };
            if self.replace(update, record, &old, replacement.as_ref(), (month, year)).await.map_err(store_error)? {
                // A code belongs to the card that is no longer under this token.
                drop(self.cvcs.take(&token.record, std::time::Instant::now()));
                return Ok(true);
            }
            if let Some(replacement) = replacement {
                keyring.deks.forget(replacement.key_id);
            }
        }
        tracing::error!("the card changed each time before its update was in");
        Err(VaultErrorCode::Internal)
    }

    /// Row and history in one transaction. False when the row changed meanwhile.
    async fn replace(
        &self,
        update: &Update<'_>,
        record: Uuid,
        old: &ReplaceableCard,
        new: Option<&Replacement>,
        (month, year): (i16, i16),
    ) -> Result<bool, crate::store::StoreError> {
        let mut transaction = self.pool.begin().await?;
        if let Some(new) = new
            && !cards::replace(&mut transaction, record, old, new).await?
        {
            return Ok(false);
        }
        if !cards::set_expiry(&mut transaction, record, month, year).await? {
            return Ok(false);
        }
        let before = digest(&SHA256, &old.fingerprint_hash);
        let after = new.map_or(before, |new| digest(&SHA256, &new.fingerprint_hash));
        let row = AccountUpdateRow {
            at: clock::now(),
            record_id: record,
            merchant_id: old.merchant_id,
            source: update.source,
            request_id: Uuid::from_bytes(*update.request_id.as_bytes()),
            actor: update.actor,
            old_fingerprint_hash: before.as_ref(),
            new_fingerprint_hash: after.as_ref(),
        };
        account_updates::insert(&mut transaction, &row).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The new number under the key of the moment. The name goes with it: under another key than before, it is opened (which
    /// the ledger records) and sealed anew.
    async fn replacement(
        &self,
        keyring: &Keyring,
        update: &Update<'_>,
        record: Uuid,
        old: &ReplaceableCard,
        pan: &Pan,
    ) -> Result<Replacement, VaultErrorCode> {
        let merchant = MerchantId::from_bytes(old.merchant_id.into_bytes());
        let key = keyring.deks.for_sealing(merchant, DataClass::Card, 2).await.map_err(|error| internal(&error))?;
        let id = *record.as_bytes();
        let place = |column| Place { table: CARDS, column, record: &id, merchant, class: DataClass::Card };
        let holder_sealed = match &old.holder_sealed {
            Some(bytes) if key.id() != old.key_id => {
                let holder = Sealed::from_column(bytes.clone());
                // Held while the name is open, and gone with it.
                let receipt = self.record_opening(holder_opening(update, record, old.merchant_id)).await?;
                let opened = open_field(keyring, place("holder_sealed"), &holder).await?;
                let Some(name) = opened else {
                    self.raise_unopenable(merchant, receipt.record(), update.request_id).await;
                    return Err(VaultErrorCode::SealedDataCorrupt);
                };
                Some(key.seal(place("holder_sealed"), name.as_bytes()).map_err(|error| internal(&error))?)
            }
            kept => kept.clone().map(Sealed::from_column),
        };
        let pan_sealed = key.seal(place("pan_sealed"), pan.reveal_to_sealer()).map_err(|error| internal(&error))?;
        Ok(Replacement {
            key_id: key.id(),
            pan_sealed,
            holder_sealed,
            fingerprint_hash: keyring.fingerprints.vault_wide(pan),
            merchant_fingerprint: {
                let print = keyring.fingerprints.for_merchant(merchant, pan);
                print.map_err(|error| internal(&error))?
            },
            brand: pan.brand().as_str(),
            bin: pan.bin(),
            last_four: pan.last_four(),
        })
    }
}

fn holder_opening(update: &Update<'_>, record: Uuid, merchant_id: Uuid) -> OpeningRow {
    OpeningRow {
        node: 0,
        sequence: 0,
        at: clock::now(),
        actor: update.actor.to_owned(),
        request_id: Uuid::from_bytes(*update.request_id.as_bytes()),
        merchant_id,
        record_id: record,
        class: DataClass::Card.as_str().to_owned(),
        records: 1,
        fields: vec!["holder".to_owned()],
        purpose: "account_update".to_owned(),
        attempt_id: None,
    }
}
