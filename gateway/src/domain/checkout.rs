//! A checkout session's state machine: open until its shopper is done, or too late. Pure.

/// Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It waits for its shopper.
    Open,
    /// Its shopper is done.
    Complete,
    /// It is too late.
    Expired,
}

/// What may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its payment was made, its card kept, its subscription begun.
    Done,
    /// Its time is over, or the merchant ends it.
    Expire,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One payment.
    Payment,
    /// Keeping a card.
    Setup,
    /// A subscription.
    Subscription,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Complete, Self::Expired];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// What it is after this. What is over stays over. Nothing expires while a try is under way.
    pub const fn after(self, event: Event, trying: bool) -> Option<Self> {
        match (self, event, trying) {
            (Self::Open, Event::Done, _) => Some(Self::Complete),
            (Self::Open, Event::Expire, false) => Some(Self::Expired),
            _ => None,
        }
    }
}

impl Mode {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Setup => "setup",
            Self::Subscription => "subscription",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Payment, Self::Setup, Self::Subscription].into_iter().find(|mode| mode.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All twelve transitions: what is over stays over, and what is under way doesn't expire.
    #[test]
    fn every_transition_is_decided() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            for trying in [false, true] {
                let open = status == Status::Open;
                assert_eq!(status.after(Event::Done, trying), open.then_some(Status::Complete));
                assert_eq!(status.after(Event::Expire, trying), (open && !trying).then_some(Status::Expired));
            }
        }
        assert_eq!(Mode::parse("subscription"), Some(Mode::Subscription));
    }
}
