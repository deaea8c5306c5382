//! Verification of an export, offline: every leaf is hashed anew, the tree is grown anew, and every signed checkpoint, the
//! vault's own and those that a witness kept, must be met on the way. It reads forward once, holds one block at a time, and
//! hashes on all cores.

use std::io::{self, BufRead};
use std::ops::Range;
use std::thread;

use crate::export::{Frame, Header, Kind, MAX_FRAME_LEN, Unreadable};
use crate::note::{Checkpoint, NoteError, PublicIdentity, claimed_size};
use crate::opening::place_of;
use crate::tree::{Hash, leaf_hash};
use crate::witnessed::Witnessed;

mod finding;
mod judge;

pub use finding::{Finding, Report};
use judge::Judge;

/// Bytes of one block, about.
const BLOCK_LEN: usize = 8 * 1024 * 1024;

/// What the verifier knows from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The vault's identity. Without it, and without a witness, the export's own word is taken for it.
    pub identity: Option<PublicIdentity>,
    /// What a witness kept.
    pub witness: Option<Witnessed>,
}

/// Verifies a file of [`Kind::Export`].
///
/// # Errors
/// [`Unreadable`] when there is nothing to judge. What is wrong with a file that can be read is in the report.
pub fn verify(mut reader: impl BufRead, expected: &Expected) -> Result<Report, Unreadable> {
    let header = Header::read(&mut reader, Kind::Export)?;
    let mut judge = Judge::new(&header, expected);
    while let Some(block) = read_block(&mut reader)? {
        for item in examine(&block, judge.identity(), &header.origin) {
            judge.next(item);
        }
        if block.is_cut() {
            judge.cut();
        }
    }
    Ok(judge.conclude())
}

/// Whole frames, as they stand in the file.
pub(crate) struct Block {
    bytes: Vec<u8>,
    frames: Vec<(u8, Range<usize>)>,
    is_cut: bool,
}

impl Block {
    pub(crate) fn frames(&self) -> impl Iterator<Item = Option<Frame<'_>>> {
        self.frames.iter().map(|(kind, range)| Frame::parse(*kind, self.bytes.get(range.clone())?))
    }

    /// Whether the file ends within a frame, or goes on with something that is none.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }
}

/// The next block; `None` at the end.
pub(crate) fn read_block(reader: &mut impl BufRead) -> io::Result<Option<Block>> {
    let mut block = Block { bytes: Vec::new(), frames: Vec::new(), is_cut: false };
    while block.bytes.len() < BLOCK_LEN && !block.is_cut {
        if reader.fill_buf()?.is_empty() {
            break;
        }
        let mut head = [0; 5];
        let Some(()) = read_all(reader, &mut head)? else {
            block.is_cut = true;
            break;
        };
        let [kind, len @ ..] = head;
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len > MAX_FRAME_LEN {
            block.is_cut = true;
            // What follows can't be told apart any more.
            io::copy(reader, &mut io::sink())?;
            break;
        }
        let begin = block.bytes.len();
        block.bytes.resize(begin + len, 0);
        let Some(payload) = block.bytes.get_mut(begin..) else { break };
        match read_all(reader, payload)? {
            Some(()) => block.frames.push((kind, begin..begin + len)),
            None => block.is_cut = true,
        }
    }
    Ok((!block.frames.is_empty() || block.is_cut).then_some(block))
}

/// `None` when the file ends before.
fn read_all(reader: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<Option<()>> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// A frame, after all that can be said of it alone.
#[derive(Debug)]
enum Item {
    Row { node: u16, sequence: u64, stored: Hash, is_intact: bool },
    Checkpoint { claimed: Option<u64>, opened: Result<Checkpoint, NoteError> },
    End { rows: u64, checkpoints: u64 },
    Unreadable,
}

/// On all cores.
fn examine(block: &Block, identity: &PublicIdentity, origin: &str) -> Vec<Item> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let share = block.frames.len().div_ceil(cores).max(1);
    let one = |(kind, range): &(u8, Range<usize>)| {
        let frame = block.bytes.get(range.clone()).and_then(|payload| Frame::parse(*kind, payload));
        frame.map_or(Item::Unreadable, |frame| item_of(frame, identity, origin))
    };
    thread::scope(|scope| {
        let shares = block.frames.chunks(share);
        let workers: Vec<_> =
            shares.map(|frames| scope.spawn(move || frames.iter().map(one).collect::<Vec<_>>())).collect();
        // A worker that panicked judged nothing: what it had counts as unreadable.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|_| vec![Item::Unreadable])).collect()
    })
}

fn item_of(frame: Frame<'_>, identity: &PublicIdentity, origin: &str) -> Item {
    match frame {
        Frame::Row { stored, leaf } => match place_of(leaf) {
            Ok((node, sequence)) => {
                // Its own encoding, whole and alone: other bytes of the same hash don't exist, but hashes can be rewritten.
                let is_whole = crate::opening::Opening::decode(leaf).is_ok();
                Item::Row { node, sequence, stored, is_intact: is_whole && leaf_hash(leaf) == stored }
            }
            Err(_) => Item::Unreadable,
        },
        Frame::Checkpoint(note) => {
            Item::Checkpoint { claimed: claimed_size(note), opened: identity.open(note, origin) }
        }
        Frame::End { rows, checkpoints } => Item::End { rows, checkpoints },
    }
}

#[cfg(test)]
mod tests;
