//! What a witness kept: the checkpoints of one log, as it saw them.

use std::io::BufRead;

use crate::export::{Header, Kind, Unreadable};
use crate::note::PublicIdentity;
use crate::tree::Hash;
use crate::verify::{Finding, read_block};

/// A witness's file, read and checked.
#[derive(Debug, Clone)]
pub struct Witnessed {
    /// Which log.
    pub origin: String,
    /// The identity that the witness has pinned.
    pub identity: PublicIdentity,
    /// Sizes and roots, ascending.
    pub roots: Vec<(u64, Hash)>,
    /// What is wrong with the file itself.
    pub findings: Vec<Finding>,
}

impl Witnessed {
    /// Reads a file of [`Kind::Witness`].
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(mut reader: impl BufRead) -> Result<Self, Unreadable> {
        let header = Header::read(&mut reader, Kind::Witness)?;
        let Header { origin, identity, .. } = header;
        let (mut roots, mut findings, mut has_end) = (Vec::new(), Vec::new(), false);
        while let Some(block) = read_block(&mut reader)? {
            for frame in block.frames() {
                match frame {
                    Some(crate::export::Frame::Checkpoint(note)) => match identity.open(note, &origin) {
                        Ok(checkpoint) => roots.push((checkpoint.size, checkpoint.root)),
                        Err(error) => {
                            findings.push(Finding::WitnessUnreliable { size: crate::note::claimed_size(note), error });
                        }
                    },
                    Some(crate::export::Frame::End { checkpoints, .. }) => {
                        let found = u64::try_from(roots.len() + findings.len()).unwrap_or(u64::MAX);
                        has_end = checkpoints == found;
                    }
                    _ => has_end = false,
                }
            }
            if block.is_cut() {
                has_end = false;
            }
        }
        if !has_end {
            findings.push(Finding::WitnessCut);
        }
        roots.sort_unstable_by_key(|(size, root)| (*size, *root.as_bytes()));
        roots.dedup();
        Ok(Self { origin, identity, roots, findings })
    }
}
