//! Ids that follow from the request: the heart of crash safety.
//!
//! Every request that changes something has a **seed** of 16 random bytes. With an `Idempotency-Key` the seed is stored in
//! that key's row *before* anything happens; without one it is drawn and forgotten. All that the request makes (its
//! PaymentIntent, its attempts and their network references, its refund) gets an id that is an HMAC of the seed, the kind and
//! a count. So when a process dies half-way and the merchant repeats the request, the second run computes the same ids,
//! meets the rows that the first run wrote, and carries on from there. It can't make a second payment, because it can't
//! think of a second id for it.
//!
//! Without the secret (`Secrets::ids`) the ids are 128 bits that nobody can predict from a seed or from each other.

use kura_wire::ids::{AttemptId, ChargeId, Id, RefundId};

use crate::secret::PurposeKey;

/// Bytes of a seed.
pub const SEED_LEN: usize = 16;

/// The ids of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptIds {
    /// The attempt.
    pub attempt: AttemptId,
    /// The charge, should the attempt be an authorization that the network answers.
    pub charge: ChargeId,
    /// The refund, should it be one.
    pub refund: RefundId,
    /// ISO 8583 field 37.
    pub network_reference: String,
}

/// The ids that one request may hand out.
#[derive(Clone, Copy)]
pub struct RequestIds<'k> {
    key: &'k PurposeKey,
    seed: [u8; SEED_LEN],
}

impl<'k> RequestIds<'k> {
    /// Of this seed.
    pub fn new(key: &'k PurposeKey, seed: [u8; SEED_LEN]) -> Self {
        Self { key, seed }
    }

    /// The object of this kind that the request makes.
    pub fn one<I: Id>(&self) -> I {
        self.nth(0)
    }

    /// The n-th object of this kind that the request makes.
    pub fn nth<I: Id>(&self, number: u32) -> I {
        I::of_bytes(self.body(I::PREFIX.as_bytes(), number))
    }

    /// The request's n-th attempt. A later one exists only when all before it ended with nothing sent.
    pub fn attempt(&self, number: u32) -> AttemptIds {
        AttemptIds {
            attempt: self.nth(number),
            charge: self.nth(number),
            refund: self.nth(number),
            network_reference: reference(self.body(b"network reference", number)),
        }
    }

    /// The seed of a part of what is done to an object: the same whoever does it, and whenever.
    pub fn seed_of(key: &PurposeKey, object: &[u8; 16], part: &[u8], number: i64) -> [u8; SEED_LEN] {
        first_half(key.tag(&[object, part, &number.to_be_bytes()]))
    }

    fn body(&self, kind: &[u8], number: u32) -> [u8; 16] {
        first_half(self.key.tag(&[&self.seed, kind, &number.to_be_bytes()]))
    }
}

fn first_half(tag: [u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
    out
}

/// Twelve characters of `0-9A-Z`: 62 bits, unique by the database.
fn reference(bytes: [u8; 16]) -> String {
    const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rest = u128::from_be_bytes(bytes);
    let mut out = String::with_capacity(12);
    for _ in 0..12 {
        let place = usize::try_from(rest % 36).unwrap_or(0);
        out.push(char::from(LETTERS.get(place).copied().unwrap_or(b'0')));
        rest /= 36;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret;
    use kura_wire::ids::{CustomerId, PaymentIntentId};

    /// The same seed gives the same ids, which is what makes a second run meet the first.
    #[test]
    fn a_second_run_computes_the_ids_of_the_first() {
        let secrets = secret::for_tests();
        let first = RequestIds::new(&secrets.ids, [1; SEED_LEN]);
        let again = RequestIds::new(&secrets.ids, [1; SEED_LEN]);
        assert_eq!(first.one::<PaymentIntentId>(), again.one());
        assert_eq!(first.attempt(0), again.attempt(0));
    }

    /// Another seed, another attempt of the same request, another kind: all ids differ.
    #[test]
    fn different_things_get_different_ids() {
        let secrets = secret::for_tests();
        let one = RequestIds::new(&secrets.ids, [1; SEED_LEN]);
        let two = RequestIds::new(&secrets.ids, [2; SEED_LEN]);
        assert_ne!(one.one::<PaymentIntentId>(), two.one());
        assert_ne!(one.attempt(0), one.attempt(1));
        assert_ne!(one.one::<PaymentIntentId>().as_bytes(), one.one::<CustomerId>().as_bytes());
    }

    /// Field 37 has room for exactly twelve characters of this alphabet.
    #[test]
    fn network_references_fit_field_37() {
        let secrets = secret::for_tests();
        for seed in 0..50 {
            let reference = RequestIds::new(&secrets.ids, [seed; SEED_LEN]).attempt(0).network_reference;
            assert_eq!(reference.len(), 12);
            assert!(reference.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
        }
    }
}
