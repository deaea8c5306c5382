//! Security codes between tokenization and the first authorization: in locked memory, for 15 minutes at the most.
//!
//! The codes lie in one block that can't be swapped out and is left out of core dumps, with guard pages around it. Taking a
//! code out wipes its place. Nothing else in this process keeps one, and no file or database ever does (PCI DSS 3.3.1).
#![allow(unsafe_code)] // For the locked block alone; each use says why it is sound.

use std::collections::{HashMap, VecDeque};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroize;

use crate::card::Cvc;

/// How long a code is held without being used.
pub const MAX_HELD: Duration = Duration::from_secs(15 * 60);
/// Codes held at the same time; the block then takes 1.5 MiB of locked memory.
pub const CAPACITY: usize = 262_144;
/// A blank on each side of the digits: a search of memory, which counts digits that stand alone, then sees each code for what
/// it is, whatever its neighbours or the canary in front of the block hold.
const SLOT_LEN: usize = 1 + MAX_CODE_LEN + 1;
const MAX_CODE_LEN: usize = 4;

type RecordId = [u8; 16];

/// The codes that wait for their first authorization.
pub struct CvcStore {
    shelf: Mutex<Shelf>,
}

/// The operating system did not give locked memory.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't lock {len} bytes of memory for security codes: RLIMIT_MEMLOCK is {limit}; raise it (LimitMEMLOCK=, ulimit -l)"
)]
pub struct LockedMemoryError {
    len: usize,
    limit: String,
}

impl LockedMemoryError {
    fn of(len: usize) -> Self {
        Self { len, limit: crate::memory::lock_limit() }
    }
}

struct Shelf {
    block: LockedBlock,
    max_held: Duration,
    slots: HashMap<RecordId, Slot>,
    by_age: VecDeque<(Instant, RecordId)>,
    free: Vec<u32>,
}

struct Slot {
    number: u32,
    len: usize,
    held_since: Instant,
}

impl CvcStore {
    /// An empty store.
    ///
    /// # Errors
    /// [`LockedMemoryError`]; the vault must not start without.
    pub fn new(capacity: usize, max_held: Duration) -> Result<Self, LockedMemoryError> {
        let block = LockedBlock::new(capacity * SLOT_LEN)?;
        let free = (0..u32::try_from(capacity).unwrap_or(u32::MAX)).rev().collect();
        let shelf = Shelf { block, max_held, slots: HashMap::new(), by_age: VecDeque::new(), free };
        Ok(Self { shelf: Mutex::new(shelf) })
    }

    /// Holds a code for its first authorization. False when the store is full: the payment then goes on without a code.
    pub fn hold(&self, record: RecordId, cvc: &Cvc, now: Instant) -> bool {
        let mut shelf = self.lock();
        shelf.drop_expired(now);
        shelf.put(record, cvc.reveal_to_acquirer(), now)
    }

    /// Takes the code out, for one authorization. Its place is wiped before this returns.
    pub fn take(&self, record: &RecordId, now: Instant) -> Option<Cvc> {
        let mut shelf = self.lock();
        shelf.drop_expired(now);
        shelf.take(record)
    }

    /// Whether a code is held for this record, and its time is not over.
    pub fn holds(&self, record: &RecordId, now: Instant) -> bool {
        let mut shelf = self.lock();
        shelf.drop_expired(now);
        shelf.slots.contains_key(record)
    }

    /// Wipes all of it, before the process ends. Gives how many codes there were.
    pub fn wipe(&self) -> usize {
        let mut shelf = self.lock();
        let held = shelf.slots.len();
        shelf.block.wipe();
        let slots = std::mem::take(&mut shelf.slots);
        shelf.free.extend(slots.into_values().map(|slot| slot.number));
        shelf.by_age.clear();
        held
    }

    /// Wipes what is too old. Called every half second, so that an idle vault forgets too.
    pub fn sweep(&self, now: Instant) {
        self.lock().drop_expired(now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        // A panic can't leave the shelf half-changed in a way that keeps a code: go on with what is there.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn put(&mut self, record: RecordId, digits: &[u8], now: Instant) -> bool {
        drop(self.take(&record));
        let Some(number) = self.free.pop() else { return false };
        let Some(place) = self.block.slot(number) else { return false };
        for (to, from) in place.iter_mut().skip(1).take(MAX_CODE_LEN).zip(digits) {
            *to = *from;
        }
        self.slots.insert(record, Slot { number, len: digits.len().min(MAX_CODE_LEN), held_since: now });
        self.by_age.push_back((now, record));
        if self.by_age.len() > 2 * self.slots.len() + 1024 {
            let slots = &self.slots;
            self.by_age.retain(|(_, record)| slots.contains_key(record));
        }
        true
    }

    fn take(&mut self, record: &RecordId) -> Option<Cvc> {
        let slot = self.slots.remove(record)?;
        let place = self.block.slot(slot.number)?;
        let cvc = Cvc::from_digits(place.get(1..=slot.len)?);
        place.zeroize();
        self.free.push(slot.number);
        Some(cvc)
    }

    fn drop_expired(&mut self, now: Instant) {
        while let Some((since, record)) = self.by_age.front().copied() {
            let used = self.slots.get(&record).is_none_or(|slot| slot.held_since != since);
            if !used && now.duration_since(since) < self.max_held {
                return;
            }
            self.by_age.pop_front();
            if !used {
                drop(self.take(&record));
            }
        }
    }
}

/// Memory that is locked (mlock), left out of core dumps (MADV_DONTDUMP), blank in any child process (MADV_WIPEONFORK), and
/// fenced by guard pages.
struct LockedBlock(NonNull<[u8]>);

// SAFETY: the block owns its memory; nothing else points to it.
unsafe impl Send for LockedBlock {}

impl LockedBlock {
    fn new(len: usize) -> Result<Self, LockedMemoryError> {
        // SAFETY: any size may be asked for; `None` says that it, or its lock, was not to be had.
        let mut block = unsafe { memsec::malloc_sized(len) }.ok_or_else(|| LockedMemoryError::of(len))?;
        // SAFETY: freshly made, readable and writable, `len` bytes, initialised by memsec, ours alone.
        unsafe { block.as_mut() }.zeroize();
        // SAFETY: the range is the block's own. Locking twice is harmless; memsec does not say whether it could.
        let locked = unsafe { memsec::mlock(block.as_ptr().cast(), len) };
        if !locked || wipe_on_fork(block).is_err() {
            // SAFETY: made by memsec, freed once.
            unsafe { memsec::free(block) };
            return Err(LockedMemoryError::of(len));
        }
        Ok(Self(block))
    }

    fn wipe(&mut self) {
        // SAFETY: the block lives as long as `self`, and `&mut self` makes this the only reference.
        unsafe { self.0.as_mut() }.zeroize();
    }

    fn slot(&mut self, number: u32) -> Option<&mut [u8]> {
        let start = usize::try_from(number).ok()?.checked_mul(SLOT_LEN)?;
        // SAFETY: the block lives as long as `self`, and `&mut self` makes this the only reference.
        unsafe { self.0.as_mut() }.get_mut(start..start + SLOT_LEN)
    }
}

/// The pages that the block lies on: a child process gets blank ones.
fn wipe_on_fork(block: NonNull<[u8]>) -> rustix::io::Result<()> {
    let page = rustix::param::page_size();
    let address: *mut std::ffi::c_void = block.as_ptr().cast();
    let into_page = address.addr() % page;
    let len = (into_page + block.len()).next_multiple_of(page);
    let start = address.wrapping_byte_sub(into_page);
    // SAFETY: memsec maps whole pages, private and anonymous, and gives nobody else a part of them; the advice changes what a
    // child sees and nothing in this process.
    unsafe { rustix::mm::madvise(start, len, rustix::mm::Advice::LinuxWipeOnFork) }
}

impl Drop for LockedBlock {
    fn drop(&mut self) {
        // SAFETY: made by memsec, freed once; memsec wipes before it frees.
        unsafe { memsec::free(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_wire::card::CardBrand;

    fn cvc(text: &str) -> Cvc {
        Cvc::parse(text.as_bytes(), CardBrand::Amex).unwrap()
    }

    fn all_bytes(store: &CvcStore) -> Vec<u8> {
        let mut shelf = store.lock();
        // SAFETY: as in `slot`.
        unsafe { shelf.block.0.as_mut() }.to_vec()
    }

    /// A code comes out once, and its place is blank from then on.
    #[test]
    fn a_code_comes_out_once_and_is_wiped() {
        let store = CvcStore::new(8, MAX_HELD).unwrap();
        let now = Instant::now();
        assert!(!store.holds(&[1; 16], now));
        assert!(store.hold([1; 16], &cvc("7391"), now));
        assert!(store.holds(&[1; 16], now) && !store.holds(&[2; 16], now));
        assert!(all_bytes(&store).windows(4).any(|window| window == b"7391"));
        assert_eq!(store.take(&[1; 16], now).unwrap().reveal_to_acquirer(), b"7391");
        assert!(all_bytes(&store).iter().all(|byte| *byte == 0));
        assert!(store.take(&[1; 16], now).is_none());
    }

    /// After 15 minutes it is gone without anybody asking, one second before it is not.
    #[test]
    fn an_unused_code_is_wiped_after_fifteen_minutes() {
        let store = CvcStore::new(8, MAX_HELD).unwrap();
        let start = Instant::now();
        store.hold([1; 16], &cvc("7391"), start);
        store.sweep(start + MAX_HELD - Duration::from_secs(1));
        assert!(all_bytes(&store).iter().any(|byte| *byte != 0));
        store.sweep(start + MAX_HELD);
        assert!(all_bytes(&store).iter().all(|byte| *byte == 0));
        assert!(store.take(&[1; 16], start).is_none());
    }

    /// A code whose time is over counts no more from that moment on, whether or not anybody has swept since.
    #[test]
    fn a_code_is_not_held_past_its_time() {
        let store = CvcStore::new(8, MAX_HELD).unwrap();
        let start = Instant::now();
        store.hold([1; 16], &cvc("7391"), start);
        assert!(store.holds(&[1; 16], start + MAX_HELD - Duration::from_millis(1)));
        assert!(!store.holds(&[1; 16], start + MAX_HELD));
        assert!(all_bytes(&store).iter().all(|byte| *byte == 0));
    }

    /// A full store says so, keeps what it has, and has room again after one was used.
    #[test]
    fn a_full_store_refuses_and_recovers() {
        let store = CvcStore::new(2, MAX_HELD).unwrap();
        let now = Instant::now();
        assert!(store.hold([1; 16], &cvc("111"), now));
        assert!(store.hold([2; 16], &cvc("222"), now));
        assert!(!store.hold([3; 16], &cvc("333"), now));
        assert!(store.take(&[1; 16], now).is_some());
        assert!(store.hold([3; 16], &cvc("333"), now));
        assert_eq!(store.take(&[2; 16], now).unwrap().reveal_to_acquirer(), b"222");
    }

    /// A node that is told to stop leaves no code behind, and the store works on if it doesn't stop after all.
    #[test]
    fn a_stopping_node_wipes_all() {
        let store = CvcStore::new(8, MAX_HELD).unwrap();
        let now = Instant::now();
        assert!(store.hold([1; 16], &cvc("7391"), now) && store.hold([2; 16], &cvc("482"), now));
        assert_eq!(store.wipe(), 2);
        assert!(all_bytes(&store).iter().all(|byte| *byte == 0));
        assert!(store.take(&[1; 16], now).is_none());
        assert!((0..8).all(|record| store.hold([record; 16], &cvc("111"), now)), "all places are free");
    }

    /// What was used leaves nothing behind that grows: the list by age is cleared of it now and then.
    #[test]
    fn the_list_by_age_stays_short() {
        let store = CvcStore::new(3000, MAX_HELD).unwrap();
        let now = Instant::now();
        let aged = || store.lock().by_age.len();
        let record = |number: u16| {
            let mut record = [0; 16];
            record[..2].copy_from_slice(&number.to_be_bytes());
            record
        };
        let hold = |number| assert!(store.hold(record(number), &cvc("111"), now));
        let take = |number| assert!(store.take(&record(number), now).is_some());
        let hold_and_take = |number| {
            hold(number);
            take(number);
        };
        (0..9).for_each(hold);
        (1000..2035).for_each(hold_and_take);
        assert_eq!(aged(), 2 * 10 + 1024);
        hold_and_take(2035);
        assert_eq!(aged(), 10, "those that are held, and the last one");
        // Many that are held at once and used later: more than the limit by far.
        (3000..5000).for_each(hold);
        (3000..5000).for_each(take);
        assert!(aged() > 2000);
        hold_and_take(5000);
        assert_eq!(aged(), 10);
        store.sweep(now + MAX_HELD);
        assert!((0..9).all(|number| !store.holds(&record(number), now)));
    }

    /// A second code for the same record takes the first one's place, which is wiped and free again.
    #[test]
    fn a_second_code_replaces_the_first() {
        let store = CvcStore::new(2, MAX_HELD).unwrap();
        let now = Instant::now();
        for code in ["7391", "111", "482"] {
            assert!(store.hold([1; 16], &cvc(code), now));
        }
        assert!(store.hold([2; 16], &cvc("999"), now), "one place is free");
        assert!(!all_bytes(&store).windows(4).any(|window| window == b"7391"));
        assert_eq!(store.take(&[1; 16], now).unwrap().reveal_to_acquirer(), b"482");
    }

    /// The mapping that has this address, and its flags, as the kernel tells them.
    fn mapping_of(address: usize) -> Option<(std::ops::Range<usize>, Vec<String>)> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut ours = None;
        for line in maps.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            if let Some((from, to)) = range
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                ours = (from..to).contains(&address).then_some(from..to);
            }
            if let (Some(flags), Some(range)) = (line.strip_prefix("VmFlags:"), &ours) {
                return Some((range.clone(), flags.split_whitespace().map(str::to_owned).collect()));
            }
        }
        None
    }

    /// The kernel itself says that the block's pages, from the first to the last, are locked, left out of dumps and blank in
    /// children; and that they are locked no longer than the store lives.
    #[test]
    fn the_block_is_locked_undumped_and_wiped_on_fork() {
        let store = CvcStore::new(5003, MAX_HELD).unwrap();
        let address = store.lock().block.0.as_ptr().cast::<u8>().addr();
        let (range, flags) = mapping_of(address).unwrap();
        assert!(range.contains(&(address + 5003 * SLOT_LEN - 1)), "one mapping has all of it");
        for flag in ["lo", "dd", "wf"] {
            assert!(flags.iter().any(|one| one == flag), "{flag} is not among {flags:?}");
        }
        drop(store);
        // Another store may stand there by now, but none of this size.
        let is_locked = |flags: &[String]| flags.iter().any(|one| one == "lo");
        assert!(mapping_of(address).is_none_or(|(now, flags)| now != range || !is_locked(&flags)));
    }
}
