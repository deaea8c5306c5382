//! Shares that were entered and wait for the others, in memory that is wiped when they go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kura_custody::share::{KeyBytes, Share};
use kura_custody::split::{SplitError, combine};
use kura_wire::custody::{SHARE_WAITS_MINUTES, SharePurpose};
use kura_wire::ids::CustodianSetId;

/// How long a share waits.
pub const WAITS: Duration = Duration::from_secs(60 * SHARE_WAITS_MINUTES as u64);

type For = (SharePurpose, CustodianSetId);

/// The shares, by what they were entered for and their set.
#[derive(Default)]
pub struct Gathered(BTreeMap<For, Vec<Waiting>>);

struct Waiting {
    share: Share,
    since: Instant,
}

/// The same share is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate;

impl Gathered {
    /// Adds a share. Gives how many of its set are there now.
    ///
    /// # Errors
    /// [`Duplicate`]; the share is wiped.
    pub fn add(&mut self, purpose: SharePurpose, share: Share, now: Instant) -> Result<usize, Duplicate> {
        self.expire(now);
        let waiting = self.0.entry((purpose, share.set())).or_default();
        if waiting.iter().any(|known| known.share.index() == share.index()) {
            return Err(Duplicate);
        }
        waiting.push(Waiting { share, since: now });
        Ok(waiting.len())
    }

    /// Whose shares are there, by index.
    pub fn indexes(&self, purpose: SharePurpose, set: CustodianSetId) -> Vec<u8> {
        self.0.get(&(purpose, set)).into_iter().flatten().map(|waiting| waiting.share.index()).collect()
    }

    /// All purposes and sets for which shares wait.
    pub fn waiting_for(&self) -> Vec<For> {
        self.0.keys().copied().collect()
    }

    /// Combines what is there of a set, and leaves it there.
    ///
    /// # Errors
    /// [`SplitError`].
    pub fn combine(&self, purpose: SharePurpose, set: CustodianSetId) -> Result<KeyBytes, SplitError> {
        combine(self.0.get(&(purpose, set)).into_iter().flatten().map(|waiting| &waiting.share))
    }

    /// Wipes all shares that were entered for a purpose.
    pub fn wipe(&mut self, purpose: SharePurpose) {
        self.0.retain(|(of, _), _| *of != purpose);
    }

    /// Wipes everything.
    pub fn wipe_all(&mut self) {
        self.0.clear();
    }

    /// Wipes what waited too long.
    pub fn expire(&mut self, now: Instant) {
        for waiting in self.0.values_mut() {
            waiting.retain(|share| now.duration_since(share.since) < WAITS);
        }
        self.0.retain(|_, waiting| !waiting.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kura_custody::split::split;
    use zeroize::Zeroizing;

    const SET: CustodianSetId = CustodianSetId::from_bytes([3; 16]);

    fn shares(root: &KeyBytes) -> Vec<Share> {
        split(SET, root, 2, 3).unwrap()
    }

    fn root() -> KeyBytes {
        Box::new(Zeroizing::new(kura_platform::random::bytes()))
    }

    /// A threshold makes the root; a share is taken once; what was entered for one purpose is nothing for another.
    #[test]
    fn shares_gather_for_one_purpose() {
        let (root, now, mut gathered) = (root(), Instant::now(), Gathered::default());
        let mut of = shares(&root);
        let again = shares(&root).remove(0);
        assert_eq!(gathered.add(SharePurpose::Unseal, of.remove(0), now), Ok(1));
        assert_eq!(gathered.add(SharePurpose::Unseal, again, now), Err(Duplicate));
        assert!(gathered.combine(SharePurpose::Unseal, SET).is_err());
        assert_eq!(gathered.add(SharePurpose::Reshare, of.remove(1), now), Ok(1));
        assert!(gathered.combine(SharePurpose::Unseal, SET).is_err());
        assert_eq!(gathered.add(SharePurpose::Unseal, of.remove(0), now), Ok(2));
        assert_eq!(gathered.combine(SharePurpose::Unseal, SET).unwrap().as_slice(), root.as_slice());
        gathered.wipe(SharePurpose::Unseal);
        assert_eq!(gathered.waiting_for(), [(SharePurpose::Reshare, SET)]);
    }

    /// A share waits fifteen minutes and not a second more, each by itself.
    #[test]
    fn shares_expire() {
        let (start, mut gathered, mut of) = (Instant::now(), Gathered::default(), shares(&root()));
        gathered.add(SharePurpose::Unseal, of.remove(0), start).unwrap();
        gathered.add(SharePurpose::Unseal, of.remove(0), start + Duration::from_secs(60)).unwrap();
        gathered.expire(start + WAITS - Duration::from_secs(1));
        assert_eq!(gathered.indexes(SharePurpose::Unseal, SET), [1, 2]);
        gathered.expire(start + WAITS);
        assert_eq!(gathered.indexes(SharePurpose::Unseal, SET), [2]);
        gathered.expire(start + WAITS + Duration::from_secs(60));
        assert!(gathered.waiting_for().is_empty());
    }
}
