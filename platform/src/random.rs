//! The one source of randomness: the operating system's, through AWS-LC. Nobody else may draw (`tests/tests/tidy.rs`).

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The source itself, for calls that ask for one.
#[allow(clippy::disallowed_methods)] // This is that one place.
pub fn source() -> SystemRandom {
    SystemRandom::new()
}

/// The source as libraries of the `rand` family ask for one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source;

impl rand_core::TryRng for Source {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(bytes()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        fill(out);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Source {}

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness to give. Nothing safe can be done then.
#[allow(clippy::expect_used)] // Going on without randomness would be worse than stopping.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    source().fill(&mut out).expect("the operating system gives random bytes");
    out
}

/// Fills a buffer with random bytes where it lies.
///
/// # Panics
/// As [`bytes`].
#[allow(clippy::expect_used)] // As above.
pub fn fill(out: &mut [u8]) {
    source().fill(out).expect("the operating system gives random bytes");
}

/// Sixteen bytes that sort by time: a UUID of version 7 (RFC 9562), each greater than all that this process drew before, also
/// within a millisecond. For ids whose order is of use; not for secrets.
pub fn time_ordered() -> [u8; 16] {
    static LAST: Mutex<u128> = Mutex::new(0);
    let ms = crate::clock::now_ms().max(0).unsigned_abs();
    let drawn = uuid::Builder::from_unix_timestamp_millis(ms, &bytes()).into_uuid().as_u128();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    *last = drawn.max(last.saturating_add(1));
    last.to_be_bytes()
}

#[cfg(test)]
mod tests {
    /// Two draws differ; a run of ids sorts as it was drawn.
    #[test]
    fn draws_differ_and_ordered_ids_ascend() {
        assert_ne!(super::bytes::<16>(), super::bytes::<16>());
        let ids: Vec<[u8; 16]> = (0..5_000).map(|_| super::time_ordered()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "also within a millisecond");
    }
}
