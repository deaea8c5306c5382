//! The entries, in memory: found by their form's nonce, so that a form sent twice is one entry, and by their reference.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::{Application, Entry};

/// Entries kept at the most; past it the oldest one that is over gives way.
const MAX_ENTRIES: usize = 10_000;
/// The race's first bib.
const FIRST_BIB: u32 = 1001;

/// All entries of this run.
pub(super) struct Book {
    entries: Mutex<Entries>,
    next_bib: AtomicU32,
}

#[derive(Default)]
struct Entries {
    by_nonce: HashMap<String, Arc<Entry>>,
    by_reference: HashMap<String, Arc<Entry>>,
    oldest_first: VecDeque<Arc<Entry>>,
}

/// Every place is taken by an entry whose payment is not over.
#[derive(Debug)]
pub(super) struct Full;

impl Default for Book {
    fn default() -> Self {
        Self { entries: Mutex::default(), next_bib: AtomicU32::new(FIRST_BIB) }
    }
}

impl Book {
    /// The entry of this form: a new one, or the one that the same form made before.
    pub(super) fn enter(&self, application: Application) -> Result<Arc<Entry>, Full> {
        let mut entries = self.lock();
        if let Some(known) = entries.by_nonce.get(&application.nonce) {
            return Ok(Arc::clone(known));
        }
        if entries.oldest_first.len() >= MAX_ENTRIES {
            entries.drop_oldest_settled()?;
        }
        let entry = Arc::new(Entry::new(application));
        entries.by_nonce.insert(entry.application().nonce.clone(), Arc::clone(&entry));
        entries.by_reference.insert(entry.reference().to_owned(), Arc::clone(&entry));
        entries.oldest_first.push_back(Arc::clone(&entry));
        Ok(entry)
    }

    /// The entry of a reference.
    pub(super) fn find(&self, reference: &str) -> Option<Arc<Entry>> {
        self.lock().by_reference.get(reference).cloned()
    }

    /// The next bib number.
    pub(super) fn draw_bib(&self) -> u32 {
        self.next_bib.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        // Nothing between the insertions can panic, so a poisoned map is still whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn drop_oldest_settled(&mut self) -> Result<(), Full> {
        let at = self.oldest_first.iter().position(|entry| entry.is_settled()).ok_or(Full)?;
        if let Some(entry) = self.oldest_first.remove(at) {
            self.by_nonce.remove(&entry.application().nonce);
            self.by_reference.remove(entry.reference());
        }
        Ok(())
    }
}
