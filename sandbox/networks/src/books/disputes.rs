//! Disputes about payments: a cardholder's issuer takes money back, the merchant may answer once, the issuer decides. Pure, as
//! the books are, and written down in their journal.

use std::collections::{BTreeSet, HashMap};

use kura_iso8583::Reference;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::entry::{Entry, Kind, ReferenceText};
use super::{Books, Change, Inconsistent, Movement};
use crate::text::Text;

/// What the cardholder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No refund came.
    CreditNotProcessed,
    /// Paid twice.
    Duplicate,
    /// Not the cardholder.
    Fraudulent,
    /// Anything else.
    General,
    /// Nothing came.
    ProductNotReceived,
    /// Something else came.
    ProductUnacceptable,
    /// The subscription had ended.
    SubscriptionCanceled,
    /// The cardholder doesn't know the payment.
    Unrecognized,
}

impl Reason {
    /// All of them, with their words.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Fraudulent, "fraudulent"),
        (Self::ProductNotReceived, "product_not_received"),
        (Self::ProductUnacceptable, "product_unacceptable"),
        (Self::Duplicate, "duplicate"),
        (Self::CreditNotProcessed, "credit_not_processed"),
        (Self::SubscriptionCanceled, "subscription_canceled"),
        (Self::Unrecognized, "unrecognized"),
        (Self::General, "general"),
    ];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("general", |(_, word)| word)
    }
}

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The merchant may answer.
    NeedsResponse,
    /// The issuer reads the evidence.
    UnderReview,
    /// The merchant was right.
    Won,
    /// The cardholder keeps the money.
    Lost,
}

impl State {
    /// What may follow.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::NeedsResponse => matches!(next, Self::UnderReview | Self::Lost),
            Self::UnderReview => matches!(next, Self::Won | Self::Lost),
            Self::Won | Self::Lost => false,
        }
    }

    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// A dispute as it was opened; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The case number.
    pub case: ReferenceText,
    /// The disputed payment's.
    pub original: ReferenceText,
    /// Whose.
    pub merchant: Text<15>,
    /// What the cardholder says.
    pub reason: Reason,
    /// Minor units.
    pub amount_minor: u64,
    /// Three lower-case letters.
    pub currency: Text<3>,
    /// Until when the merchant may answer.
    #[serde(with = "time::serde::rfc3339")]
    pub respond_by: OffsetDateTime,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// What a merchant answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The sender's own id of it.
    pub submission: String,
    /// Nothing when it gave in.
    pub evidence: Option<String>,
}

/// A dispute as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// What was opened.
    pub opened: Opened,
    /// How it stands.
    pub state: State,
    /// Since when.
    pub since: OffsetDateTime,
    /// Counts the states from 1.
    pub version: u32,
    /// What the merchant said.
    pub answered: Option<Answered>,
}

/// A line of the journal about a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeChange {
    /// A new one.
    Opened(Opened),
    /// It stands otherwise from now on.
    Moved {
        /// Which.
        case: ReferenceText,
        /// How.
        to: State,
        /// By what the merchant said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answered: Option<Answered>,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// The gateway has the notice of this version.
    Told {
        /// Which.
        case: ReferenceText,
        /// Which of its states.
        version: u32,
    },
}

/// All disputes, and what is still to be told of them.
#[derive(Debug, Default)]
pub struct Disputes {
    all: Vec<Dispute>,
    by_case: HashMap<Reference, usize>,
    /// Place and version: what it was then.
    untold: BTreeSet<(usize, u32)>,
    /// What each version was.
    told: HashMap<(usize, u32), (State, OffsetDateTime)>,
}

/// A state of a dispute that the gateway has not heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untold {
    /// What was opened.
    pub opened: Opened,
    /// How it stood.
    pub state: State,
    /// Since when.
    pub at: OffsetDateTime,
    /// Which of its states.
    pub version: u32,
}

/// What a wish about a dispute came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// Done, now or before.
    Done,
    /// It was answered or decided before, or the time is over.
    TooLate,
    /// There is none, or nothing to dispute.
    NotFound,
    /// More than stands.
    TooMuch,
}

impl Disputes {
    /// The one of this case number.
    pub fn find(&self, case: Reference) -> Option<&Dispute> {
        self.all.get(*self.by_case.get(&case)?)
    }

    /// The last ones, newest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = &Dispute> {
        self.all.iter().rev().take(count)
    }

    /// What the gateway has not heard of.
    pub fn untold(&self) -> impl Iterator<Item = Untold> {
        self.untold.iter().filter_map(|key| {
            let (state, at) = *self.told.get(key)?;
            Some(Untold { opened: self.all.get(key.0)?.opened, state, at, version: key.1 })
        })
    }

    /// A case whose time to answer is over.
    pub fn next_overdue(&self, now: OffsetDateTime) -> Option<ReferenceText> {
        let overdue = |dispute: &&Dispute| dispute.state == State::NeedsResponse && dispute.opened.respond_by <= now;
        self.all.iter().find(overdue).map(|dispute| dispute.opened.case)
    }

    /// How much of a payment is disputed and not given back to the merchant.
    fn disputed(&self, original: Reference) -> u64 {
        let counts = |dispute: &&Dispute| dispute.opened.original.0 == original && dispute.state != State::Won;
        self.all.iter().filter(counts).map(|dispute| dispute.opened.amount_minor).sum()
    }

    fn open(&mut self, opened: &Opened) -> Result<(), Inconsistent> {
        if self.by_case.contains_key(&opened.case.0) {
            return Err(Inconsistent::Twice(opened.case.0));
        }
        let (place, state, since) = (self.all.len(), State::NeedsResponse, opened.at);
        self.by_case.insert(opened.case.0, place);
        self.all.push(Dispute { opened: *opened, state, since, version: 1, answered: None });
        self.note(place, 1, state, since);
        Ok(())
    }

    fn move_to(
        &mut self,
        case: Reference,
        to: State,
        answered: Option<&Answered>,
        at: OffsetDateTime,
    ) -> Result<Opened, Inconsistent> {
        let missing = Inconsistent::Missing(case);
        let place = *self.by_case.get(&case).ok_or(missing)?;
        let dispute = self.all.get_mut(place).filter(|dispute| dispute.state.may_become(to)).ok_or(missing)?;
        (dispute.state, dispute.since, dispute.version) = (to, at, dispute.version.saturating_add(1));
        if let Some(answered) = answered {
            dispute.answered = Some(answered.clone());
        }
        let (opened, version) = (dispute.opened, dispute.version);
        self.note(place, version, to, at);
        Ok(opened)
    }

    fn note(&mut self, place: usize, version: u32, state: State, at: OffsetDateTime) {
        self.untold.insert((place, version));
        self.told.insert((place, version), (state, at));
    }

    fn tell(&mut self, case: Reference, version: u32) -> Result<(), Inconsistent> {
        let place = *self.by_case.get(&case).ok_or(Inconsistent::Missing(case))?;
        self.untold.remove(&(place, version));
        Ok(())
    }
}

impl Books {
    /// All disputes.
    pub fn disputes(&self) -> &Disputes {
        &self.disputes
    }

    pub(super) fn apply_dispute(&mut self, change: &DisputeChange) -> Result<(), Inconsistent> {
        match change {
            DisputeChange::Opened(opened) => {
                self.disputes.open(opened)?;
                self.settle_dispute(Movement::Chargeback, opened, opened.at);
            }
            DisputeChange::Moved { case, to, answered, at } => {
                let opened = self.disputes.move_to(case.0, *to, answered.as_ref(), *at)?;
                if *to == State::Won {
                    self.settle_dispute(Movement::ChargebackReversal, &opened, *at);
                }
            }
            DisputeChange::Told { case, version } => self.disputes.tell(case.0, *version)?,
        }
        Ok(())
    }

    fn settle_dispute(&mut self, movement: Movement, opened: &Opened, at: OffsetDateTime) {
        let money = (opened.amount_minor, opened.currency);
        self.settle(movement, money, opened.case.0, Some(opened.original.0), at);
    }

    /// How much of a payment the merchant has no more: given back, or taken back.
    pub(super) fn gone(&self, entry: &Entry) -> u64 {
        entry.refunded_minor.saturating_add(self.disputes.disputed(entry.booked.reference.0))
    }

    /// A cardholder's dispute about a payment: all that stands of it, or `amount_minor`.
    pub fn decide_dispute(
        &self,
        case: ReferenceText,
        original: ReferenceText,
        reason: Reason,
        amount_minor: Option<u64>,
        (now, respond_by): (OffsetDateTime, OffsetDateTime),
    ) -> (Option<Change>, Became) {
        let charged = self.find(original.0).filter(|entry| {
            let payment = matches!(entry.booked.kind, Kind::Purchase | Kind::Authorization);
            payment && entry.booked.is_approved() && !entry.reversed && entry.captured_minor > 0
        });
        let Some(entry) = charged else { return (None, Became::NotFound) };
        let stands = entry.captured_minor.saturating_sub(self.gone(entry));
        let amount_minor = amount_minor.unwrap_or(stands);
        if amount_minor == 0 || amount_minor > stands {
            return (None, Became::TooMuch);
        }
        let (merchant, currency) = (entry.booked.merchant, entry.booked.currency);
        let opened = Opened { case, original, merchant, reason, amount_minor, currency, respond_by, at: now };
        (Some(Change::Dispute(Box::new(DisputeChange::Opened(opened)))), Became::Done)
    }

    /// The merchant's answer: evidence, or giving in. The same one again changes nothing.
    pub fn decide_answer(
        &self,
        (case, original): (ReferenceText, ReferenceText),
        merchant: Text<15>,
        answered: Answered,
        now: OffsetDateTime,
    ) -> (Option<Change>, Became) {
        let found = self.disputes.find(case.0);
        let Some(dispute) = found.filter(|it| it.opened.merchant == merchant && it.opened.original == original) else {
            return (None, Became::NotFound);
        };
        if dispute.answered.as_ref().is_some_and(|before| before.submission == answered.submission) {
            return (None, Became::Done);
        }
        if dispute.state != State::NeedsResponse || dispute.opened.respond_by <= now {
            return (None, Became::TooLate);
        }
        let to = if answered.evidence.is_some() { State::UnderReview } else { State::Lost };
        (Some(moved(case, to, Some(answered), now)), Became::Done)
    }

    /// The issuer's word, or the end of the time to answer.
    pub fn decide_end(&self, case: ReferenceText, to: State, now: OffsetDateTime) -> (Option<Change>, Became) {
        match self.disputes.find(case.0) {
            None => (None, Became::NotFound),
            Some(dispute) if dispute.state.may_become(to) && to != State::UnderReview => {
                (Some(moved(case, to, None, now)), Became::Done)
            }
            Some(_) => (None, Became::TooLate),
        }
    }
}

fn moved(case: ReferenceText, to: State, answered: Option<Answered>, at: OffsetDateTime) -> Change {
    Change::Dispute(Box::new(DisputeChange::Moved { case, to, answered, at }))
}
