//! The networks of payments without a card: convenience stores, Pay-easy, e-money. A request waits for its payer, is paid, refused,
//! taken back, or its time ends; what was paid can be given back.
//!
//! What may enter: the vault's requests with the payer's data that a network needs; what people enter on its pages.
//! What may leave: how a request stands; notices to the gateway, without anything of the payer.
//!
//! [`rules`] decides, purely; [`Deposits`] is what the journal's lines add up to.

mod acts;
pub mod desk;
pub mod knobs;
mod mail;
pub mod numbers;
mod pages;
pub mod request;
pub mod rules;
#[cfg(test)]
mod tests;
mod texts;

use std::collections::{BTreeSet, HashMap};

use kura_iso8583::Reference;
use time::{Duration, OffsetDateTime};

use crate::journal::Kept;
use crate::text::Text;
use knobs::Knob;
use numbers::Numbers;
use request::{Change, Entry, GivenBack, Network, Place, Requested, Standing};

/// All requests, and what is still to be told of them.
#[derive(Debug, Default)]
pub struct Deposits {
    entries: Vec<Entry>,
    by_reference: HashMap<Reference, usize>,
    by_secret: HashMap<Text<26>, usize>,
    by_number: HashMap<String, usize>,
    foreseen: HashMap<Reference, Text<15>>,
    given_back: HashMap<Reference, GivenBack>,
    notices: Vec<Notice>,
    untold: BTreeSet<usize>,
    notice_places: HashMap<String, usize>,
    waiting: BTreeSet<(OffsetDateTime, usize)>,
    settled: Vec<Settled>,
}

/// A notice to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same when it comes twice.
    pub id: String,
    /// Which network's.
    pub network: Network,
    /// `paid`, `refused`, `expired`.
    pub kind: &'static str,
    /// The request's.
    pub reference: Reference,
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
    /// When it happened.
    pub at: OffsetDateTime,
    /// Where it was paid.
    pub place: Option<Place>,
    /// Not to be sent before.
    pub due_at: OffsetDateTime,
    /// Sent twice.
    pub twice: bool,
}

/// A movement of money, for the day's settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Its place, counted from 1.
    pub sequence: u64,
    /// Which network's.
    pub network: Network,
    /// Of what moved it.
    pub reference: Reference,
    /// The payment that was given back.
    pub original: Option<Reference>,
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
    /// When.
    pub at: OffsetDateTime,
}

/// A change that doesn't fit: the journal it came from is not of these requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// A reference that is used already.
    #[error("reference {0} is used twice")]
    Twice(Reference),
    /// A change of a request that isn't there.
    #[error("reference {0} is not there")]
    Missing(Reference),
    /// A change that can't follow.
    #[error("reference {0} can't come to stand so")]
    Standing(Reference),
    /// A notice that isn't there.
    #[error("a notice that was told is not there")]
    Notice,
}

impl Kept for Deposits {
    type Change = Change;
    type Inconsistent = Inconsistent;

    fn apply(&mut self, change: &Change) -> Result<(), Inconsistent> {
        match change {
            Change::Requested(requested) => self.take_in(requested),
            Change::Foreseen { reference, merchant, .. } => {
                self.require_unused(reference.0)?;
                self.foreseen.insert(reference.0, *merchant);
                Ok(())
            }
            Change::Moved { reference, to, at } => self.move_to(reference.0, to, *at),
            Change::GivenBack(given) => self.give_back(given),
            Change::Told { notice, .. } => {
                let place = self.notice_places.get(notice).ok_or(Inconsistent::Notice)?;
                self.untold.remove(place);
                Ok(())
            }
        }
    }
}

impl Deposits {
    /// The request of this reference.
    pub fn find(&self, reference: Reference) -> Option<&Entry> {
        self.entries.get(*self.by_reference.get(&reference)?)
    }

    /// The request behind a payer's own page.
    pub fn find_by_secret(&self, secret: &str) -> Option<&Entry> {
        self.entries.get(*self.by_secret.get(&Text::new(secret)?)?)
    }

    /// The request behind a typed number, and the digit before it.
    pub fn find_by_number(&self, network: Network, typed: &str) -> Option<(char, &Entry)> {
        let (digit, key) = numbers::key_of(typed)?;
        let fits = match network {
            Network::Konbini => numbers::CHAINS.iter().any(|(_, first)| *first == digit),
            Network::Payeasy => digit == '1',
            Network::Emoney => false,
        };
        let entry = self.entries.get(*self.by_number.get(&key)?)?;
        (fits && entry.requested.network == network).then_some((digit, entry))
    }

    /// Whose request this was to be, that was taken back before it came.
    pub fn is_foreseen(&self, reference: Reference) -> Option<Text<15>> {
        self.foreseen.get(&reference).copied()
    }

    /// Money given back under this reference.
    pub fn find_given_back(&self, reference: Reference) -> Option<&GivenBack> {
        self.given_back.get(&reference)
    }

    /// The last requests, newest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().take(count)
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The notices that the gateway has not answered, and that may be sent now.
    pub fn due_notices(&self, now: OffsetDateTime) -> impl Iterator<Item = &Notice> {
        self.untold.iter().filter_map(|place| self.notices.get(*place)).filter(move |notice| notice.due_at <= now)
    }

    /// How many notices the gateway has not answered.
    pub fn untold(&self) -> usize {
        self.untold.len()
    }

    /// The next request whose time is over and who doesn't know it yet.
    pub fn next_expired(&self, now: OffsetDateTime) -> Option<Reference> {
        let (expires_at, place) = self.waiting.first()?;
        let entry = self.entries.get(*place)?;
        (*expires_at <= now).then_some(entry.requested.asked.reference.0)
    }

    /// A network's movements behind this sequence, in order.
    pub fn settled(&self, network: Network, after: u64) -> impl Iterator<Item = &Settled> {
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(self.settled.len());
        self.settled.iter().skip(start).filter(move |row| row.network == network)
    }

    fn require_unused(&self, reference: Reference) -> Result<(), Inconsistent> {
        let used = self.by_reference.contains_key(&reference)
            || self.foreseen.contains_key(&reference)
            || self.given_back.contains_key(&reference);
        if used { Err(Inconsistent::Twice(reference)) } else { Ok(()) }
    }

    fn take_in(&mut self, requested: &Requested) -> Result<(), Inconsistent> {
        let reference = requested.asked.reference.0;
        self.require_unused(reference)?;
        let place = self.entries.len();
        let numbers =
            Numbers::of(u64::try_from(place).unwrap_or(u64::MAX), requested.asked.confirmation_number.as_deref());
        self.by_reference.insert(reference, place);
        self.by_secret.insert(requested.secret, place);
        self.by_number.insert(numbers.key().to_owned(), place);
        let standing = match requested.refused {
            Some(reason) => Standing::Refused { reason },
            None => {
                self.waiting.insert((requested.asked.expires_at, place));
                Standing::Waiting
            }
        };
        let since = requested.at;
        self.entries.push(Entry { requested: requested.clone(), numbers, standing, since, given_back_minor: 0 });
        Ok(())
    }

    fn move_to(&mut self, reference: Reference, to: &Standing, at: OffsetDateTime) -> Result<(), Inconsistent> {
        let missing = Inconsistent::Missing(reference);
        let place = *self.by_reference.get(&reference).ok_or(missing)?;
        let entry = self.entries.get_mut(place).ok_or(missing)?;
        if !entry.standing.may_become(to) {
            return Err(Inconsistent::Standing(reference));
        }
        self.waiting.remove(&(entry.requested.asked.expires_at, place));
        (entry.standing, entry.since) = (to.clone(), at);
        let Requested { network, asked, .. } = &entry.requested;
        let (network, amount_minor, currency) = (*network, asked.amount_minor, asked.currency);
        let (kind, paid_at) = match to {
            Standing::Paid { place } => ("paid", Some(*place)),
            Standing::Refused { .. } => ("refused", None),
            Standing::Expired => ("expired", None),
            Standing::Waiting | Standing::Withdrawn => return Ok(()),
        };
        if kind == "paid" {
            self.settle(network, reference, None, (amount_minor, currency), at);
        }
        let knob = Knob::of(amount_minor);
        self.tell(Notice {
            id: format!("{}-{reference}-{kind}", network.as_str()),
            network,
            kind,
            reference,
            amount_minor,
            currency,
            at,
            place: paid_at,
            due_at: at + Duration::seconds(knob.delay_s(kind == "expired")),
            twice: knob == Knob::NoticeTwice,
        });
        Ok(())
    }

    fn tell(&mut self, notice: Notice) {
        let place = self.notices.len();
        self.notice_places.insert(notice.id.clone(), place);
        self.untold.insert(place);
        self.notices.push(notice);
    }

    fn give_back(&mut self, given: &GivenBack) -> Result<(), Inconsistent> {
        self.require_unused(given.reference.0)?;
        let missing = Inconsistent::Missing(given.original.0);
        let place = *self.by_reference.get(&given.original.0).ok_or(missing)?;
        let entry = self.entries.get_mut(place).ok_or(missing)?;
        if given.accepted {
            if given.amount_minor > rules::left_of(entry) {
                return Err(Inconsistent::Standing(given.original.0));
            }
            entry.given_back_minor += given.amount_minor;
            let (network, currency) = (entry.requested.network, entry.requested.asked.currency);
            let money = (given.amount_minor, currency);
            self.settle(network, given.reference.0, Some(given.original.0), money, given.at);
        }
        self.given_back.insert(given.reference.0, *given);
        Ok(())
    }

    fn settle(
        &mut self,
        network: Network,
        reference: Reference,
        original: Option<Reference>,
        (amount_minor, currency): (u64, Text<3>),
        at: OffsetDateTime,
    ) {
        let sequence = u64::try_from(self.settled.len()).unwrap_or(u64::MAX).saturating_add(1);
        self.settled.push(Settled { sequence, network, reference, original, amount_minor, currency, at });
    }
}
