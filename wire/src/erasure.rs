//! The vault's control plane for erasure and retention, and the statement by which an erasure is proved.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{MerchantId, RequestId};
use crate::sealed_box::length_prefixed;

/// Vault, `POST` [`Erase`], answers [`EraseProgress`].
pub const PATH_ERASE: &str = "/control/v1/erase";
/// Vault, `GET` with [`ErasureQuery`]: a list of [`Erasure`], oldest first.
pub const PATH_ERASURES: &str = "/control/v1/erasures";
/// Vault, `GET`: [`RetentionReport`]; `POST` [`RetentionChange`].
pub const PATH_RETENTION: &str = "/control/v1/retention";

/// Erasures in one answer at the most.
pub const MAX_ERASURES: i64 = 500;

/// What to erase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case", deny_unknown_fields)]
pub enum EraseScope {
    /// One record: a card's token (`tok_…`, `pm_…`), a payer (`pyr_…`) or a customer (`cus_…`).
    Record {
        /// Its id.
        record: String,
    },
    /// All of a merchant: its keys of all classes are destroyed first, then its rows are blanked.
    Merchant {
        /// Whose.
        merchant: MerchantId,
        /// The merchant's id again, typed by whoever executes it.
        confirm: Option<String>,
    },
    /// What a rule of retention (`card`, `konbini`, …) covers and is older than so many days.
    OlderThan {
        /// The rule.
        rule: String,
        /// Days since its last use, or its making.
        days: u32,
        /// Only this merchant's.
        merchant: Option<MerchantId>,
    },
}

/// Erase, or tell what would be erased. Large scopes are walked in parts: ask again from `next` until there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// What.
    pub scope: EraseScope,
    /// False: only tell.
    pub execute: bool,
    /// Ties the parts of one erasure together; chosen by the caller.
    pub request_id: RequestId,
    /// Where the last part ended.
    #[serde(default)]
    pub after: Option<EraseCursor>,
}

/// Where a part of an erasure ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EraseCursor {
    /// `cards`, `payers` or `customers`.
    pub table: String,
    /// The last record that was looked at.
    pub record: uuid::Uuid,
}

/// What one part did, or would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EraseProgress {
    /// Records by rule.
    pub records: Vec<(String, u64)>,
    /// Keys that were destroyed, or would be; in the first part only.
    pub keys: u64,
    /// Where to go on.
    pub next: Option<EraseCursor>,
}

/// Which erasures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureQuery {
    /// Only those after this one.
    #[serde(default)]
    pub after: i64,
}

/// What the vault identity signs of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureStatement {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// `record`, `merchant` or `age`.
    pub scope: String,
    /// The rule of retention that covered the records; `keys` for a merchant's keys.
    pub rule: String,
    /// Whose.
    pub merchant: MerchantId,
    /// Records that were blanked.
    pub records: i64,
    /// Keys that were destroyed.
    pub keys: i64,
    /// By whom: a certificate's name, or the sweeper of a node.
    pub actor: String,
    /// For which request.
    pub request_id: RequestId,
    /// SHA-256 over the ids in ascending order, 16 bytes each (8 for keys), in hexadecimal.
    pub ids_sha256: String,
}

/// One erasure as it is on record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Erasure {
    /// Its place among all.
    pub id: i64,
    /// An [`ErasureStatement`] as JSON text.
    pub statement: String,
    /// ECDSA P-256 over SHA-256 of [`signed_bytes`], r and s of 32 bytes each, base64url without padding.
    pub signature: String,
}

/// The bytes under an erasure's signature: a domain, then the statement.
pub fn signed_bytes(statement: &str) -> Vec<u8> {
    length_prefixed(&[b"kura erasure v1", statement.as_bytes()])
}

/// Change how long something is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionChange {
    /// The rule.
    pub rule: String,
    /// Days, 1 to 3650.
    pub days: i32,
}

/// PCI DSS 3.2.1: what is kept, why, for how long, and that it is purged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetentionReport {
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How long each rule keeps, in days.
    pub limits: Vec<(String, i32)>,
    /// What is held.
    pub held: Vec<HeldRecords>,
    /// The sweeper's passes.
    pub sweeps: Vec<SweepState>,
    /// What was erased so far.
    pub erased: Vec<ErasedRecords>,
    /// Columns that hold account or personal data, from the database's own catalogue.
    pub columns: Vec<DataColumn>,
    /// Columns that are named like a security code's and could hold one: there must be none.
    pub security_code_columns: Vec<String>,
    /// Columns that are named like account data and say nothing of why they are kept: there must be none.
    pub unexplained_columns: Vec<String>,
}

/// Records of one rule and merchant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldRecords {
    /// The rule of retention that covers them.
    pub rule: String,
    /// Whose.
    pub merchant: MerchantId,
    /// How many.
    pub records: i64,
    /// The beginning of the oldest one's time.
    #[serde(with = "time::serde::rfc3339")]
    pub oldest_at: OffsetDateTime,
    /// Days that they may be kept.
    pub limit_days: i32,
    /// Those that were past it when the last pass began (now, before the first one), and are still there: must be 0.
    pub overdue: i64,
}

/// The sweeper in one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SweepState {
    /// The table.
    pub table: String,
    /// When the last whole pass ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_finished_at: Option<OffsetDateTime>,
    /// Whole passes so far.
    pub passes: i64,
    /// Records that it erased so far.
    pub erased: i64,
}

/// Erased records of one rule and merchant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErasedRecords {
    /// The rule.
    pub rule: String,
    /// Whose.
    pub merchant: MerchantId,
    /// How many records.
    pub records: i64,
    /// How many keys.
    pub keys: i64,
    /// The last time.
    #[serde(with = "time::serde::rfc3339")]
    pub last_at: OffsetDateTime,
}

/// A column with account or personal data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataColumn {
    /// `table.column`.
    pub column: String,
    /// Why it is kept.
    pub why: String,
}
