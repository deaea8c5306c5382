//! Reading a batch: its box is opened, every row checked and sealed, off the threads that serve requests.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use kura_platform::clock;
use kura_wire::control::ControlCode;
use kura_wire::ids::{CardToken, ImportId, MerchantId, NodeId, TokenUse};
use kura_wire::import::{ImportBatch, ImportRow as SentRow, ImportedBatch, MAX_BATCH_LEN, RefusedRow};
use kura_wire::vault::VaultErrorCode;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::ImportError;
use super::copy::CardCopy;
use super::secret::ImportKeys;
use crate::card::{Card, Expiry, Pan, read_holder};
use crate::crypto::field::{DataClass, FieldError, FieldKey, Place};
use crate::crypto::fingerprint::MerchantFingerprints;
use crate::crypto::keyring::Keyring;
use crate::crypto::sealing_keys::BoxKey;
use crate::domain::{CARDS, Vault};
use crate::store::cards::CardRow;
use crate::store::imports::{BatchRow, ImportRow};

type Row<'a> = SentRow<&'a str, Cow<'a, str>>;

/// A batch that was sealed and can be written.
pub(super) struct Taken {
    /// What it will be known again by.
    pub(super) content_hash: Vec<u8>,
    /// Its cards, for COPY.
    pub(super) cards: Vec<u8>,
    /// What will be answered once they are durable.
    pub(super) answer: ImportedBatch,
}

/// A batch that was sent, and all that it takes to read it.
#[derive(Clone)]
pub(super) struct Reading(Arc<Parts>);

struct Parts {
    vault: Arc<Vault>,
    keyring: Arc<Keyring>,
    keys: ImportKeys,
    fingerprints: MerchantFingerprints,
    merchant: MerchantId,
    livemode: bool,
    keep_expired: bool,
    id: ImportId,
    sent: ImportBatch,
}

impl Reading {
    pub(super) fn new(
        vault: &Arc<Vault>,
        keyring: &Arc<Keyring>,
        import: &ImportRow,
        keys: ImportKeys,
        id: ImportId,
        sent: ImportBatch,
    ) -> Result<Self, ImportError> {
        let merchant = MerchantId::from_bytes(import.merchant_id.into_bytes());
        let fingerprints = keyring.fingerprints.of_merchant(merchant).map_err(|_| ImportError::Internal("HKDF"))?;
        let (livemode, keep_expired) = (import.livemode, import.keep_expired);
        let (vault, keyring) = (Arc::clone(vault), Arc::clone(keyring));
        let parts = Parts { vault, keyring, keys, fingerprints, merchant, livemode, keep_expired, id, sent };
        Ok(Self(Arc::new(parts)))
    }

    /// How many rows it says that it has.
    pub(super) fn rows(&self) -> u32 {
        self.0.sent.rows
    }

    /// Opens, checks and seals.
    pub(super) async fn seal(&self, key: Arc<FieldKey>) -> Result<Taken, ImportError> {
        let parts = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || parts.seal(&key));
        working.await.map_err(|_| ImportError::Internal("a worker thread ended unseen"))?
    }

    /// The answer that this batch had before, if it is the same batch.
    pub(super) async fn answer_again(&self, before: BatchRow) -> Result<ImportedBatch, ImportError> {
        let parts = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || parts.answer_again(&before));
        working.await.map_err(|_| ImportError::Internal("a worker thread ended unseen"))?
    }
}

impl Parts {
    fn open(&self) -> Result<Zeroizing<Vec<u8>>, ImportError> {
        let sent = &self.sent;
        let ciphertext = BASE64URL_NOPAD.decode(sent.ciphertext.as_bytes());
        let ciphertext = ciphertext.map_err(|_| VaultErrorCode::BoxUnopenable)?;
        if ciphertext.len() > MAX_BATCH_LEN {
            return Err(ImportError::Refused(ControlCode::Malformed));
        }
        let key = BoxKey { key_id: &sent.key_id, enc: &sent.enc, sealed_at_ms: sent.sealed_at_ms };
        Ok(self.vault.sealing_keys.open_bound(key, &sent.aad(self.id), &ciphertext, clock::now_ms())?)
    }

    /// The rows, which must be as many as the box says, in ascending order.
    fn rows<'a>(&self, plaintext: &'a [u8]) -> Result<Vec<Row<'a>>, ImportError> {
        // Nothing of serde's message is used: it could quote a row.
        let malformed = ImportError::Refused(ControlCode::Malformed);
        let Ok(rows) = serde_json::from_slice::<Vec<Row<'a>>>(plaintext) else { return Err(malformed) };
        let ascending = rows.is_sorted_by(|one, next| one.0 < next.0);
        if !ascending || u32::try_from(rows.len()) != Ok(self.sent.rows) {
            return Err(malformed);
        }
        Ok(rows)
    }

    fn seal(&self, key: &FieldKey) -> Result<Taken, ImportError> {
        let plaintext = self.open()?;
        let rows = self.rows(&plaintext)?;
        let now = clock::now();
        let mut cards = CardCopy::with_capacity(rows.len(), self.vault.node);
        let mut answer = ImportedBatch { tokens: Vec::with_capacity(rows.len()), refused: Vec::new() };
        for row in &rows {
            match self.check(row, now) {
                Ok(card) => {
                    let record = self.keys.record(row.0);
                    let sealed = self.seal_card(key, record, &card, now);
                    cards.push(&sealed.map_err(|_| ImportError::Internal("AES-GCM"))?);
                    answer.tokens.push(token(self.vault.node, record));
                }
                Err(code) => answer.refused.push(RefusedRow { row: row.0, code }),
            }
        }
        Ok(Taken { content_hash: self.keys.content_hash(&plaintext), cards: cards.finish(), answer })
    }

    fn answer_again(&self, before: &BatchRow) -> Result<ImportedBatch, ImportError> {
        let plaintext = self.open()?;
        let same = self.keys.content_hash(&plaintext).ct_eq(&before.content_hash);
        if !bool::from(same) {
            return Err(ImportError::Refused(ControlCode::Conflict));
        }
        let refused: Vec<RefusedRow> =
            serde_json::from_value(before.refused.clone()).map_err(|_| ImportError::Internal("refused rows"))?;
        let left_out: HashSet<u32> = refused.iter().map(|refused| refused.row).collect();
        let rows = self.rows(&plaintext)?;
        let taken = rows.iter().filter(|row| !left_out.contains(&row.0));
        let tokens = taken.map(|row| token(self.vault.node, self.keys.record(row.0))).collect();
        Ok(ImportedBatch { tokens, refused })
    }

    fn check(&self, row: &Row<'_>, now: OffsetDateTime) -> Result<Card, VaultErrorCode> {
        let SentRow(_, number, month, year, name) = row;
        let pan = Pan::parse(number.as_bytes())?;
        let expiry = match Expiry::parse(*month, *year, now) {
            Err(VaultErrorCode::CardExpired) if self.keep_expired => Expiry { month: *month, year: *year },
            other => other?,
        };
        Ok(Card { pan, expiry, cvc: None, holder: read_holder(name.as_deref())? })
    }

    fn seal_card(
        &self,
        key: &FieldKey,
        record: [u8; 16],
        card: &Card,
        now: OffsetDateTime,
    ) -> Result<CardRow, FieldError> {
        let place =
            |column| Place { table: CARDS, column, record: &record, merchant: self.merchant, class: DataClass::Card };
        let holder = card.holder.as_ref().map(|name| key.seal(place("holder_sealed"), name.as_bytes()));
        Ok(CardRow {
            id: Uuid::from_bytes(record),
            merchant_id: Uuid::from_bytes(*self.merchant.as_bytes()),
            livemode: self.livemode,
            key_id: key.id(),
            pan_sealed: key.seal(place("pan_sealed"), card.pan.reveal_to_sealer())?,
            holder_sealed: holder.transpose()?,
            fingerprint_hash: self.keyring.fingerprints.vault_wide(&card.pan),
            merchant_fingerprint: self.fingerprints.print(&card.pan),
            brand: card.pan.brand().as_str(),
            bin: card.pan.bin(),
            last_four: card.pan.last_four(),
            exp_month: i16::from(card.expiry.month),
            exp_year: i16::try_from(card.expiry.year).unwrap_or(i16::MAX),
            created_at: now,
            saved_at: Some(now),
        })
    }
}

fn token(node: NodeId, record: [u8; 16]) -> CardToken {
    CardToken { allows: TokenUse::Multi, node, record }
}
