//! The acquirer's books: a message in, a change and an answer out. Pure; neither clock, randomness nor I/O.
//!
//! [`Books::decide`] reads and says what to do; [`Books::apply`] does it. A journal of the changes, applied again in order,
//! gives the same books. No reference is ever booked twice.

mod decide;
mod entry;
mod settled;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::{HashMap, HashSet};

use kura_iso8583::Reference;
use time::OffsetDateTime;

pub use decide::{Answer, Decision, Draws};
pub use entry::{Booked, Change, Entry, Kind, ReferenceText};
pub use settled::{Movement, Settled};
pub use totals::Totals;

use crate::journal::Kept;
use crate::text::Text;

/// Response codes of the acquirer itself; the issuers' declines stand in [`crate::cards`].
pub mod code {
    /// Approved.
    pub const APPROVED: &str = "00";
    /// The issuer wants a proof of who the cardholder is.
    pub const AUTHENTICATE: &str = "1A";
    /// Not possible in the original's state.
    pub const INVALID: &str = "12";
    /// Amount out of bounds.
    pub const AMOUNT: &str = "13";
    /// No such card.
    pub const NO_CARD: &str = "14";
    /// Already reversed.
    pub const NO_ACTION: &str = "21";
    /// No such original of this merchant.
    pub const NOT_FOUND: &str = "25";
    /// A field is missing or malformed.
    pub const FORMAT: &str = "30";
    /// The card's time is over.
    pub const EXPIRED: &str = "54";
    /// The CVC doesn't match.
    pub const CVC: &str = "82";
    /// The reference was seen before.
    pub const DUPLICATE: &str = "94";
}

/// All entries, in the order in which they were booked.
#[derive(Debug, Default)]
pub struct Books {
    entries: Vec<Entry>,
    by_reference: HashMap<Reference, usize>,
    totals: HashMap<Text<3>, Totals>,
    settled: Vec<Settled>,
    /// Authentications that an approval rests on: each counts once.
    proofs: HashSet<Text<36>>,
    /// Whose cards, by the last four digits, were once proven.
    set_up: HashSet<(Text<15>, Text<4>)>,
}

/// A change that doesn't fit the books: the journal it came from is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// A reference that is booked already.
    #[error("reference {0} is booked twice")]
    Twice(Reference),
    /// A change of an entry that isn't there.
    #[error("reference {0} is not booked")]
    Missing(Reference),
}

impl Kept for Books {
    type Change = Change;
    type Inconsistent = Inconsistent;

    /// Makes a change.
    ///
    /// # Errors
    /// [`Inconsistent`] for a change that [`Self::decide`] would not have made here; the books are unchanged.
    fn apply(&mut self, change: &Change) -> Result<(), Inconsistent> {
        match change {
            Change::Booked(booked) => self.book(booked),
            Change::Reversed { reference, at } => self.reverse(reference.0, reference.0, *at),
        }
    }
}

impl Books {
    /// The entry of this reference.
    pub fn find(&self, reference: Reference) -> Option<&Entry> {
        self.entries.get(*self.by_reference.get(&reference)?)
    }

    /// Up to `limit` entries behind the one whose sequence is `after`, oldest first.
    pub fn page(&self, after: u64, limit: usize) -> &[Entry] {
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(self.entries.len());
        let end = start.saturating_add(limit).min(self.entries.len());
        self.entries.get(start..end).unwrap_or_default()
    }

    /// How many entries there are; the last one's sequence.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was booked yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Movements of money behind this sequence, in order.
    pub fn settled(&self, after: u64) -> &[Settled] {
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(self.settled.len());
        self.settled.get(start..).unwrap_or_default()
    }

    /// Sums by currency.
    pub fn totals(&self) -> impl Iterator<Item = (Text<3>, Totals)> {
        self.totals.iter().map(|(currency, totals)| (*currency, *totals))
    }

    fn book(&mut self, booked: &Booked) -> Result<(), Inconsistent> {
        let reference = booked.reference.0;
        if self.by_reference.contains_key(&reference) {
            return Err(Inconsistent::Twice(reference));
        }
        if booked.is_approved() {
            self.follow_through(booked)?;
        }
        if let Some(authentication) = booked.authentication.filter(|_| booked.is_approved()) {
            self.proofs.insert(authentication);
            self.set_up.extend(booked.last_four.map(|last_four| (booked.merchant, last_four)));
        }
        let sequence = u64::try_from(self.entries.len()).unwrap_or(u64::MAX).saturating_add(1);
        self.totals.entry(booked.currency).or_default().count(booked);
        if let Some(movement) = Movement::of(booked) {
            self.settle(movement, booked, reference, booked.original(), booked.at);
        }
        self.by_reference.insert(reference, self.entries.len());
        self.entries.push(Entry::of(sequence, *booked));
        Ok(())
    }

    /// What an approved entry does to the one it is about.
    fn follow_through(&mut self, booked: &Booked) -> Result<(), Inconsistent> {
        let Some(original) = booked.original().filter(|_| !booked.is_foreseen()) else {
            return Ok(());
        };
        match booked.kind {
            Kind::Authorization | Kind::Purchase | Kind::Verification => Ok(()),
            Kind::Capture => self.entry_mut(original).map(|entry| entry.captured_minor += booked.amount_minor),
            Kind::Refund => self.entry_mut(original).map(|entry| entry.refunded_minor += booked.amount_minor),
            Kind::Reversal => self.reverse(original, booked.reference.0, booked.at),
        }
    }

    /// Takes an entry back, by a message of this reference.
    fn reverse(&mut self, reference: Reference, by: Reference, at: OffsetDateTime) -> Result<(), Inconsistent> {
        let entry = self.entry_mut(reference)?;
        if entry.reversed {
            return Ok(());
        }
        entry.reversed = true;
        if entry.booked.kind == Kind::Purchase {
            entry.captured_minor = 0;
        }
        let booked = entry.booked;
        self.totals.entry(booked.currency).or_default().take_back(&booked);
        if let Some(movement) = Movement::of(&booked).and_then(Movement::back) {
            self.settle(movement, &booked, by, Some(reference), at);
        }
        let parent = booked.original().and_then(|original| self.entry_mut(original).ok());
        match (booked.kind, parent) {
            (Kind::Capture, Some(parent)) => {
                parent.captured_minor = parent.captured_minor.saturating_sub(booked.amount_minor);
            }
            (Kind::Refund, Some(parent)) => {
                parent.refunded_minor = parent.refunded_minor.saturating_sub(booked.amount_minor);
            }
            _ => {}
        }
        Ok(())
    }

    fn settle(
        &mut self,
        movement: Movement,
        booked: &Booked,
        reference: Reference,
        original: Option<Reference>,
        at: OffsetDateTime,
    ) {
        let sequence = u64::try_from(self.settled.len()).unwrap_or(u64::MAX).saturating_add(1);
        let (amount_minor, currency) = (booked.amount_minor, booked.currency);
        self.settled.push(Settled { sequence, movement, reference, original, amount_minor, currency, at });
    }

    fn entry_mut(&mut self, reference: Reference) -> Result<&mut Entry, Inconsistent> {
        let missing = Inconsistent::Missing(reference);
        let place = *self.by_reference.get(&reference).ok_or(missing)?;
        self.entries.get_mut(place).ok_or(missing)
    }
}
