//! The file that leaves: rows as leaves, checkpoints as notes, in the order in which they came to be. `ledger/README.md` has
//! the format for those who write their own reader.

use std::io::{self, BufRead, Write};

use crate::note::PublicIdentity;
use crate::tree::{Compact, Hash};

/// A frame's kinds.
pub(crate) const ROW: u8 = b'R';
pub(crate) const CHECKPOINT: u8 = b'C';
pub(crate) const END: u8 = b'E';
/// A frame is no longer than this.
pub(crate) const MAX_FRAME_LEN: usize = 64 * 1024;
/// Lines of a header are no longer than this, all together.
const MAX_HEADER_LEN: usize = 16 * 1024;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows and checkpoints, of the vault.
    Export,
    /// Checkpoints that a witness kept.
    Witness,
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Export => "kura ledger export 1",
            Self::Witness => "kura ledger witness 1",
        }
    }
}

/// What a file begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Which log.
    pub origin: String,
    /// Whose signatures are in it, as the writer says.
    pub identity: PublicIdentity,
    /// The tree before the first row: empty, unless the export begins later.
    pub base: Compact,
}

/// The file can't be judged at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Reading.
    #[error("can't read it: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no {0} of this version")]
    Other(&'static str),
}

impl Header {
    fn text(&self, kind: Kind) -> String {
        let roots: String = self.base.roots().iter().map(|root| format!(" {root}")).collect();
        let Self { origin, identity, base } = self;
        format!("{}\norigin {origin}\nidentity {}\nbase {}{roots}\n\n", kind.title(), identity.to_text(), base.size())
    }

    /// Reads a file's header and leaves the reader at its first frame.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(reader: &mut impl BufRead, kind: Kind) -> Result<Self, Unreadable> {
        let other = || Unreadable::Other(kind.title());
        let mut lines = Vec::new();
        let mut left = MAX_HEADER_LEN;
        loop {
            let mut line = Vec::new();
            let read = io::Read::take(&mut *reader, u64::try_from(left).unwrap_or(0)).read_until(b'\n', &mut line)?;
            left -= read;
            match line.split_last() {
                Some((b'\n', [])) => break,
                Some((b'\n', line)) => lines.push(String::from_utf8(line.to_vec()).map_err(|_| other())?),
                _ => return Err(other()),
            }
        }
        let [title, origin, identity, base] = lines.as_slice() else { return Err(other()) };
        let origin = origin.strip_prefix("origin ").ok_or_else(other)?.to_owned();
        let identity = identity.strip_prefix("identity ").and_then(PublicIdentity::parse).ok_or_else(other)?;
        let base = base.strip_prefix("base ").and_then(base_of).ok_or_else(other)?;
        if title == kind.title() { Ok(Self { origin, identity, base }) } else { Err(other()) }
    }
}

fn base_of(text: &str) -> Option<Compact> {
    let mut words = text.split(' ');
    let size = words.next()?.parse().ok()?;
    Compact::of_roots(size, words.map(Hash::parse).collect::<Option<_>>()?)
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A row: the hash that is stored beside it, and its leaf.
    Row {
        /// As stored; whether it is right is for the verifier to say.
        stored: Hash,
        /// The leaf.
        leaf: &'a [u8],
    },
    /// A signed note.
    Checkpoint(&'a str),
    /// Nothing follows.
    End {
        /// How many rows came before.
        rows: u64,
        /// How many checkpoints came before.
        checkpoints: u64,
    },
}

impl<'a> Frame<'a> {
    /// `None` when it is none.
    pub(crate) fn parse(kind: u8, payload: &'a [u8]) -> Option<Self> {
        match kind {
            ROW => {
                let (stored, leaf) = payload.split_first_chunk::<32>()?;
                Some(Self::Row { stored: Hash::from_bytes(*stored), leaf })
            }
            CHECKPOINT => Some(Self::Checkpoint(std::str::from_utf8(payload).ok()?)),
            END => {
                let (rows, rest) = payload.split_first_chunk::<8>()?;
                let checkpoints = rest.try_into().ok()?;
                Some(Self::End { rows: u64::from_be_bytes(*rows), checkpoints: u64::from_be_bytes(checkpoints) })
            }
            _ => None,
        }
    }

    /// The first frame of these bytes, and the bytes behind it; `None` when there is no whole one.
    pub fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&kind, rest) = bytes.split_first()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
        Some((Self::parse(kind, payload)?, rest))
    }
}

fn put_frame(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.push(kind);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends a row's frame.
pub fn put_row(out: &mut Vec<u8>, stored: &Hash, leaf: &[u8]) {
    put_frame(out, ROW, &[stored.as_bytes(), leaf]);
}

/// Writes a file, frame by frame.
pub struct Writer<W: Write> {
    out: W,
    rows: u64,
    checkpoints: u64,
    frame: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// The writer's own.
    pub fn begin(mut out: W, kind: Kind, header: &Header) -> io::Result<Self> {
        out.write_all(header.text(kind).as_bytes())?;
        Ok(Self { out, rows: 0, checkpoints: 0, frame: Vec::new() })
    }

    fn put(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        self.frame.clear();
        put_frame(&mut self.frame, kind, parts);
        self.out.write_all(&self.frame)
    }

    /// A row.
    ///
    /// # Errors
    /// The writer's own.
    pub fn row(&mut self, stored: &Hash, leaf: &[u8]) -> io::Result<()> {
        self.rows += 1;
        self.put(ROW, &[stored.as_bytes(), leaf])
    }

    /// A checkpoint: after the row that is its last.
    ///
    /// # Errors
    /// The writer's own.
    pub fn checkpoint(&mut self, note: &str) -> io::Result<()> {
        self.checkpoints += 1;
        self.put(CHECKPOINT, &[note.as_bytes()])
    }

    /// Rows and checkpoints so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.rows, self.checkpoints)
    }

    /// Ends the file: without this it counts as cut off.
    ///
    /// # Errors
    /// The writer's own.
    pub fn end(mut self) -> io::Result<W> {
        let (rows, checkpoints) = (self.rows.to_be_bytes(), self.checkpoints.to_be_bytes());
        self.put(END, &[&rows, &checkpoints])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::tests::Signer;
    use crate::tree::leaf_hash;

    fn header(origin: &str) -> Header {
        Header { origin: origin.to_owned(), identity: Signer::new().public(), base: Compact::default() }
    }

    /// A file says in its first line what it is; one kind doesn't pass for the other.
    #[test]
    fn a_file_says_what_it_is() {
        let header = header("here");
        for (kind, title, other) in [
            (Kind::Export, "kura ledger export 1\n", Kind::Witness),
            (Kind::Witness, "kura ledger witness 1\n", Kind::Export),
        ] {
            let file = Writer::begin(Vec::new(), kind, &header).unwrap().end().unwrap();
            assert!(file.starts_with(title.as_bytes()));
            assert_eq!(Header::read(&mut file.as_slice(), kind).unwrap(), header);
            assert!(matches!(Header::read(&mut file.as_slice(), other), Err(Unreadable::Other(_))));
        }
    }

    /// A header may have 16 KiB, all its lines together, and not one byte more.
    #[test]
    fn a_header_has_a_limit() {
        let short = header("").text(Kind::Export).len();
        let of_len = |len: usize| {
            let header = header(&"x".repeat(len - short));
            Header::read(&mut header.text(Kind::Export).as_bytes(), Kind::Export).is_ok_and(|read| read == header)
        };
        assert!(of_len(16 * 1024));
        assert!(!of_len(16 * 1024 + 1));
    }

    /// Frames come back one after the other as they were written, and the writer counts them; half a frame is none.
    #[test]
    fn frames_come_back_in_order() {
        let header = header("here");
        let hash = leaf_hash(b"leaf");
        let mut writer = Writer::begin(Vec::new(), Kind::Export, &header).unwrap();
        writer.row(&hash, b"leaf").unwrap();
        writer.row(&hash, b"").unwrap();
        writer.row(&hash, b"leaf").unwrap();
        writer.checkpoint("note").unwrap();
        writer.checkpoint("another").unwrap();
        assert_eq!(writer.counts(), (3, 2));
        let file = writer.end().unwrap();
        let mut rest = file.as_slice();
        Header::read(&mut rest, Kind::Export).unwrap();
        let mut appended = Vec::new();
        put_row(&mut appended, &hash, b"leaf");
        assert!(rest.starts_with(&appended));
        let mut frames = Vec::new();
        while let Some((frame, behind)) = Frame::first(rest) {
            assert!(Frame::first(&rest[..rest.len() - behind.len() - 1]).is_none());
            frames.push(frame);
            rest = behind;
        }
        let row = |leaf| Frame::Row { stored: hash, leaf };
        assert_eq!(
            frames,
            [
                row(b"leaf"),
                row(b""),
                row(b"leaf"),
                Frame::Checkpoint("note"),
                Frame::Checkpoint("another"),
                Frame::End { rows: 3, checkpoints: 2 },
            ]
        );
        assert!(rest.is_empty());
    }
}
