//! An invoice's state machine, and how a customer's credit goes into it: pure.

/// Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It can still change.
    Draft,
    /// It is to be paid.
    Open,
    /// It was.
    Paid,
    /// It was given up.
    Uncollectible,
    /// It was called off.
    Void,
}

/// What may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It becomes final.
    Finalize,
    /// It is paid.
    Pay,
    /// It is called off.
    Void,
    /// It is given up.
    GiveUp,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Open, Self::Paid, Self::Uncollectible, Self::Void];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Uncollectible => "uncollectible",
            Self::Void => "void",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// What it is after this. `None` where it can't happen.
    pub const fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Draft, Event::Finalize) => Some(Self::Open),
            (Self::Open | Self::Uncollectible, Event::Pay) => Some(Self::Paid),
            (Self::Open | Self::Uncollectible, Event::Void) => Some(Self::Void),
            (Self::Open, Event::GiveUp) => Some(Self::Uncollectible),
            _ => None,
        }
    }
}

/// Why it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The merchant made it.
    Manual,
    /// A subscription began.
    SubscriptionCreate,
    /// A new period began.
    SubscriptionCycle,
    /// A subscription was changed.
    SubscriptionUpdate,
}

impl Reason {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::SubscriptionCreate => "subscription_create",
            Self::SubscriptionCycle => "subscription_cycle",
            Self::SubscriptionUpdate => "subscription_update",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Manual, Self::SubscriptionCreate, Self::SubscriptionCycle, Self::SubscriptionUpdate];
        all.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// How an invoice is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// From the customer's card, by itself.
    ChargeAutomatically,
    /// It is sent; the customer pays by a day.
    SendInvoice,
}

impl Collection {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChargeAutomatically => "charge_automatically",
            Self::SendInvoice => "send_invoice",
        }
    }

    /// Of what is to be paid by a day, or not.
    pub const fn of(is_sent: bool) -> Self {
        if is_sent { Self::SendInvoice } else { Self::ChargeAutomatically }
    }
}

/// What is asked for of a total, and the customer's balance afterwards. A balance is nothing, or less: a credit.
pub const fn settle_credit(total: i64, balance: i64) -> (i64, i64) {
    let after = total.saturating_add(balance);
    if after > 0 { (after, 0) } else { (0, after) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All twenty transitions.
    #[test]
    fn every_transition_is_decided() {
        let events = [Event::Finalize, Event::Pay, Event::Void, Event::GiveUp];
        let rows = [
            (Status::Draft, [Some(Status::Open), None, None, None]),
            (Status::Open, [None, Some(Status::Paid), Some(Status::Void), Some(Status::Uncollectible)]),
            (Status::Paid, [None; 4]),
            (Status::Uncollectible, [None, Some(Status::Paid), Some(Status::Void), None]),
            (Status::Void, [None; 4]),
        ];
        for (status, expected) in rows {
            assert_eq!(events.map(|event| status.after(event)), expected, "{status:?}");
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Reason::parse("subscription_cycle"), Some(Reason::SubscriptionCycle));
        assert_eq!(Reason::parse("quote_accept"), None);
    }

    proptest! {
        /// Nothing is made and nothing lost: what is asked for and what the balance lost are the total.
        #[test]
        fn credit_is_conserved(total in -99_999_999_i64..100_000_000, balance in -99_999_999_i64..=0) {
            let (due, after) = settle_credit(total, balance);
            prop_assert_eq!(due + after, total + balance);
            prop_assert!(due >= 0 && after <= 0 && (due == 0 || after == 0));
        }
    }
}
