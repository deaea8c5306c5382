//! The vault's control plane: its access ledger, as the witness, the exporter and an incident's scope read it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::MerchantId;

/// `GET` with [`HeadQuery`]: a [`Head`].
pub const PATH_HEAD: &str = "/control/v1/ledger/head";
/// `GET` with [`ConsistencyQuery`]: a [`Proof`].
pub const PATH_CONSISTENCY: &str = "/control/v1/ledger/consistency";
/// `GET` with [`InclusionQuery`]: a [`Proof`].
pub const PATH_INCLUSION: &str = "/control/v1/ledger/inclusion";
/// `GET` with [`PageQuery`]: a list of [`Checkpoint`], by size.
pub const PATH_CHECKPOINTS: &str = "/control/v1/ledger/checkpoints";
/// `GET` with [`PageQuery`]: rows as the frames of an export (`ledger/README.md`), by sequence; not JSON.
pub const PATH_ROWS: &str = "/control/v1/ledger/rows";
/// `GET` with [`BaseQuery`]: a [`Base`].
pub const PATH_BASE: &str = "/control/v1/ledger/base";
/// `POST` [`Scope`]: a [`Scoped`].
pub const PATH_SCOPE: &str = "/control/v1/ledger/scope";

/// Rows or checkpoints on one page at the most.
pub const MAX_LEDGER_PAGE: u32 = 8192;
/// Openings in the list of one answer about a scope.
pub const MAX_SCOPED: u32 = 10_000;
/// Records or requests that one question about a scope may name.
pub const MAX_NAMED: usize = 100_000;

/// What the ledger is, and how it went on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadQuery {
    /// With a proof that the latest checkpoint goes on from this size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// A node's ledger at this moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// The node.
    pub node: u16,
    /// The log's name.
    pub origin: String,
    /// The vault's identity, as browsers have it pinned.
    pub identity: String,
    /// Rows that are durable.
    pub rows: u64,
    /// The latest checkpoint; none while there was no row.
    pub checkpoint: Option<Checkpoint>,
    /// From the size asked for to that of the checkpoint; none when it can't be, as when the ledger is shorter.
    pub consistency: Option<Vec<String>>,
}

/// What the vault has signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Leaves.
    pub size: u64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The signed note.
    pub note: String,
}

/// Between which sizes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyQuery {
    /// The smaller one, from 1.
    pub first: u64,
    /// The larger one.
    pub second: u64,
}

/// Which row, in the tree of which size.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionQuery {
    /// The row's sequence, from 1.
    pub sequence: u64,
    /// The tree's size.
    pub size: u64,
}

/// Hashes, base64, in RFC 9162's order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proof {
    /// The hashes.
    pub hashes: Vec<String>,
}

/// What comes after.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Sequence or size; 0 for the beginning.
    pub after: u64,
    /// 1 to [`MAX_LEDGER_PAGE`].
    pub limit: u32,
}

/// Where to begin: after so many rows, or at a day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseQuery {
    /// Rows to leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// All rows before this UTC day are left out: `2026-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
}

/// The tree before the first row that is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Base {
    /// Rows that are left out.
    pub size: u64,
    /// The roots of its perfect subtrees, the largest first, base64.
    pub roots: Vec<String>,
}

/// Which openings: those for which all that is given holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The certificate that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// From then on.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub since: Option<OffsetDateTime>,
    /// Before then.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub until: Option<OffsetDateTime>,
    /// Of this merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
    /// One of these records, 32 hexadecimal digits each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<String>>,
    /// One of these requests, 32 hexadecimal digits each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Vec<String>>,
    /// Only openings after this one, for the next page of the list; the groups are of the whole scope all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ScopedPlace>,
}

/// An opening's place among all nodes' ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScopedPlace {
    /// The node.
    pub node: u16,
    /// The sequence.
    pub sequence: u64,
}

/// What was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scoped {
    /// All openings, by what they opened.
    pub groups: Vec<ScopedGroup>,
    /// [`MAX_SCOPED`] of them, by node and sequence.
    pub openings: Vec<ScopedOpening>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Openings that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopedGroup {
    /// Whose records.
    pub merchant: MerchantId,
    /// The class of the data.
    pub class: String,
    /// The fields.
    pub fields: Vec<String>,
    /// Why.
    pub purpose: String,
    /// Whether these opened many records each, and name batches instead.
    pub batches: bool,
    /// How many openings.
    pub openings: u64,
    /// How many different records; of batches, the sum of what they opened.
    pub records: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopedOpening {
    /// Its place.
    pub place: ScopedPlace,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The certificate that asked.
    pub actor: String,
    /// The request, 32 hexadecimal digits.
    pub request: String,
    /// Whose record.
    pub merchant: MerchantId,
    /// The class of the data.
    pub class: String,
    /// The record, or the batch; 32 hexadecimal digits.
    pub record: String,
    /// How many records.
    pub records: u32,
    /// The fields.
    pub fields: Vec<String>,
    /// Why.
    pub purpose: String,
    /// The attempt, 32 hexadecimal digits.
    pub attempt: Option<String>,
}
