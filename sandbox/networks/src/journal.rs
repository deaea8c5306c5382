//! What happened, on disk: one JSON object a line, appended before the answer leaves.
//!
//! Writes group themselves: while one write is under way new lines gather, and go in the next (no timer). What was not
//! written was not answered, so a last line that was torn is cut off when the journal is opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

/// Lines in one write at the most.
const BATCH: usize = 4096;

/// What the lines of a journal add up to.
pub trait Kept: Default {
    /// A line.
    type Change: Serialize + DeserializeOwned + Send + 'static;
    /// A change that doesn't fit the ones before it.
    type Inconsistent: std::error::Error;

    /// Takes a change in.
    ///
    /// # Errors
    /// When it doesn't fit; nothing is changed then.
    fn apply(&mut self, change: &Self::Change) -> Result<(), Self::Inconsistent>;
}

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
    Inconsistent(PathBuf, usize, String),
}

/// A line that waits to be written; nothing for someone who only waits until all before it is.
#[derive(Debug)]
pub(crate) struct Waiting<C> {
    change: Option<C>,
    written: oneshot::Sender<()>,
}

/// Where changes go.
#[derive(Debug)]
pub struct Journal<C> {
    queue: mpsc::UnboundedSender<Waiting<C>>,
}

/// Resolves when the writer has ended: at once when writing fails, else when the [`Journal`] is gone.
pub type Ended = oneshot::Receiver<io::Result<()>>;

/// Resolves when the line, and all before it, are written; fails when they can't be.
pub type Written = oneshot::Receiver<()>;

impl<C: Serialize + Send + 'static> Journal<C> {
    /// Reads the journal, cuts off a torn last line, and starts to write behind the last whole one.
    ///
    /// # Errors
    /// [`JournalError`]; the file is unchanged then.
    pub fn open<K: Kept<Change = C>>(path: &Path) -> Result<(Self, K, Ended), JournalError> {
        let fail = |error| JournalError::File(path.to_owned(), error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(fail)?;
        let (kept, whole) = load(path, &file)?;
        file.set_len(whole).map_err(fail)?;
        file.seek(io::SeekFrom::End(0)).map_err(fail)?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let writing = move || {
            let _ = end.send(write(file, waiting));
        };
        std::thread::Builder::new().name("journal".into()).spawn(writing).map_err(fail)?;
        Ok((Self { queue }, kept, ended))
    }

    /// A journal that a test writes by hand, or doesn't.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (Self, mpsc::UnboundedReceiver<Waiting<C>>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        (Self { queue }, waiting)
    }

    /// Hands a line over. The order of calls is the order of lines. `None` waits for the lines before it.
    ///
    /// The queue has no bound of its own: each request in flight has one line in it at the most, and those are bounded.
    pub fn append(&self, change: Option<C>) -> Written {
        let (written, wait) = oneshot::channel();
        // When the writer is gone this drops the sender, and the wait fails, as it must.
        let _ = self.queue.send(Waiting { change, written });
        wait
    }
}

#[cfg(test)]
impl<C> Waiting<C> {
    /// Pretends that the line is on disk.
    pub(crate) fn written(self) {
        let _ = self.written.send(());
    }
}

/// Something kept in memory and in a journal, for the services that decide while nobody else does.
#[derive(Debug)]
pub struct Keeper<K: Kept> {
    kept: Mutex<K>,
    journal: Journal<K::Change>,
}

/// What happened can't be written down, so it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't be written")]
pub struct Unwritten;

impl<K: Kept> Keeper<K> {
    /// Reads the journal. The second value resolves when its writer has ended.
    ///
    /// # Errors
    /// [`JournalError`]; the file is unchanged then.
    pub fn open(path: &Path) -> Result<(Self, Ended), JournalError> {
        let (journal, kept, ended) = Journal::open(path)?;
        Ok((Self { kept: Mutex::new(kept), journal }, ended))
    }

    /// What is kept, to be read; nothing is decided meanwhile, so not for long.
    pub fn read(&self) -> MutexGuard<'_, K> {
        // A change is applied whole or not at all.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides, and takes the change in, in one step; gives what was decided once the change, and all before it, are written.
    ///
    /// # Errors
    /// [`Unwritten`].
    pub async fn decide<T>(&self, decide: impl FnOnce(&K) -> (Option<K::Change>, T)) -> Result<T, Unwritten> {
        let (decided, written) = self.take_in(decide)?;
        written.await.map_err(|_| Unwritten)?;
        Ok(decided)
    }

    fn take_in<T>(&self, decide: impl FnOnce(&K) -> (Option<K::Change>, T)) -> Result<(T, Written), Unwritten> {
        let mut kept = self.read();
        let (change, decided) = decide(&kept);
        if let Some(change) = &change {
            kept.apply(change).map_err(|error| {
                tracing::error!(%error, "a decision doesn't fit what is kept");
                Unwritten
            })?;
        }
        Ok((decided, self.journal.append(change)))
    }
}

/// What the whole lines add up to, and how many bytes those are.
fn load<K: Kept>(path: &Path, file: &File) -> Result<(K, u64), JournalError> {
    let mut reader = BufReader::new(file);
    let (mut kept, mut whole, mut number, mut line) = (K::default(), 0_u64, 0_usize, Vec::new());
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
            return Ok((kept, whole));
        }
        let change =
            serde_json::from_slice(&line).map_err(|error| JournalError::Line(path.to_owned(), number, error))?;
        kept.apply(&change).map_err(|error| JournalError::Inconsistent(path.to_owned(), number, error.to_string()))?;
        whole += u64::try_from(len).unwrap_or_default();
    }
}

/// Writes batch after batch until nobody is left who could append, or a write fails.
fn write<C: Serialize>(mut file: impl Write, mut waiting: mpsc::UnboundedReceiver<Waiting<C>>) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use kura_iso8583::Reference;
    use time::macros::datetime;

    use super::*;
    use crate::books::{Booked, Books, Change, Kind};
    use crate::text::Text;

    /// A file of this test, gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kura-journal-{}-{name}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn purchase(number: u32) -> Change {
        let reference = Text::<12>::new(&format!("{number:012}")).unwrap();
        Change::Booked(Booked {
            reference: reference.try_into().unwrap(),
            original_reference: None,
            kind: Kind::Purchase,
            merchant: Text::new("SHOP00000000001").unwrap(),
            amount_minor: 1000,
            currency: Text::new("jpy").unwrap(),
            response_code: Text::new("00").unwrap(),
            approval_code: Text::new("A1B2C3"),
            cvc_result: None,
            authentication: None,
            last_four: Text::new("4242"),
            at: datetime!(2026-11-22 10:11:12.5 UTC),
        })
    }

    async fn append_all(path: &Path, numbers: std::ops::Range<u32>) -> usize {
        let (journal, books, ended) = Journal::open::<Books>(path).unwrap();
        let written: Vec<_> = numbers.map(|number| journal.append(Some(purchase(number)))).collect();
        for written in written {
            written.await.unwrap();
        }
        drop(journal);
        ended.await.unwrap().unwrap();
        books.len()
    }

    /// What was written is there again, and a last line that was torn anywhere is cut off without harm to what follows.
    #[tokio::test]
    async fn a_torn_last_line_is_cut_off() {
        let file = Scratch::new("torn");
        assert_eq!(append_all(&file.0, 0..20).await, 0);
        assert_eq!(append_all(&file.0, 20..21).await, 20);
        let whole = std::fs::read(&file.0).unwrap();
        let line = serde_json::to_vec(&purchase(99)).unwrap();
        for len in [1, line.len() / 2, line.len()] {
            std::fs::write(&file.0, [&whole[..], &line[..len]].concat()).unwrap();
            assert_eq!(append_all(&file.0, 50..51).await, 21, "torn after {len} bytes");
            let (_, books, _) = Journal::open::<Books>(&file.0).unwrap();
            assert_eq!(books.len(), 22);
            assert!(books.find(Reference::new("000000000050").unwrap()).is_some());
            assert!(books.find(Reference::new("000000000099").unwrap()).is_none());
        }
    }

    /// A line inside that is damaged, or booked twice, stops the start, with its number, and the file stays as it was.
    #[tokio::test]
    async fn a_damaged_journal_is_refused_untouched() {
        let file = Scratch::new("damaged");
        append_all(&file.0, 0..2).await;
        let whole = String::from_utf8(std::fs::read(&file.0).unwrap()).unwrap();
        let first = whole.lines().next().unwrap();
        for (damaged, line) in
            [(whole.replacen("purchase", "gift", 1), "line 1"), (format!("{whole}{first}\n"), "line 3")]
        {
            std::fs::write(&file.0, &damaged).unwrap();
            let error = Journal::open::<Books>(&file.0).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
            assert_eq!(std::fs::read_to_string(&file.0).unwrap(), damaged);
        }
    }

    /// When the disk refuses, the lines that wait are not reported as written, and whoever watches learns of it.
    #[test]
    fn a_refused_write_is_never_reported_as_written() {
        struct FullDisk;
        impl Write for FullDisk {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (journal, waiting) = Journal::by_hand();
        let before = journal.append(Some(purchase(1)));
        assert_eq!(write(FullDisk, waiting).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(before.blocking_recv().is_err());
        assert!(journal.append(Some(purchase(2))).blocking_recv().is_err());
    }

    /// No line holds more of a card than its last four digits: no run of digits is as long as a card number, except the twelve
    /// and fifteen characters of reference and merchant.
    #[test]
    fn a_line_holds_no_card_number() {
        let line = serde_json::to_string(&purchase(1)).unwrap();
        let longest = line.split(|letter: char| !letter.is_ascii_digit()).map(str::len).max().unwrap();
        assert!(longest <= 12, "{line}");
        assert!(!kura_platform::redact::contains_pan(&line));
    }
}
