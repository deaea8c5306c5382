//! A subscription's state machine, when the next thing happens to it, and the schedule of an invoice's tries: pure.

use time::{Duration, OffsetDateTime};

/// How long a first payment may be missing.
const INCOMPLETE_FOR: Duration = Duration::hours(23);
/// How long before a trial's end the merchant is told.
const TRIAL_END_TOLD_BEFORE: Duration = Duration::days(3);
/// How long an invoice that was made by itself can still be changed.
pub const DRAFT_FOR: Duration = Duration::hours(1);
/// Days from each failed try to the next; after the last there is none.
const DAYS_BETWEEN_TRIES: [i64; 4] = [1, 3, 5, 7];

/// Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The first payment is missing.
    Incomplete,
    /// It stayed missing.
    IncompleteExpired,
    /// Nothing is due yet.
    Trialing,
    /// Paid.
    Active,
    /// The newest invoice is not paid.
    PastDue,
    /// It was not paid in any of its tries.
    Unpaid,
    /// Over.
    Canceled,
}

/// What may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// One of its invoices was paid; whether that was the newest.
    Paid(bool),
    /// A try to pay one of its invoices failed.
    Failed,
    /// All tries failed.
    Exhausted(AfterLastTry),
    /// The trial is over.
    TrialOver,
    /// The first payment stayed missing.
    Expired,
    /// It is called off.
    Canceled,
}

/// What becomes of a subscription whose invoice could not be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLastTry {
    /// It ends.
    Cancel,
    /// It goes on; its invoices stay drafts.
    Unpaid,
}

impl AfterLastTry {
    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "cancel" => Some(Self::Cancel),
            "unpaid" => Some(Self::Unpaid),
            _ => None,
        }
    }
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Incomplete,
        Self::IncompleteExpired,
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Unpaid,
        Self::Canceled,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Nothing happens to it any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled)
    }

    /// What it is after this. `None` where it can't happen.
    pub const fn after(self, event: Event) -> Option<Self> {
        Some(match (self, event) {
            (Self::IncompleteExpired | Self::Canceled, _) => return None,
            (Self::Incomplete, Event::Paid(_)) => Self::Active,
            (Self::Incomplete, Event::Failed | Event::Exhausted(_)) => Self::Incomplete,
            (Self::Incomplete, Event::Expired | Event::Canceled) => Self::IncompleteExpired,
            (Self::Incomplete, Event::TrialOver) => return None,
            (_, Event::Expired) => return None,
            (_, Event::Canceled) | (_, Event::Exhausted(AfterLastTry::Cancel)) => Self::Canceled,
            (_, Event::Exhausted(AfterLastTry::Unpaid)) => Self::Unpaid,
            (Self::Trialing, Event::TrialOver) => Self::Active,
            (_, Event::TrialOver) => return None,
            (Self::PastDue | Self::Unpaid, Event::Paid(true)) => Self::Active,
            (Self::Unpaid, Event::Failed) => Self::Unpaid,
            (_, Event::Paid(_)) => self,
            (_, Event::Failed) => Self::PastDue,
        })
    }
}

/// What becomes of the invoices of a subscription whose collection rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseBehavior {
    /// They stay drafts.
    KeepAsDraft,
    /// They are given up.
    MarkUncollectible,
    /// They are called off.
    Void,
}

impl PauseBehavior {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::KeepAsDraft, Self::MarkUncollectible, Self::Void];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeepAsDraft => "keep_as_draft",
            Self::MarkUncollectible => "mark_uncollectible",
            Self::Void => "void",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|behavior| behavior.as_str() == word)
    }
}

/// Collection rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// What becomes of invoices meanwhile.
    pub behavior: PauseBehavior,
    /// Until then; until somebody says so where there is none.
    pub resumes_at: Option<OffsetDateTime>,
}

/// What decides when something happens to a subscription.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Where it stands.
    pub status: Status,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When its period ends.
    pub period_end_at: OffsetDateTime,
    /// When its trial ends.
    pub trial_end_at: Option<OffsetDateTime>,
    /// Whether the merchant was told that it will.
    pub trial_end_told: bool,
    /// When it is to end.
    pub cancel_at: Option<OffsetDateTime>,
    /// When its collection goes on.
    pub resumes_at: Option<OffsetDateTime>,
}

/// What happens to a subscription by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first payment stayed missing.
    Expire,
    /// The merchant is told that the trial will end.
    TellTrialEnd,
    /// It ends, as it was asked to.
    Cancel,
    /// Its collection goes on.
    Resume,
    /// A new period begins.
    Renew,
}

impl Course {
    /// The next thing, and when. Of one moment, collection goes on before all else, and the end comes before a new period.
    pub fn next(self) -> Option<(OffsetDateTime, Step)> {
        if self.status.is_over() {
            return None;
        }
        if self.status == Status::Incomplete {
            return Some((self.created_at + INCOMPLETE_FOR, Step::Expire));
        }
        let mut next = (self.period_end_at, Step::Renew);
        if let Some(at) = self.cancel_at.filter(|at| *at <= next.0) {
            next = (at, Step::Cancel);
        }
        if let (Status::Trialing, false, Some(end)) = (self.status, self.trial_end_told, self.trial_end_at) {
            let at = (end - TRIAL_END_TOLD_BEFORE).max(self.created_at);
            if at < next.0 {
                next = (at, Step::TellTrialEnd);
            }
        }
        if let Some(at) = self.resumes_at.filter(|at| *at <= next.0) {
            next = (at, Step::Resume);
        }
        Some(next)
    }
}

/// When an invoice is tried again after so many tries. `None` after the last.
pub fn next_try(tries: i32, at: OffsetDateTime) -> Option<OffsetDateTime> {
    let made = usize::try_from(tries.checked_sub(1)?).ok()?;
    DAYS_BETWEEN_TRIES.get(made).map(|days| at + Duration::days(*days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const EVENTS: [Event; 8] = [
        Event::Paid(true),
        Event::Paid(false),
        Event::Failed,
        Event::Exhausted(AfterLastTry::Cancel),
        Event::Exhausted(AfterLastTry::Unpaid),
        Event::TrialOver,
        Event::Expired,
        Event::Canceled,
    ];

    /// All 56 transitions.
    #[test]
    fn every_transition_is_decided() {
        use Status::{Active, Canceled, Incomplete, IncompleteExpired, PastDue, Trialing, Unpaid};
        let rows: [(Status, [Option<Status>; 8]); 7] = [
            (
                Incomplete,
                [
                    Some(Active),
                    Some(Active),
                    Some(Incomplete),
                    Some(Incomplete),
                    Some(Incomplete),
                    None,
                    Some(IncompleteExpired),
                    Some(IncompleteExpired),
                ],
            ),
            (IncompleteExpired, [None; 8]),
            (
                Trialing,
                [
                    Some(Trialing),
                    Some(Trialing),
                    Some(PastDue),
                    Some(Canceled),
                    Some(Unpaid),
                    Some(Active),
                    None,
                    Some(Canceled),
                ],
            ),
            (
                Active,
                [Some(Active), Some(Active), Some(PastDue), Some(Canceled), Some(Unpaid), None, None, Some(Canceled)],
            ),
            (
                PastDue,
                [Some(Active), Some(PastDue), Some(PastDue), Some(Canceled), Some(Unpaid), None, None, Some(Canceled)],
            ),
            (
                Unpaid,
                [Some(Active), Some(Unpaid), Some(Unpaid), Some(Canceled), Some(Unpaid), None, None, Some(Canceled)],
            ),
            (Canceled, [None; 8]),
        ];
        for (status, expected) in rows {
            let found = EVENTS.map(|event| status.after(event));
            assert_eq!(found, expected, "{status:?}");
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }

    /// The end comes before a new period, a missing first payment before everything, and nothing comes after the end.
    #[test]
    fn the_next_thing_is_the_earliest() {
        let day = |day: u8| datetime!(2027-03-01 0:00 UTC).replace_day(day).unwrap();
        let course = Course {
            status: Status::Active,
            created_at: day(1),
            period_end_at: day(31),
            trial_end_at: None,
            trial_end_told: false,
            cancel_at: None,
            resumes_at: None,
        };
        assert_eq!(course.next(), Some((day(31), Step::Renew)));
        assert_eq!(Course { resumes_at: Some(day(31)), ..course }.next(), Some((day(31), Step::Resume)));
        let both = Course { resumes_at: Some(day(9)), cancel_at: Some(day(9)), ..course };
        assert_eq!(both.next(), Some((day(9), Step::Resume)));
        assert_eq!(
            Course { resumes_at: Some(day(9)), cancel_at: Some(day(8)), ..course }.next(),
            Some((day(8), Step::Cancel))
        );
        for behavior in PauseBehavior::ALL {
            assert_eq!(PauseBehavior::parse(behavior.as_str()), Some(behavior));
        }
        assert_eq!(Course { cancel_at: Some(day(31)), ..course }.next(), Some((day(31), Step::Cancel)));
        assert_eq!(Course { cancel_at: Some(day(9)), ..course }.next(), Some((day(9), Step::Cancel)));
        let trial = Course { status: Status::Trialing, trial_end_at: Some(day(31)), ..course };
        assert_eq!(trial.next(), Some((day(28), Step::TellTrialEnd)));
        assert_eq!(Course { trial_end_told: true, ..trial }.next(), Some((day(31), Step::Renew)));
        let short = Course { trial_end_at: Some(day(2)), period_end_at: day(2), ..trial };
        assert_eq!(short.next(), Some((day(1), Step::TellTrialEnd)));
        let incomplete = Course { status: Status::Incomplete, cancel_at: Some(day(1)), ..course };
        assert_eq!(incomplete.next(), Some((datetime!(2027-03-01 23:00 UTC), Step::Expire)));
        assert_eq!(Course { status: Status::Canceled, ..course }.next(), None);
    }

    /// Five tries: at once, and after 1, 3, 5 and 7 days more.
    #[test]
    fn tries_have_a_schedule() {
        let at = datetime!(2027-03-01 0:00 UTC);
        let days: Vec<_> = (0..=6).map(|tries| next_try(tries, at).map(|next| (next - at).whole_days())).collect();
        assert_eq!(days, [None, Some(1), Some(3), Some(5), Some(7), None, None]);
    }
}
