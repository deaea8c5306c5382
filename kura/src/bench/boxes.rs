//! Sealed boxes as a browser makes them, made before the clock starts.

use anyhow::{Context, Result};
use kura_platform::{clock, random};
use kura_shopper::{TypedCard, seal};
use kura_wire::sealed_box::{SealedBox, SealingKeySet, SignedKeySet, Suite};

/// So many different cards; the load goes round them. Each gives a record of its own every time.
const COUNT: usize = 4000;

/// Seals a set of random cards for one publishable key and origin. The keys came over mTLS from the vault itself.
pub(super) fn seal_cards(keys: &SignedKeySet, publishable_key: &str, origin: &str) -> Result<Vec<SealedBox>> {
    let set: SealingKeySet = serde_json::from_str(&keys.payload)?;
    let key = set.keys.into_iter().find(|key| key.suite == Suite::X25519).context("no X25519 key")?;
    let one = |_| Ok(seal(&key, &TypedCard::new(&random_visa(), "123"), publishable_key, origin, clock::now_ms())?);
    (0..COUNT).map(one).collect()
}

/// Sixteen digits that pass the check, in a range without special test cards.
fn random_visa() -> String {
    let body = format!("45{:013}", u64::from_be_bytes(random::bytes()) % 10_000_000_000_000);
    (0..10)
        .map(|check| format!("{body}{check}"))
        .find(|number| kura_platform::redact::luhn(number.as_bytes()))
        .unwrap_or(body)
}
