//! Bulk loads of cards: the vault's control plane, and what stands in their boxes.
//!
//! The operator's program reads the cards, seals them in batches to the vault's own keys (the same signed keys as the
//! browsers', `GET` [`PATH_IMPORT_KEYS`]) and hears tokens. A batch that is sent again is answered as before.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{CardToken, ImportId, MerchantId};
use crate::sealed_box::length_prefixed;
use crate::vault::VaultErrorCode;

/// Vault, `GET`: a [`crate::sealed_box::SignedKeySet`].
pub const PATH_IMPORT_KEYS: &str = "/control/v1/import_keys";
/// Vault, `POST` [`StartImport`]: [`Import`].
pub const PATH_IMPORTS: &str = "/control/v1/imports";
/// Vault, `GET`: [`Import`].
pub const PATH_IMPORT: &str = "/control/v1/imports/{id}";
/// Vault, `POST` [`ImportBatch`]: [`ImportedBatch`].
pub const PATH_IMPORT_BATCHES: &str = "/control/v1/imports/{id}/batches";
/// Vault, `POST`: [`Import`].
pub const PATH_IMPORT_FINISH: &str = "/control/v1/imports/{id}/finish";

/// The purpose that stands first in the associated data of a batch's box.
pub const PURPOSE_IMPORT: &str = "kura import v1";
/// Rows in a batch at the most.
pub const MAX_BATCH_ROWS: u32 = 2000;
/// Bytes of a batch's ciphertext at the most.
pub const MAX_BATCH_LEN: usize = 1024 * 1024;

/// What is to be imported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartImport {
    /// Whose cards.
    pub merchant: MerchantId,
    /// Live or test.
    pub livemode: bool,
    /// Take cards whose month is over too.
    pub keep_expired: bool,
}

/// An import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// Whose cards.
    pub merchant: MerchantId,
    /// Live or test.
    pub livemode: bool,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Since when it takes no more.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// Cards that were taken.
    pub cards: i64,
    /// Rows that were refused.
    pub refused: i64,
}

/// One row in a batch's box, as a JSON array: number of the row, card number, month, year, cardholder. The box holds a JSON
/// array of them, row numbers ascending.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportRow<Digits, Name>(
    /// Its place in the whole file, from 1; two rows of an import never share one.
    pub u32,
    /// The card number: digits alone.
    pub Digits,
    /// 1 to 12.
    pub u8,
    /// Four digits.
    pub u16,
    /// The cardholder.
    pub Option<Name>,
);

/// A batch of rows, sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportBatch {
    /// Which batch of the import, from 0. The same number with other rows is refused.
    pub number: u32,
    /// How many rows are in it.
    pub rows: u32,
    /// The [`crate::sealed_box::SealingKey`] that it was sealed to.
    pub key_id: String,
    /// HPKE's encapsulated key, base64url without padding.
    pub enc: String,
    /// AES-256-GCM ciphertext and tag, base64url without padding.
    pub ciphertext: String,
    /// Unix milliseconds at sealing.
    pub sealed_at_ms: i64,
}

impl ImportBatch {
    /// The associated data of this batch's box.
    pub fn aad(&self, import: ImportId) -> Vec<u8> {
        import_aad(import, self.number, self.rows, self.sealed_at_ms)
    }
}

/// The associated data of a batch's box.
pub fn import_aad(import: ImportId, number: u32, rows: u32, sealed_at_ms: i64) -> Vec<u8> {
    length_prefixed(&[
        PURPOSE_IMPORT.as_bytes(),
        import.as_bytes(),
        &number.to_be_bytes(),
        &rows.to_be_bytes(),
        sealed_at_ms.to_string().as_bytes(),
    ])
}

/// What became of a batch. It is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportedBatch {
    /// One `pm_` for each row that was not refused, in the rows' order.
    pub tokens: Vec<CardToken>,
    /// The others, in the rows' order.
    pub refused: Vec<RefusedRow>,
}

/// A row that is no card, without a digit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its number.
    pub row: u32,
    /// What is wrong with it.
    pub code: VaultErrorCode,
}
