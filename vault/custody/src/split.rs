//! Splitting a root key and combining it again. Below the threshold a combination is garbage and not an error, so whoever
//! combines checks the result against what was kept of the root.

use kura_platform::random::Source;
use kura_wire::ids::CustodianSetId;
use vsss_rs::Gf256;
use zeroize::{Zeroize, Zeroizing};

use super::published::is_known;
use super::share::{KEY_LEN, KeyBytes, Share};

/// Why nothing was split or combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A threshold below 2 or above the number of shares.
    #[error("the threshold must be at least 2 and at most the number of custodians")]
    Threshold,
    /// Fewer shares than the threshold.
    #[error("too few shares")]
    TooFew,
    /// Shares of several sets, or one of them twice.
    #[error("these shares don't belong together")]
    Mixed,
    /// The key that came out is published or trivial.
    #[error("these shares make a key that everybody knows")]
    Known,
}

/// Splits a root into `count` shares, any `threshold` of which make it again.
///
/// # Errors
/// [`SplitError::Threshold`].
pub fn split(set: CustodianSetId, root: &KeyBytes, threshold: u8, count: u8) -> Result<Vec<Share>, SplitError> {
    // The library refuses a threshold below 2 and one above the number of shares.
    let made = Gf256::split_bytes(threshold.into(), count.into(), root.as_slice(), Source);
    let mut made = Zeroizing::new(made.map_err(|_| SplitError::Threshold)?);
    let shares = made.iter_mut().map(|raw| {
        let (index, secret) = raw.split_first().ok_or(SplitError::Threshold)?;
        let share = Share::new(set, *index, threshold, key(secret)?);
        raw.zeroize();
        Ok(share)
    });
    shares.collect()
}

/// Combines a threshold of one set's shares. What comes out is the root only if each of them is right.
///
/// # Errors
/// [`SplitError`].
pub fn combine<'a>(shares: impl IntoIterator<Item = &'a Share>) -> Result<KeyBytes, SplitError> {
    let shares: Vec<&Share> = shares.into_iter().collect();
    let first = shares.first().ok_or(SplitError::TooFew)?;
    if shares.len() < first.threshold().into() {
        return Err(SplitError::TooFew);
    }
    let mut indexes: Vec<u8> = shares.iter().map(|share| share.index()).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let together = |share: &Share| (share.set(), share.threshold()) == (first.set(), first.threshold());
    if indexes.len() != shares.len() || !shares.iter().all(|share| together(share)) {
        return Err(SplitError::Mixed);
    }
    let raw = shares.iter().map(|share| {
        let mut raw = Vec::with_capacity(1 + KEY_LEN);
        raw.push(share.index());
        raw.extend_from_slice(share.reveal_to_combiner());
        raw
    });
    let raw: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(raw.collect());
    let root = Zeroizing::new(Gf256::combine_bytes(raw.as_slice()).map_err(|_| SplitError::Mixed)?);
    let root = key(&root)?;
    if is_known(&root) { Err(SplitError::Known) } else { Ok(root) }
}

fn key(bytes: &[u8]) -> Result<KeyBytes, SplitError> {
    let mut key = Box::new(Zeroizing::new([0; KEY_LEN]));
    if bytes.len() != KEY_LEN {
        return Err(SplitError::Mixed);
    }
    key.copy_from_slice(bytes);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: CustodianSetId = CustodianSetId::from_bytes([1; 16]);

    fn root() -> KeyBytes {
        Box::new(Zeroizing::new(kura_platform::random::bytes()))
    }

    /// The shares whose places are set in `mask`, by way of their text.
    fn chosen(shares: &[Share], mask: u32) -> Vec<Share> {
        let places = shares.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
        places.map(|(_, share)| Share::parse(&share.reveal_as_text()).unwrap()).collect()
    }

    /// Every subset of k or more shares makes the root; no smaller one is combined, and forced below the threshold none
    /// makes it.
    #[test]
    fn k_shares_make_the_root_and_fewer_do_not() {
        for (threshold, count) in [(2, 2), (2, 3), (3, 5), (4, 6), (5, 5)] {
            let root = root();
            let shares = split(SET, &root, threshold, count).unwrap();
            for mask in 1..1u32 << count {
                let some = chosen(&shares, mask);
                let enough = mask.count_ones() >= u32::from(threshold);
                match combine(&some) {
                    Ok(made) => {
                        assert!(enough && made.as_slice() == root.as_slice(), "{mask:b} of {threshold}/{count}")
                    }
                    Err(error) => assert!(!enough && error == SplitError::TooFew, "{mask:b}: {error}"),
                }
                if !enough && some.len() >= 2 {
                    let lie =
                        |share: &Share| Share::new(SET, share.index(), 2, key(share.reveal_to_combiner()).unwrap());
                    let forced = combine(&some.iter().map(lie).collect::<Vec<_>>()).unwrap();
                    assert_ne!(forced.as_slice(), root.as_slice(), "{mask:b}");
                }
            }
        }
    }

    /// One share less than the threshold says nothing: for it, every root is equally possible. Here: with the missing share
    /// chosen freely, the root's first byte takes each of its 256 values exactly once.
    #[test]
    fn a_share_less_leaves_every_root_possible() {
        let shares = split(SET, &root(), 3, 3).unwrap();
        let mut seen = [0; 256];
        for byte in 0..=255u8 {
            let mut bytes = kura_platform::random::bytes::<KEY_LEN>();
            bytes[0] = byte;
            let mut tried = chosen(&shares, 0b011);
            tried.push(Share::new(SET, 3, 3, Box::new(Zeroizing::new(bytes))));
            seen[usize::from(combine(&tried).unwrap()[0])] += 1;
        }
        assert!(seen.iter().all(|times| *times == 1));
    }

    /// Shares of two sets, the same one twice, and impossible thresholds are refused.
    #[test]
    fn what_does_not_belong_together_is_refused() {
        let root = root();
        let (one, other) =
            (split(SET, &root, 2, 3).unwrap(), split(CustodianSetId::from_bytes([2; 16]), &root, 2, 3).unwrap());
        let mixed: Vec<Share> = chosen(&one, 1).into_iter().chain(chosen(&other, 2)).collect();
        assert_eq!(combine(&mixed).unwrap_err(), SplitError::Mixed);
        let twice: Vec<Share> = chosen(&one, 1).into_iter().chain(chosen(&one, 1)).collect();
        assert_eq!(combine(&twice).unwrap_err(), SplitError::Mixed);
        assert_eq!(combine(&[]).unwrap_err(), SplitError::TooFew);
        for (threshold, count) in [(0, 3), (1, 3), (4, 3), (0, 0), (1, 1), (2, 1)] {
            assert_eq!(split(SET, &root, threshold, count).unwrap_err(), SplitError::Threshold);
        }
    }

    /// A root that everybody knows is refused when shares make one.
    #[test]
    fn a_known_root_is_refused() {
        let shares = split(SET, &Box::new(Zeroizing::new([0; KEY_LEN])), 2, 2).unwrap();
        assert_eq!(combine(&shares).unwrap_err(), SplitError::Known);
    }
}
