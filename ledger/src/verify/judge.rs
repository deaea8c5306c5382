//! The judge: looks at one frame after the other, in the file's order, and at the end at what never came.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Expected, Finding, Item, Report};
use crate::export::Header;
use crate::note::{Checkpoint, NoteError, PublicIdentity, node_of};
use crate::tree::{Compact, Hash};

/// Who says what root the tree has at a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The vault, in the export.
    Vault,
    /// The witness.
    Witness,
}

pub(super) struct Judge {
    identity: PublicIdentity,
    node: Option<u16>,
    base: u64,
    /// Grown with the hashes as they are stored, so that an altered column alone leaves it as it was signed.
    tree: Compact,
    /// Whether the rows so far are whole and in order: only then has the tree anything to say.
    is_aligned: bool,
    /// The sequence that comes next.
    next: u64,
    last: u64,
    gaps: Vec<(u64, u64)>,
    /// Roots that the tree must have when it has grown to a size.
    awaited: BTreeMap<u64, Vec<(Source, Hash)>>,
    vault_differs: bool,
    witness_differs: bool,
    /// Rows up to here are vouched for by the vault, and by the witness.
    covered: u64,
    witness_covered: u64,
    checkpoints_read: u64,
    has_end: bool,
    report: Report,
}

impl Judge {
    pub(super) fn new(header: &Header, expected: &Expected) -> Self {
        let pinned = expected.identity.as_ref().or(expected.witness.as_ref().map(|witness| &witness.identity));
        let base = header.base.size();
        let mut judge = Self {
            identity: pinned.unwrap_or(&header.identity).clone(),
            node: node_of(&header.origin),
            base,
            tree: header.base.clone(),
            is_aligned: true,
            next: base + 1,
            last: base,
            gaps: Vec::new(),
            awaited: BTreeMap::new(),
            vault_differs: false,
            witness_differs: false,
            covered: base,
            witness_covered: base,
            checkpoints_read: 0,
            has_end: false,
            report: Report {
                origin: header.origin.clone(),
                base,
                rows: 0,
                checkpoints: 0,
                witnessed: 0,
                witnessed_before: 0,
                root: None,
                identity_was_pinned: pinned.is_some(),
                findings: Vec::new(),
                more_findings: 0,
            },
        };
        let witness_pins = expected.witness.as_ref().map(|witness| &witness.identity);
        if [expected.identity.as_ref(), witness_pins].into_iter().flatten().any(|key| *key != header.identity) {
            judge.find(Finding::OtherIdentity);
        }
        judge.await_witness(expected);
        judge
    }

    fn await_witness(&mut self, expected: &Expected) {
        let Some(witness) = &expected.witness else { return };
        witness.findings.iter().for_each(|finding| self.find(finding.clone()));
        if witness.origin != self.report.origin {
            let origin = self.report.origin.clone();
            self.find(Finding::OtherLog { origin, witnessed: witness.origin.clone() });
            return;
        }
        for (size, root) in &witness.roots {
            if *size < self.base {
                self.report.witnessed_before += 1;
            } else {
                self.awaited.entry(*size).or_default().push((Source::Witness, *root));
            }
        }
        self.meet_awaited();
    }

    /// Whose signatures count.
    pub(super) fn identity(&self) -> &PublicIdentity {
        &self.identity
    }

    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < Report::MAX_FINDINGS {
            self.report.findings.push(finding);
        } else {
            self.report.more_findings += 1;
        }
    }

    pub(super) fn next(&mut self, item: Item) {
        if self.has_end {
            self.trailing();
            return;
        }
        match item {
            Item::Row { node, sequence, stored, is_intact } => {
                self.report.rows += 1;
                if Some(node) != self.node {
                    self.find(Finding::ForeignRow { sequence, node });
                }
                if !is_intact {
                    self.find(Finding::Altered { sequence });
                }
                self.place(sequence, stored);
            }
            Item::Checkpoint { claimed, opened } => {
                self.checkpoints_read += 1;
                match opened {
                    Ok(checkpoint) => self.checkpoint(&checkpoint),
                    Err(error) => self.unsigned(claimed, error),
                }
            }
            Item::End { rows, checkpoints } => self.end(rows, checkpoints),
            Item::Unreadable => {
                self.is_aligned = false;
                self.find(Finding::Unreadable { after: self.last });
            }
        }
    }

    fn unsigned(&mut self, size: Option<u64>, error: NoteError) {
        self.find(Finding::Unsigned { size, error });
    }

    /// The file ends within a frame: within something that was added, if its own end was there.
    pub(super) fn cut(&mut self) {
        if self.has_end {
            self.trailing();
        }
    }

    /// Once, however much follows.
    fn trailing(&mut self) {
        if !self.report.findings.contains(&Finding::Trailing) {
            self.find(Finding::Trailing);
        }
    }

    fn place(&mut self, sequence: u64, stored: Hash) {
        match sequence.cmp(&self.next) {
            Ordering::Equal => {
                if self.is_aligned {
                    self.tree.push(stored);
                }
                self.next = sequence.saturating_add(1);
                self.last = sequence;
                self.meet_awaited();
            }
            Ordering::Greater => {
                self.is_aligned = false;
                self.gaps.push((self.next, sequence - 1));
                self.next = sequence.saturating_add(1);
                self.last = sequence;
            }
            Ordering::Less => {
                self.is_aligned = false;
                let (was_missing, after) = (self.take_from_gap(sequence), self.last);
                self.find(if was_missing {
                    Finding::Reordered { sequence, after }
                } else {
                    Finding::Duplicate { sequence }
                });
            }
        }
    }

    /// Whether the row was missing until now.
    fn take_from_gap(&mut self, sequence: u64) -> bool {
        let Some(at) = self.gaps.iter().position(|(from, to)| (*from..=*to).contains(&sequence)) else { return false };
        let (from, to) = self.gaps.remove(at);
        if sequence > from {
            self.gaps.push((from, sequence - 1));
        }
        if sequence < to {
            self.gaps.push((sequence + 1, to));
        }
        true
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        let size = checkpoint.size;
        if size < self.last {
            // It vouches for a tree that is not there any more.
            if self.is_aligned {
                self.find(Finding::Misplaced { size, after: self.last });
            }
            return;
        }
        self.awaited.entry(size).or_default().push((Source::Vault, checkpoint.root));
        self.meet_awaited();
    }

    /// Compares the tree with what is said of it at its present size.
    fn meet_awaited(&mut self) {
        let size = self.last;
        let Some(said) = self.awaited.remove(&size) else { return };
        if !self.is_aligned {
            return;
        }
        let found = self.tree.root();
        for (source, root) in said {
            match (source, root == found) {
                (Source::Vault, true) => {
                    self.report.checkpoints += 1;
                    self.covered = size;
                }
                (Source::Witness, true) => {
                    self.report.witnessed += 1;
                    self.witness_covered = size;
                }
                (Source::Vault, false) if !self.vault_differs => {
                    self.vault_differs = true;
                    self.find(Finding::TreeDiffers { from: (self.covered + 1).min(size), to: size });
                }
                (Source::Witness, false) if !self.witness_differs => {
                    self.witness_differs = true;
                    let from = (self.witness_covered + 1).min(size);
                    self.find(Finding::Forked { from, to: size, witnessed: root, found });
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, rows: u64, checkpoints: u64) {
        self.has_end = true;
        let counts = [("rows", rows, self.report.rows), ("checkpoints", checkpoints, self.checkpoints_read)];
        for (what, said, found) in counts {
            if said != found {
                self.find(Finding::Miscounted { what, said, found });
            }
        }
    }

    /// What never came.
    pub(super) fn conclude(mut self) -> Report {
        if !self.has_end {
            self.find(Finding::Cut { after: self.last });
        }
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.sort_unstable();
        gaps.into_iter().for_each(|(from, to)| self.find(Finding::Missing { from, to }));
        let furthest = |source: Source, awaited: &BTreeMap<u64, Vec<(Source, Hash)>>| {
            let of_source = awaited.iter().filter(|(_, said)| said.iter().any(|(by, _)| *by == source));
            of_source.map(|(size, _)| *size).next_back()
        };
        if let Some(to) = furthest(Source::Vault, &self.awaited).filter(|size| *size > self.last) {
            self.find(Finding::Missing { from: self.last + 1, to });
        }
        if let Some(witnessed) = furthest(Source::Witness, &self.awaited).filter(|size| *size > self.last) {
            self.find(Finding::WitnessSawMore { rows: self.last, witnessed });
        }
        if self.is_aligned && !self.vault_differs && self.covered < self.last {
            self.find(Finding::Uncovered { from: self.covered + 1, to: self.last });
        }
        self.report.root = self.is_aligned.then(|| self.tree.root());
        self.report
    }
}
