//! The books on disk: one JSON object a line, appended before the answer leaves.
//!
//! Writes group themselves: while one write is under way new lines gather, and go in the next (no timer). What was not
//! written was not answered, so a last line that was torn is cut off when the journal is opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

use crate::books::{Books, Change, Inconsistent};

/// Lines in one write at the most.
const BATCH: usize = 4096;

/// The journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file.
    #[error("journal {0}: {1}")]
    File(PathBuf, io::Error),
    /// A line, other than a torn last one, that is no change.
    #[error("journal {0}, line {1}: not a change ({2}); move the file away to start with empty books")]
    Line(PathBuf, usize, serde_json::Error),
    /// A change that doesn't fit the ones before it.
    #[error("journal {0}, line {1}: {2}; move the file away to start with empty books")]
    Inconsistent(PathBuf, usize, Inconsistent),
}

/// A line that waits to be written; nothing for someone who only waits until all before it is.
struct Waiting {
    change: Option<Change>,
    written: oneshot::Sender<()>,
}

/// Where changes go.
#[derive(Debug)]
pub struct Journal {
    queue: mpsc::UnboundedSender<Waiting>,
}

/// Resolves when the writer has ended: at once when writing fails, else when the [`Journal`] is gone.
pub type Ended = oneshot::Receiver<io::Result<()>>;

/// Resolves when the line, and all before it, are written; fails when they can't be.
pub type Written = oneshot::Receiver<()>;

impl Journal {
    /// Reads the journal, cuts off a torn last line, and starts to write behind the last whole one.
    ///
    /// # Errors
    /// [`JournalError`]; the file is unchanged then.
    pub fn open(path: &Path) -> Result<(Self, Books, Ended), JournalError> {
        let fail = |error| JournalError::File(path.to_owned(), error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
        let (books, whole) = load(path, &file)?;
        file.set_len(whole).map_err(fail)?;
        file.seek(io::SeekFrom::End(0)).map_err(fail)?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let writing = move || {
            let _ = end.send(write(file, waiting));
        };
        std::thread::Builder::new().name("journal".into()).spawn(writing).map_err(fail)?;
        Ok((Self { queue }, books, ended))
    }

    /// Hands a line over. The order of calls is the order of lines. `None` waits for the lines before it.
    ///
    /// The queue has no bound of its own: each request in flight has one line in it at the most, and those are bounded.
    pub fn append(&self, change: Option<Change>) -> Written {
        let (written, wait) = oneshot::channel();
        // When the writer is gone this drops the sender, and the wait fails, as it must.
        let _ = self.queue.send(Waiting { change, written });
        wait
    }
}

/// The books that the whole lines give, and how many bytes those are.
fn load(path: &Path, file: &File) -> Result<(Books, u64), JournalError> {
    let mut reader = BufReader::new(file);
    let (mut books, mut whole, mut number, mut line) = (Books::default(), 0_u64, 0_usize, Vec::new());
    loop {
        line.clear();
        let len = reader.read_until(b'\n', &mut line).map_err(|error| JournalError::File(path.to_owned(), error))?;
        number += 1;
        if line.last() != Some(&b'\n') {
            if len > 0 {
                tracing::warn!(
                    line = number,
                    bytes = len,
                    "the journal's last line is torn; it was never answered, and is cut off"
                );
            }
            return Ok((books, whole));
        }
        let change =
            serde_json::from_slice(&line).map_err(|error| JournalError::Line(path.to_owned(), number, error))?;
        books.apply(&change).map_err(|error| JournalError::Inconsistent(path.to_owned(), number, error))?;
        whole += u64::try_from(len).unwrap_or_default();
    }
}

/// Writes batch after batch until nobody is left who could append, or a write fails.
fn write(mut file: impl Write, mut waiting: mpsc::UnboundedReceiver<Waiting>) -> io::Result<()> {
    let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), Vec::new());
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        bytes.clear();
        for change in batch.iter().filter_map(|waiting| waiting.change.as_ref()) {
            serde_json::to_writer(&mut bytes, change)?;
            bytes.push(b'\n');
        }
        if let Err(error) = file.write_all(&bytes) {
            tracing::error!(%error, "the journal can't be written; nothing is answered any more");
            return Err(error);
        }
        for waiting in batch.drain(..) {
            // Who no longer waits doesn't mind.
            let _ = waiting.written.send(());
        }
    }
    file.flush()
}
