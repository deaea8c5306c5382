//! What verification found, in words that name the rows.

use std::fmt;

use crate::note::NoteError;
use crate::tree::Hash;

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // What a finding's numbers are, its own words say.
pub enum Finding {
    /// The identity in the file is not the pinned one.
    OtherIdentity,
    /// The witness's file is about another log.
    OtherLog { origin: String, witnessed: String },
    /// A row's columns don't give the hash that is stored beside it.
    Altered { sequence: u64 },
    /// A row of another node.
    ForeignRow { sequence: u64, node: u16 },
    /// A frame that is no row and no checkpoint.
    Unreadable { after: u64 },
    /// Rows that should be there and aren't.
    Missing { from: u64, to: u64 },
    /// A row that stands after younger ones.
    Reordered { sequence: u64, after: u64 },
    /// A row that is there twice.
    Duplicate { sequence: u64 },
    /// The rows don't give the root that the vault signed.
    TreeDiffers { from: u64, to: u64 },
    /// The rows don't give the root that the witness kept.
    Forked { from: u64, to: u64, witnessed: Hash, found: Hash },
    /// A witness saw rows that aren't here.
    WitnessSawMore { rows: u64, witnessed: u64 },
    /// A checkpoint that the identity didn't sign, or that is none.
    Unsigned { size: Option<u64>, error: NoteError },
    /// A checkpoint stands where it can't be met.
    Misplaced { size: u64, after: u64 },
    /// Rows that no checkpoint vouches for.
    Uncovered { from: u64, to: u64 },
    /// The file says that it holds another number of things than it does.
    Miscounted { what: &'static str, said: u64, found: u64 },
    /// The file ends before its end.
    Cut { after: u64 },
    /// Something follows the file's end.
    Trailing,
    /// The witness's own file ends before its end.
    WitnessCut,
    /// A checkpoint in the witness's file isn't signed by the identity that the witness pinned.
    WitnessUnreliable { size: Option<u64>, error: NoteError },
}

/// `row 7`, or `rows 7 to 9`.
struct Rows(u64, u64);

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == self.1 { write!(f, "row {}", self.0) } else { write!(f, "rows {} to {}", self.0, self.1) }
    }
}

fn of_size(size: Option<u64>) -> String {
    size.map_or_else(String::new, |size| format!(" of size {size}"))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherIdentity => write!(f, "the export names another vault identity than the pinned one"),
            Self::OtherLog { origin, witnessed } => {
                write!(f, "the export is of {origin}, the witness's file of {witnessed}")
            }
            Self::Altered { sequence } => {
                write!(f, "row {sequence} was altered: its columns don't give its leaf's hash")
            }
            Self::ForeignRow { sequence, node } => write!(f, "row {sequence} is of node {node}: inserted or renamed"),
            Self::Unreadable { after } => {
                write!(f, "what follows row {after} is no row and no checkpoint: overwritten")
            }
            Self::Missing { from, to } => write!(f, "{} missing: removed", Rows(*from, *to)),
            Self::Reordered { sequence, after } => write!(f, "row {sequence} stands after row {after}: reordered"),
            Self::Duplicate { sequence } => write!(f, "row {sequence} is there twice: inserted"),
            Self::TreeDiffers { from, to } => write!(
                f,
                "{} don't give the root that the vault signed at {to}: at least one was rewritten together with its hash, \
                 inserted or removed",
                Rows(*from, *to)
            ),
            Self::Forked { from, to, witnessed, found } => write!(
                f,
                "forked: the witness kept root {witnessed} at {to}, {} give {found}: rewritten after the witness saw them",
                Rows(*from, *to)
            ),
            Self::WitnessSawMore { rows, witnessed } => {
                write!(f, "the ledger ends at row {rows}; the witness saw {witnessed}: rows were removed from its end")
            }
            Self::Unsigned { size, error } => write!(f, "the checkpoint{} is {error}", of_size(*size)),
            Self::Misplaced { size, after } => {
                write!(
                    f,
                    "the checkpoint of size {size} stands after row {after}: moved, or rows were inserted before it"
                )
            }
            Self::Uncovered { from, to } => write!(
                f,
                "no checkpoint vouches for {}: inserted after the last one, or checkpoints were removed",
                Rows(*from, *to)
            ),
            Self::Miscounted { what, said, found } => {
                write!(f, "the file says that it holds {said} {what}; it holds {found}")
            }
            Self::Cut { after } => write!(f, "the file is cut off after row {after}"),
            Self::Trailing => write!(f, "something was added behind the file's end"),
            Self::WitnessCut => write!(f, "the witness's file is cut off or was changed"),
            Self::WitnessUnreliable { size, error } => {
                write!(f, "the witness's checkpoint{} is {error}", of_size(*size))
            }
        }
    }
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which log.
    pub origin: String,
    /// Rows before the export's first one.
    pub base: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Checkpoints whose signature and root hold.
    pub checkpoints: u64,
    /// Checkpoints of the witness whose root was met.
    pub witnessed: u64,
    /// Checkpoints of the witness about rows before the base.
    pub witnessed_before: u64,
    /// The root over all rows, if the tree could be grown to its end.
    pub root: Option<Hash>,
    /// Whether the identity came from elsewhere than the export itself.
    pub identity_was_pinned: bool,
    /// What is wrong, in the order of the file; at most [`Report::MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more_findings: u64,
}

impl Report {
    /// Findings that are kept.
    pub const MAX_FINDINGS: usize = 1000;

    /// Whether everything is as it was when it was signed.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }
}
