//! The networks' rules: what becomes of each wish, given what is kept. Pure: neither clock, randomness nor I/O.

use time::OffsetDateTime;

use super::Deposits;
use super::knobs::Knob;
use super::request::{Asked, Change, Entry, GivenBack, Network, Place, Refusal, Requested, Standing};
use crate::books::ReferenceText;
use crate::text::Text;

/// The most at a time, in yen.
pub const MAX_AMOUNT: u64 = 300_000;

/// What was decided, and what changes by it.
pub type Decided<T> = (Option<Change>, T);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// It is there, now or before.
    There,
    /// It was taken back before it came.
    Foreseen,
    /// Its reference is another one's.
    Conflict,
}

/// What became of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// The request is there, and can't be paid from now on, unless it was.
    There,
    /// It can't come any more.
    Foreseen,
    /// It is another one's.
    Conflict,
}

/// What became of a payer's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Done.
    Done,
    /// It was paid, refused or taken back before.
    Closed,
    /// Its time is over.
    Expired,
}

/// What became of the wish for money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// It is paid out.
    Accepted,
    /// It isn't.
    Refused,
    /// There is no such request of this merchant.
    NotFound,
    /// The reference is another one's.
    Conflict,
}

/// How much can still be given back.
pub fn left_of(entry: &Entry) -> u64 {
    match entry.standing {
        Standing::Paid { .. } => entry.requested.asked.amount_minor.saturating_sub(entry.given_back_minor),
        _ => 0,
    }
}

fn refusal(asked: &Asked, now: OffsetDateTime) -> Option<Refusal> {
    if asked.currency.as_str() != "jpy" {
        Some(Refusal::CurrencyNotSupported)
    } else if asked.amount_minor > MAX_AMOUNT {
        Some(Refusal::AmountTooLarge)
    } else if asked.expires_at <= now {
        Some(Refusal::AlreadyExpired)
    } else if Knob::of(asked.amount_minor) == Knob::Refused {
        Some(Refusal::Declined)
    } else {
        None
    }
}

impl Deposits {
    /// A request. The same one again changes nothing.
    pub fn decide_request(
        &self,
        network: Network,
        asked: &Asked,
        secret: Text<26>,
        now: OffsetDateTime,
    ) -> Decided<Request> {
        let reference = asked.reference.0;
        if let Some(entry) = self.find(reference) {
            let same = entry.requested.network == network && entry.requested.asked == *asked;
            return (None, if same { Request::There } else { Request::Conflict });
        }
        match self.is_foreseen(reference) {
            Some(merchant) if merchant == asked.merchant => return (None, Request::Foreseen),
            Some(_) => return (None, Request::Conflict),
            None if self.find_given_back(reference).is_some() => return (None, Request::Conflict),
            None => {}
        }
        let refused = refusal(asked, now);
        let requested = Requested { network, asked: asked.clone(), secret, at: now, refused };
        (Some(Change::Requested(Box::new(requested))), Request::There)
    }

    /// A request that can't be paid any more, or never come.
    pub fn decide_withdrawal(
        &self,
        network: Network,
        reference: ReferenceText,
        merchant: Text<15>,
        now: OffsetDateTime,
    ) -> Decided<Withdrawal> {
        let Some(entry) = self.find(reference.0) else {
            return match self.is_foreseen(reference.0) {
                Some(owner) if owner == merchant => (None, Withdrawal::Foreseen),
                Some(_) => (None, Withdrawal::Conflict),
                None if self.find_given_back(reference.0).is_some() => (None, Withdrawal::Conflict),
                None => (Some(Change::Foreseen { reference, merchant, at: now }), Withdrawal::Foreseen),
            };
        };
        if entry.requested.network != network || entry.requested.asked.merchant != merchant {
            return (None, Withdrawal::Conflict);
        }
        let to = if entry.requested.asked.expires_at <= now { Standing::Expired } else { Standing::Withdrawn };
        let change = (entry.standing == Standing::Waiting).then_some(Change::Moved { reference, to, at: now });
        (change, Withdrawal::There)
    }

    /// A payer's payment. `late`: the money comes although its time is over.
    pub fn decide_payment(
        &self,
        reference: ReferenceText,
        place: Place,
        late: bool,
        now: OffsetDateTime,
    ) -> Decided<Acted> {
        let over = |entry: &Entry| entry.standing == Standing::Expired || entry.requested.asked.expires_at <= now;
        match self.find(reference.0) {
            Some(entry) if matches!(entry.standing, Standing::Waiting | Standing::Expired) => {
                if over(entry) && !late {
                    return (None, Acted::Expired);
                }
                (Some(Change::Moved { reference, to: Standing::Paid { place }, at: now }), Acted::Done)
            }
            _ => (None, Acted::Closed),
        }
    }

    /// The shopper's no.
    pub fn decide_refusal(&self, reference: ReferenceText, now: OffsetDateTime) -> Decided<Acted> {
        match self.find(reference.0) {
            Some(entry) if entry.standing == Standing::Waiting => {
                let to = Standing::Refused { reason: Refusal::ShopperRefused };
                (Some(Change::Moved { reference, to, at: now }), Acted::Done)
            }
            Some(entry) if entry.standing == Standing::Expired => (None, Acted::Expired),
            _ => (None, Acted::Closed),
        }
    }

    /// The end of a request's time, which a tester may bring about.
    pub fn decide_expiry(&self, reference: ReferenceText, now: OffsetDateTime) -> Decided<Acted> {
        match self.find(reference.0) {
            Some(entry) if entry.standing == Standing::Waiting => {
                (Some(Change::Moved { reference, to: Standing::Expired, at: now }), Acted::Done)
            }
            _ => (None, Acted::Closed),
        }
    }

    /// Money back. The same wish again changes nothing, whatever became of it.
    pub fn decide_back(
        &self,
        network: Network,
        merchant: Text<15>,
        wish: &GivenBack,
        currency: Text<3>,
    ) -> Decided<Back> {
        let Some(entry) = self.find(wish.original.0) else { return (None, Back::NotFound) };
        if entry.requested.network != network || entry.requested.asked.merchant != merchant {
            return (None, Back::NotFound);
        }
        if let Some(before) = self.find_given_back(wish.reference.0) {
            let same = (before.original, before.amount_minor) == (wish.original, wish.amount_minor);
            return (
                None,
                match (same, before.accepted) {
                    (false, _) => Back::Conflict,
                    (true, true) => Back::Accepted,
                    (true, false) => Back::Refused,
                },
            );
        }
        if self.find(wish.reference.0).is_some() || self.is_foreseen(wish.reference.0).is_some() {
            return (None, Back::Conflict);
        }
        let accepted = wish.amount_minor > 0
            && wish.amount_minor <= left_of(entry)
            && currency == entry.requested.asked.currency
            && Knob::of(entry.requested.asked.amount_minor) != Knob::NothingBack;
        let change = Change::GivenBack(GivenBack { accepted, ..*wish });
        (Some(change), if accepted { Back::Accepted } else { Back::Refused })
    }
}
