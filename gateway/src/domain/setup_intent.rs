//! The SetupIntent's state machine: pure, exhaustive. No money moves in it, so it has no sums; while a question to the issuer or
//! the network is under way, nothing else can begin.

/// Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No usable card yet, or the last one was refused.
    RequiresPaymentMethod,
    /// A card is named.
    RequiresConfirmation,
    /// The issuer asks the shopper.
    RequiresAction,
    /// A question is under way.
    Processing,
    /// Over; nothing was kept.
    Canceled,
    /// The card is kept.
    Succeeded,
}

impl Status {
    const ALL: [Self; 6] = [
        Self::RequiresPaymentMethod,
        Self::RequiresConfirmation,
        Self::RequiresAction,
        Self::Processing,
        Self::Canceled,
        Self::Succeeded,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether card and customer may still change.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::RequiresPaymentMethod | Self::RequiresConfirmation)
    }

    /// What follows. `None`: not in this status.
    pub const fn after(self, event: Event) -> Option<Self> {
        Some(match (self, event) {
            (Self::RequiresPaymentMethod | Self::RequiresConfirmation, Event::NameCard) => Self::RequiresConfirmation,
            (Self::RequiresConfirmation, Event::Confirm) | (Self::RequiresAction, Event::Authenticated) => {
                Self::Processing
            }
            (Self::Processing, Event::Challenged) => Self::RequiresAction,
            // Between two questions: the issuer's answer, and the network's.
            (Self::Processing, Event::Authenticated | Event::StepUp) => Self::Processing,
            (Self::Processing, Event::Approved) => Self::Succeeded,
            (Self::Processing | Self::RequiresAction, Event::Refused) => Self::RequiresPaymentMethod,
            (Self::Processing, Event::NotAsked) => Self::RequiresConfirmation,
            (Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::RequiresAction, Event::Cancel) => {
                Self::Canceled
            }
            (
                _,
                Event::NameCard
                | Event::Confirm
                | Event::Challenged
                | Event::Authenticated
                | Event::StepUp
                | Event::Approved
                | Event::Refused
                | Event::NotAsked
                | Event::Cancel,
            ) => return None,
        })
    }
}

/// What is asked of it, or happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A card was named.
    NameCard,
    /// Ask.
    Confirm,
    /// The issuer wants to ask the shopper.
    Challenged,
    /// The issuer knows, or could not be asked and does not insist.
    Authenticated,
    /// The network wants to know who it is before it says yes.
    StepUp,
    /// The card is good.
    Approved,
    /// It is not, or it is not the cardholder.
    Refused,
    /// Nobody could be asked, and the card has not been tried.
    NotAsked,
    /// Call it off.
    Cancel,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 9] = [
        Event::NameCard,
        Event::Confirm,
        Event::Challenged,
        Event::Authenticated,
        Event::StepUp,
        Event::Approved,
        Event::Refused,
        Event::NotAsked,
        Event::Cancel,
    ];

    /// The end is the end, and only a confirmed card that was approved is kept.
    #[test]
    fn what_follows_what() {
        for event in EVENTS {
            assert_eq!(Status::Succeeded.after(event), None, "{event:?}");
            assert_eq!(Status::Canceled.after(event), None, "{event:?}");
            for status in Status::ALL {
                if status.after(event) == Some(Status::Succeeded) {
                    assert_eq!((status, event), (Status::Processing, Event::Approved));
                }
            }
        }
        let run = |events: &[Event]| {
            events.iter().try_fold(Status::RequiresPaymentMethod, |status, event| status.after(*event))
        };
        assert_eq!(run(&[Event::NameCard, Event::Confirm, Event::Approved]), Some(Status::Succeeded));
        let asked = [Event::NameCard, Event::Confirm, Event::StepUp, Event::Challenged];
        assert_eq!(run(&asked), Some(Status::RequiresAction));
        assert_eq!(run(&[&asked[..], &[Event::Authenticated, Event::Approved]].concat()), Some(Status::Succeeded));
        assert_eq!(run(&[&asked[..], &[Event::Refused]].concat()), Some(Status::RequiresPaymentMethod));
        assert_eq!(run(&[Event::NameCard, Event::Confirm, Event::Cancel]), None, "not while the network is asked");
        assert_eq!(run(&[Event::Confirm]), None, "no card");
    }

    /// Words survive.
    #[test]
    fn words_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }
}
