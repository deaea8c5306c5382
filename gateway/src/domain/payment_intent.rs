//! The PaymentIntent's state machine: pure, exhaustive, the only place that decides what may follow what.
//!
//! Sums are part of the state, so that "never captured more than authorized, never refunded more than captured" is decided
//! here and checked by the database a second time. While an attempt is under way its kind and amount stand in
//! [`InFlight`]; nothing else can begin until it has settled. Refunds run beside each other: their sum is what counts.
//!
//! A card's way is confirm, perhaps authenticate, perhaps a challenge, authorize, perhaps capture. Money that the shopper brings
//! (a store, a bank, a wallet) is asked for, waited for, and then there: it is never authorized first.

/// Stripe's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No usable card yet, or the last one was declined.
    RequiresPaymentMethod,
    /// A card is named, nobody asked for the money.
    RequiresConfirmation,
    /// The shopper has something to do: 3-D Secure, or bring the money.
    RequiresAction,
    /// An attempt is under way, or its end is not known yet.
    Processing,
    /// Authorized, not captured.
    RequiresCapture,
    /// Over; nothing was taken.
    Canceled,
    /// The money was taken.
    Succeeded,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::RequiresPaymentMethod,
        Self::RequiresConfirmation,
        Self::RequiresAction,
        Self::Processing,
        Self::RequiresCapture,
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
            Self::RequiresCapture => "requires_capture",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// When the money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CaptureMethod {
    /// With the authorization, in one message.
    Automatic,
    /// By a later capture.
    Manual,
}

impl CaptureMethod {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Automatic, Self::Manual].into_iter().find(|method| method.as_str() == word)
    }
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InFlight {
    /// The issuer is being asked who uses the card.
    Authenticate,
    /// The issuer asks the shopper.
    Challenge,
    /// The network is being asked to take the shopper's money.
    Request,
    /// The shopper is to bring it.
    Deposit,
    /// The whole amount is being asked for.
    Authorize,
    /// So much is being captured.
    Capture(i64),
    /// The authorization is being taken back.
    Void,
}

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The status.
    pub status: Status,
    /// What is asked for.
    pub amount: i64,
    /// When it is taken.
    pub capture_method: CaptureMethod,
    /// Authorized and not captured.
    pub capturable: i64,
    /// Captured.
    pub received: i64,
    /// Given back, as far as is known.
    pub refunded: i64,
    /// Being given back; the end is not known.
    pub refunding: i64,
    /// Set while [`Status::Processing`] or [`Status::RequiresAction`].
    pub in_flight: Option<InFlight>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The network said yes.
    Approved,
    /// The network said no.
    Declined,
    /// It did not happen: never arrived, or was taken back.
    Reversed,
    /// It was never sent. The card has not been tried, and the same confirmation may be asked for again.
    Unsent,
}

/// How a payment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A card, asked for the money at once.
    Card,
    /// A card, whose holder is asked for first.
    CardAuthenticated,
    /// Money that the shopper brings.
    Deposit,
}

/// What is asked of a payment, or happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A payment method was named (or, before confirmation, another one).
    NameMethod,
    /// Ask for the money.
    Confirm(Way),
    /// The network wants to know who it is before it says yes.
    StepUp,
    /// The issuer could not be asked, and the card has not been tried.
    NotAsked,
    /// The issuer wants to ask the shopper.
    Challenged,
    /// The issuer knows, or could not be asked and does not insist.
    Authenticated,
    /// It is not the cardholder, or the shopper gave up.
    AuthenticationFailed,
    /// The network will take the shopper's money.
    Requested,
    /// It will not, or its time is over, or the shopper refused.
    RequestEnded,
    /// The shopper brought it.
    Deposited,
    /// The shopper brought it after all, when it was given up.
    DepositedLate,
    /// Capture so much of what was authorized.
    Capture(i64),
    /// Call it off.
    Cancel,
    /// Give so much back.
    Refund(i64),
    /// The attempt that was under way ended.
    Settled(End),
    /// A refund of so much ended.
    RefundSettled(i64, End),
}

/// Why an event can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Not in this status.
    #[error("not possible in this status")]
    Status,
    /// Below one.
    #[error("amount too small")]
    AmountTooSmall,
    /// More than there is.
    #[error("amount too large")]
    AmountTooLarge,
    /// Nothing was captured.
    #[error("nothing captured")]
    NothingCaptured,
    /// All was given back, or is being given back.
    #[error("nothing left to refund")]
    NothingLeft,
}

impl Progress {
    /// A new payment.
    pub const fn new(amount: i64, capture_method: CaptureMethod, method_named: bool) -> Self {
        let status = if method_named { Status::RequiresConfirmation } else { Status::RequiresPaymentMethod };
        Self { status, amount, capture_method, capturable: 0, received: 0, refunded: 0, refunding: 0, in_flight: None }
    }

    /// What can still be given back.
    pub const fn refundable(&self) -> i64 {
        self.received - self.refunded - self.refunding
    }

    /// Whether amount, card and customer may still change.
    pub const fn is_open(&self) -> bool {
        matches!(self.status, Status::RequiresPaymentMethod | Status::RequiresConfirmation)
    }

    /// What follows.
    ///
    /// # Errors
    /// [`Refusal`], and nothing changes.
    pub fn after(self, event: Event) -> Result<Self, Refusal> {
        match (event, self.in_flight) {
            (Event::NameMethod, _) if self.is_open() => Ok(Self { status: Status::RequiresConfirmation, ..self }),
            (Event::Confirm(way), _) if self.status == Status::RequiresConfirmation => Ok(self.start(match way {
                Way::Card => InFlight::Authorize,
                Way::CardAuthenticated => InFlight::Authenticate,
                Way::Deposit => InFlight::Request,
            })),
            (Event::StepUp, Some(InFlight::Authorize)) => Ok(self.start(InFlight::Authenticate)),
            (Event::NotAsked, Some(InFlight::Authenticate)) => Ok(self.rest(Status::RequiresConfirmation)),
            (Event::Challenged, Some(InFlight::Authenticate)) => Ok(self.wait(InFlight::Challenge)),
            (Event::Authenticated, Some(InFlight::Authenticate | InFlight::Challenge)) => {
                Ok(self.start(InFlight::Authorize))
            }
            (Event::AuthenticationFailed, Some(InFlight::Authenticate | InFlight::Challenge))
            | (Event::RequestEnded, Some(InFlight::Request | InFlight::Deposit)) => {
                Ok(self.rest(Status::RequiresPaymentMethod))
            }
            (Event::Requested, Some(InFlight::Request)) => Ok(self.wait(InFlight::Deposit)),
            // The network's word may be here before its answer to the request.
            (Event::Deposited, Some(InFlight::Request | InFlight::Deposit)) => {
                Ok(Self { received: self.amount, ..self.rest(Status::Succeeded) })
            }
            // It was given up, and nothing else has paid it since.
            (Event::DepositedLate, _) if self.is_open() => {
                Ok(Self { received: self.amount, ..self.rest(Status::Succeeded) })
            }
            (Event::Capture(amount), _) => self.capture(amount),
            (Event::Cancel, _) => self.cancel(),
            (Event::Refund(amount), _) => self.refund(amount),
            (Event::Settled(end), _) => self.settled(end),
            (Event::RefundSettled(amount, end), _) => self.refund_settled(amount, end),
            (
                Event::NameMethod
                | Event::Confirm(_)
                | Event::StepUp
                | Event::NotAsked
                | Event::Challenged
                | Event::Authenticated
                | Event::AuthenticationFailed
                | Event::Requested
                | Event::RequestEnded
                | Event::Deposited
                | Event::DepositedLate,
                _,
            ) => Err(Refusal::Status),
        }
    }

    const fn start(self, what: InFlight) -> Self {
        Self { status: Status::Processing, in_flight: Some(what), ..self }
    }

    const fn wait(self, what: InFlight) -> Self {
        Self { status: Status::RequiresAction, in_flight: Some(what), ..self }
    }

    const fn rest(self, status: Status) -> Self {
        Self { status, in_flight: None, ..self }
    }

    fn capture(self, amount: i64) -> Result<Self, Refusal> {
        match self.status {
            Status::RequiresCapture if amount < 1 => Err(Refusal::AmountTooSmall),
            Status::RequiresCapture if amount > self.capturable => Err(Refusal::AmountTooLarge),
            Status::RequiresCapture => Ok(self.start(InFlight::Capture(amount))),
            _ => Err(Refusal::Status),
        }
    }

    const fn cancel(self) -> Result<Self, Refusal> {
        match self.status {
            Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {
                Ok(self.rest(Status::Canceled))
            }
            Status::RequiresCapture => Ok(self.start(InFlight::Void)),
            Status::Processing | Status::Canceled | Status::Succeeded => Err(Refusal::Status),
        }
    }

    const fn refund(self, amount: i64) -> Result<Self, Refusal> {
        match self.status {
            Status::Succeeded if amount < 1 => Err(Refusal::AmountTooSmall),
            Status::Succeeded if self.refundable() == 0 => Err(Refusal::NothingLeft),
            Status::Succeeded if amount > self.refundable() => Err(Refusal::AmountTooLarge),
            Status::Succeeded => Ok(Self { refunding: self.refunding + amount, ..self }),
            _ => Err(Refusal::NothingCaptured),
        }
    }

    const fn settled(self, end: End) -> Result<Self, Refusal> {
        let Some(in_flight) = self.in_flight else { return Err(Refusal::Status) };
        Ok(match (in_flight, end) {
            (InFlight::Authorize, End::Approved) => match self.capture_method {
                CaptureMethod::Automatic => Self { received: self.amount, ..self.rest(Status::Succeeded) },
                CaptureMethod::Manual => Self { capturable: self.amount, ..self.rest(Status::RequiresCapture) },
            },
            (InFlight::Authorize, End::Declined | End::Reversed) => self.rest(Status::RequiresPaymentMethod),
            (InFlight::Authorize, End::Unsent) => self.rest(Status::RequiresConfirmation),
            (InFlight::Capture(amount), End::Approved) => {
                Self { received: amount, capturable: 0, ..self.rest(Status::Succeeded) }
            }
            (InFlight::Void, End::Approved) => Self { capturable: 0, ..self.rest(Status::Canceled) },
            (InFlight::Capture(_) | InFlight::Void, End::Declined | End::Reversed | End::Unsent) => {
                self.rest(Status::RequiresCapture)
            }
            (InFlight::Authenticate | InFlight::Challenge | InFlight::Request | InFlight::Deposit, _) => {
                return Err(Refusal::Status);
            }
        })
    }

    const fn refund_settled(self, amount: i64, end: End) -> Result<Self, Refusal> {
        if amount < 1 || amount > self.refunding {
            return Err(Refusal::AmountTooLarge);
        }
        let refunding = self.refunding - amount;
        Ok(match end {
            End::Approved => Self { refunding, refunded: self.refunded + amount, ..self },
            End::Declined | End::Reversed | End::Unsent => Self { refunding, ..self },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends() -> impl Strategy<Value = End> {
        prop_oneof![Just(End::Approved), Just(End::Declined), Just(End::Reversed), Just(End::Unsent)]
    }

    fn ways() -> impl Strategy<Value = Way> {
        prop_oneof![Just(Way::Card), Just(Way::CardAuthenticated), Just(Way::Deposit)]
    }

    fn events() -> impl Strategy<Value = Event> {
        let amounts = -1..1_500_i64;
        prop_oneof![
            Just(Event::NameMethod),
            ways().prop_map(Event::Confirm),
            Just(Event::StepUp),
            Just(Event::NotAsked),
            Just(Event::Challenged),
            Just(Event::Authenticated),
            Just(Event::AuthenticationFailed),
            Just(Event::Requested),
            Just(Event::RequestEnded),
            Just(Event::Deposited),
            Just(Event::DepositedLate),
            amounts.clone().prop_map(Event::Capture),
            Just(Event::Cancel),
            amounts.clone().prop_map(Event::Refund),
            ends().prop_map(Event::Settled),
            (amounts, ends()).prop_map(|(amount, end)| Event::RefundSettled(amount, end)),
        ]
    }

    fn methods() -> impl Strategy<Value = CaptureMethod> {
        prop_oneof![Just(CaptureMethod::Automatic), Just(CaptureMethod::Manual)]
    }

    proptest! {
        /// Whatever happens in whatever order: never more captured than authorized, never more refunded than captured,
        /// the end stays the end, and an attempt is under way exactly while the status says so.
        #[test]
        fn no_order_of_events_breaks_the_sums(method in methods(), amount in 1..1_000_i64, named in any::<bool>(),
                                              events in prop::collection::vec(events(), 0..60)) {
            let mut now = Progress::new(amount, method, named);
            for event in events {
                let Ok(next) = now.after(event) else { continue };
                prop_assert!(next.received >= 0 && next.capturable >= 0);
                prop_assert!(next.received + next.capturable <= next.amount);
                prop_assert!(next.refunded >= 0 && next.refunding >= 0);
                prop_assert!(next.refunded + next.refunding <= next.received);
                prop_assert!(next.received >= now.received, "what was captured stays captured");
                let under_way = matches!(next.status, Status::Processing | Status::RequiresAction);
                prop_assert_eq!(next.in_flight.is_some(), under_way);
                if matches!(now.status, Status::Canceled | Status::Succeeded) {
                    prop_assert_eq!(next.status, now.status);
                }
                if next.received > now.received {
                    let brings = matches!(event, Event::Settled(End::Approved) | Event::Deposited | Event::DepositedLate);
                    prop_assert!(brings, "money comes from approvals and deposits only");
                }
                now = next;
            }
        }

        /// A second confirmation, capture or cancellation can't begin while one is under way.
        #[test]
        fn one_attempt_at_a_time(method in methods(), amount in 1..1_000_i64) {
            for way in [Way::Card, Way::CardAuthenticated, Way::Deposit] {
                let now = Progress::new(amount, method, true).after(Event::Confirm(way)).unwrap();
                for event in [Event::NameMethod, Event::Confirm(way), Event::Capture(1), Event::Cancel, Event::Refund(1)] {
                    prop_assert!(now.after(event).is_err());
                }
            }
        }
    }

    fn run(start: Progress, events: &[Event]) -> Progress {
        events.iter().fold(start, |now, event| now.after(*event).unwrap())
    }

    /// The three usual lives of a payment.
    #[test]
    fn payments_live_as_stripe_tells_it() {
        let automatic = Progress::new(1_000, CaptureMethod::Automatic, true);
        let paid = run(automatic, &[Event::Confirm(Way::Card), Event::Settled(End::Approved)]);
        assert_eq!((paid.status, paid.received), (Status::Succeeded, 1_000));
        let returned = run(paid, &[Event::Refund(400), Event::RefundSettled(400, End::Approved)]);
        assert_eq!((returned.status, returned.refunded, returned.refundable()), (Status::Succeeded, 400, 600));

        let manual = Progress::new(1_000, CaptureMethod::Manual, true);
        let held = run(manual, &[Event::Confirm(Way::Card), Event::Settled(End::Approved)]);
        assert_eq!((held.status, held.capturable, held.received), (Status::RequiresCapture, 1_000, 0));
        let part = run(held, &[Event::Capture(300), Event::Settled(End::Approved)]);
        assert_eq!((part.status, part.capturable, part.received), (Status::Succeeded, 0, 300));
        assert_eq!(part.after(Event::Refund(301)), Err(Refusal::AmountTooLarge));
        let voided = run(held, &[Event::Cancel, Event::Settled(End::Approved)]);
        assert_eq!((voided.status, voided.capturable), (Status::Canceled, 0));

        let declined = run(automatic, &[Event::Confirm(Way::Card), Event::Settled(End::Declined)]);
        assert_eq!(declined.status, Status::RequiresPaymentMethod);
        assert_eq!(
            declined.after(Event::Confirm(Way::Card)),
            Err(Refusal::Status),
            "a declined card is not tried again unnamed"
        );
        let again = run(declined, &[Event::NameMethod, Event::Confirm(Way::Card), Event::Settled(End::Approved)]);
        assert_eq!(again.status, Status::Succeeded);
    }

    /// What the shopper does in between: prove who it is, bring the money, or neither.
    #[test]
    fn shoppers_have_their_part() {
        let new = Progress::new(1_000, CaptureMethod::Automatic, true);
        let asked = run(new, &[Event::Confirm(Way::Card), Event::StepUp, Event::Challenged]);
        assert_eq!((asked.status, asked.in_flight), (Status::RequiresAction, Some(InFlight::Challenge)));
        assert_eq!(asked.after(Event::Deposited), Err(Refusal::Status), "a challenge brings no money");
        let paid = run(asked, &[Event::Authenticated, Event::Settled(End::Approved)]);
        assert_eq!((paid.status, paid.received), (Status::Succeeded, 1_000));
        assert_eq!(asked.after(Event::AuthenticationFailed).unwrap().status, Status::RequiresPaymentMethod);
        assert_eq!(asked.after(Event::Cancel).unwrap().status, Status::Canceled);

        let waiting = run(new, &[Event::Confirm(Way::Deposit), Event::Requested]);
        assert_eq!((waiting.status, waiting.in_flight), (Status::RequiresAction, Some(InFlight::Deposit)));
        assert_eq!(waiting.after(Event::Authenticated), Err(Refusal::Status), "a deposit is not authorized");
        assert_eq!(waiting.after(Event::RequestEnded).unwrap().status, Status::RequiresPaymentMethod);
        let early = run(new, &[Event::Confirm(Way::Deposit), Event::Deposited]);
        let brought = waiting.after(Event::Deposited).unwrap();
        assert_eq!((brought.status, brought.received, brought.refundable()), (Status::Succeeded, 1_000, 1_000));
        assert_eq!(early, brought, "the word may be here before the answer");
        assert_eq!(brought.after(Event::Deposited), Err(Refusal::Status), "once");
        assert_eq!(brought.after(Event::DepositedLate), Err(Refusal::Status), "once");
        let given_up = waiting.after(Event::RequestEnded).unwrap();
        assert_eq!(given_up.after(Event::DepositedLate).unwrap().status, Status::Succeeded, "late, but it is there");
        let called_off = waiting.after(Event::Cancel).unwrap();
        assert_eq!(called_off.after(Event::DepositedLate), Err(Refusal::Status), "nobody waits for it");
    }

    /// A refund whose end is unknown keeps its amount reserved, and gives it free when it turns out not to have happened.
    #[test]
    fn pending_refunds_are_counted() {
        let paid = run(
            Progress::new(100, CaptureMethod::Automatic, true),
            &[Event::Confirm(Way::Card), Event::Settled(End::Approved)],
        );
        let pending = run(paid, &[Event::Refund(100)]);
        assert_eq!(pending.after(Event::Refund(1)), Err(Refusal::NothingLeft));
        let failed = run(pending, &[Event::RefundSettled(100, End::Reversed)]);
        assert_eq!(failed.refundable(), 100);
        assert!(paid.after(Event::RefundSettled(1, End::Approved)).is_err(), "no refund without its start");
    }

    /// Words survive.
    #[test]
    fn words_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("paid"), None);
    }
}
