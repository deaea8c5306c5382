//! The acquirer's rules: what becomes of each request, given the books.

use kura_iso8583::{CvcResult, Reference};
use time::OffsetDateTime;

use super::entry::{Booked, Change, Entry, Kind, ReferenceText};
use super::{Books, code};
use crate::cards::{Behaviour, Demand};
use crate::request::{FollowUp, Payment, Request};
use crate::text::Text;

/// What a decision needs from outside.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    /// Now.
    pub now: OffsetDateTime,
    /// A fresh approval code.
    pub approval_code: Text<6>,
    /// The authentication that the request proves, as the directory has it.
    pub proven: Option<Text<36>>,
}

/// What an answer says, beyond what it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Field 39.
    pub response_code: Text<2>,
    /// Field 38.
    pub approval_code: Option<Text<6>>,
    /// Field 48.
    pub cvc_result: Option<CvcResult>,
    /// Field 44 says `reversed`.
    pub reversed: bool,
}

impl Answer {
    /// A code and nothing else.
    #[allow(clippy::expect_used)] // Every code in this crate is a constant of two characters, and every one is tested.
    pub fn bare(response_code: &str) -> Self {
        let response_code = Text::new(response_code).expect("two characters");
        Self { response_code, approval_code: None, cvc_result: None, reversed: false }
    }

    fn approved(approval_code: Option<Text<6>>) -> Self {
        Self { approval_code, ..Self::bare(code::APPROVED) }
    }

    /// What was answered when this was booked, as far as the books have it.
    fn again(booked: &Booked) -> Self {
        let cvc_result = booked.cvc_result.and_then(|letter| CvcResult::parse(letter.as_str()));
        Self { approval_code: booked.approval_code, cvc_result, ..Self::bare(booked.response_code.as_str()) }
    }
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// To be applied and written down before the answer leaves.
    pub change: Option<Change>,
    /// `None`: the network stays silent.
    pub answer: Option<Answer>,
}

impl Decision {
    fn only(answer: Answer) -> Self {
        Self { change: None, answer: Some(answer) }
    }

    fn code(response_code: &str) -> Self {
        Self::only(Answer::bare(response_code))
    }
}

impl Books {
    /// Decides. The same request against the same books and draws is decided alike.
    pub fn decide(&self, request: &Request, draws: &Draws) -> Decision {
        match request {
            Request::Payment(payment) if payment.capture => self.decide_payment(Kind::Purchase, payment, draws),
            Request::Payment(payment) => self.decide_payment(Kind::Authorization, payment, draws),
            Request::Verification(payment) => self.decide_payment(Kind::Verification, payment, draws),
            Request::Capture(follow_up) => self.decide_capture(follow_up, draws),
            Request::Refund(follow_up) => self.decide_refund(follow_up, draws),
            Request::Void(follow_up) => self.decide_void(follow_up, draws),
            Request::TakeBack(follow_up) => self.decide_take_back(follow_up, draws),
            Request::Inquiry { original, merchant } => self.decide_inquiry(*original, *merchant),
            Request::NetworkManagement => Decision::code(code::APPROVED),
        }
    }

    fn decide_payment(&self, kind: Kind, payment: &Payment, draws: &Draws) -> Decision {
        if payment.card.behaviour == Behaviour::NeverArrives {
            return Decision { change: None, answer: None };
        }
        // Also the answer to what was taken back before it arrived.
        if self.find(payment.reference).is_some() {
            return Decision::code(code::DUPLICATE);
        }
        let proof = draws.proven.filter(|authentication| !self.proofs.contains(authentication));
        let answer = issuer_answer(kind, payment, self.is_wanting(payment, proof.is_some()), draws);
        let booked = Booked {
            reference: ReferenceText(payment.reference),
            original_reference: None,
            kind,
            merchant: payment.merchant,
            amount_minor: payment.money.amount_minor,
            currency: payment.money.currency,
            response_code: answer.response_code,
            approval_code: answer.approval_code,
            cvc_result: answer.cvc_result.and_then(|result| Text::new(result.as_str())),
            authentication: proof,
            last_four: Some(payment.card.last_four),
            at: draws.now,
        };
        let lost = payment.card.behaviour == Behaviour::AnswerLost && booked.is_approved();
        Decision { change: Some(Change::Booked(booked)), answer: (!lost).then_some(answer) }
    }

    /// Whether the issuer wants a proof that isn't there.
    fn is_wanting(&self, payment: &Payment, proven: bool) -> bool {
        let is_set_up = || self.set_up.contains(&(payment.merchant, payment.card.last_four));
        !proven
            && match payment.card.demand {
                Demand::Never => false,
                Demand::OnSession => !payment.merchant_initiated,
                Demand::UnlessSetUp => !(payment.merchant_initiated && is_set_up()),
                Demand::Always => true,
            }
    }

    fn decide_capture(&self, follow_up: &FollowUp, draws: &Draws) -> Decision {
        if let Some(before) = self.find(follow_up.reference) {
            return if is_repeat(before, Kind::Capture, follow_up) {
                Decision::only(Answer::again(&before.booked))
            } else {
                Decision::code(code::DUPLICATE)
            };
        }
        let answer = match self.original_of(follow_up) {
            Err(code) => Answer::bare(code),
            Ok(original) if original.booked.kind != Kind::Authorization || !stands(original) => {
                Answer::bare(code::INVALID)
            }
            Ok(original) if !fits(follow_up, original, original.booked.amount_minor, original.captured_minor) => {
                Answer::bare(code::AMOUNT)
            }
            Ok(original) => Answer::approved(original.booked.approval_code),
        };
        self.booked(Kind::Capture, follow_up, answer, draws)
    }

    fn decide_refund(&self, follow_up: &FollowUp, draws: &Draws) -> Decision {
        if self.find(follow_up.reference).is_some() {
            return Decision::code(code::DUPLICATE);
        }
        let answer = match self.original_of(follow_up) {
            Err(code) => Answer::bare(code),
            Ok(original) if !stands(original) || original.captured_minor == 0 => Answer::bare(code::INVALID),
            // What its issuer took back is not there to be given back.
            Ok(original) if !fits(follow_up, original, original.captured_minor, self.gone(original)) => {
                Answer::bare(code::AMOUNT)
            }
            Ok(_) => Answer::approved(Some(draws.approval_code)),
        };
        self.booked(Kind::Refund, follow_up, answer, draws)
    }

    fn decide_void(&self, follow_up: &FollowUp, draws: &Draws) -> Decision {
        if self.find(follow_up.reference).is_some() {
            return Decision::code(code::DUPLICATE);
        }
        let answer = match self.original_of(follow_up) {
            Err(code) => Answer::bare(code),
            Ok(original) if original.reversed => Answer::bare(code::NO_ACTION),
            Ok(original) => match self.obstacle(follow_up, original) {
                Some(code) => Answer::bare(code),
                None => Answer::approved(original.booked.approval_code),
            },
        };
        self.booked(Kind::Reversal, follow_up, answer, draws)
    }

    fn decide_take_back(&self, follow_up: &FollowUp, draws: &Draws) -> Decision {
        let Some(original) = self.find(follow_up.original) else {
            return foreseen(follow_up, draws);
        };
        if original.booked.merchant != follow_up.merchant {
            return Decision::code(code::NOT_FOUND);
        }
        if original.reversed || !original.booked.is_approved() {
            return Decision::code(code::APPROVED);
        }
        if let Some(code) = self.obstacle(follow_up, original) {
            return Decision::code(code);
        }
        let change = Change::Reversed { reference: ReferenceText(follow_up.original), at: draws.now };
        Decision { change: Some(change), answer: Some(Answer::approved(None)) }
    }

    fn decide_inquiry(&self, original: Reference, merchant: Text<15>) -> Decision {
        match self.find(original).filter(|entry| entry.booked.merchant == merchant) {
            None => Decision::code(code::NOT_FOUND),
            Some(entry) if entry.booked.is_foreseen() => {
                Decision::only(Answer { reversed: true, ..Answer::bare(code::NOT_FOUND) })
            }
            Some(entry) => Decision::only(Answer { reversed: entry.reversed, ..Answer::again(&entry.booked) }),
        }
    }

    /// The message that a follow-up is about, if it is this merchant's, arrived, and has the card that was sent.
    fn original_of(&self, follow_up: &FollowUp) -> Result<&Entry, &'static str> {
        let original = self
            .find(follow_up.original)
            .filter(|entry| entry.booked.merchant == follow_up.merchant && !entry.booked.is_foreseen())
            .ok_or(code::NOT_FOUND)?;
        match follow_up.last_four {
            Some(last_four) if original.booked.last_four != Some(last_four) => Err(code::NO_CARD),
            _ => Ok(original),
        }
    }

    /// Why an entry can't be taken back whole, if so: other things were built on it since.
    fn obstacle(&self, follow_up: &FollowUp, original: &Entry) -> Option<&'static str> {
        let booked = &original.booked;
        if !booked.is_approved() {
            return Some(code::INVALID);
        }
        if (booked.amount_minor, booked.currency) != (follow_up.money.amount_minor, follow_up.money.currency) {
            return Some(code::AMOUNT);
        }
        let free = match booked.kind {
            Kind::Authorization => original.captured_minor == 0,
            Kind::Purchase => self.gone(original) == 0,
            Kind::Refund | Kind::Verification => true,
            Kind::Reversal => false,
            Kind::Capture => booked
                .original()
                .and_then(|parent| self.find(parent))
                .is_some_and(|parent| self.gone(parent).saturating_add(booked.amount_minor) <= parent.captured_minor),
        };
        (!free).then_some(code::INVALID)
    }

    /// Books a follow-up with its answer, yes or no, so that a repeat of its reference is known.
    fn booked(&self, kind: Kind, follow_up: &FollowUp, answer: Answer, draws: &Draws) -> Decision {
        let original = self.find(follow_up.original).filter(|entry| entry.booked.merchant == follow_up.merchant);
        let booked = Booked {
            kind,
            response_code: answer.response_code,
            approval_code: answer.approval_code,
            last_four: original.and_then(|original| original.booked.last_four),
            ..base(follow_up, draws)
        };
        // A message that is about itself is about nothing: without this it would read as one that was foreseen.
        let to_itself = follow_up.original == follow_up.reference;
        let booked = Booked { original_reference: booked.original_reference.filter(|_| !to_itself), ..booked };
        Decision { change: Some(Change::Booked(booked)), answer: Some(answer) }
    }
}

/// A reversal overtook its original: its place is taken, and it is declined when it arrives.
fn foreseen(follow_up: &FollowUp, draws: &Draws) -> Decision {
    let booked = Booked { reference: ReferenceText(follow_up.original), ..base(follow_up, draws) };
    Decision { change: Some(Change::Booked(booked)), answer: Some(Answer::approved(None)) }
}

fn base(follow_up: &FollowUp, draws: &Draws) -> Booked {
    Booked {
        reference: ReferenceText(follow_up.reference),
        original_reference: Some(ReferenceText(follow_up.original)),
        kind: Kind::Reversal,
        merchant: follow_up.merchant,
        amount_minor: follow_up.money.amount_minor,
        currency: follow_up.money.currency,
        response_code: Answer::bare(code::APPROVED).response_code,
        approval_code: None,
        cvc_result: None,
        authentication: None,
        last_four: None,
        at: draws.now,
    }
}

/// What the card's issuer says.
fn issuer_answer(kind: Kind, payment: &Payment, wants_proof: bool, draws: &Draws) -> Answer {
    let cvc_result = payment.cvc_sent.then_some(CvcResult::Match);
    let declined = |code| Answer { cvc_result, ..Answer::bare(code) };
    if (payment.money.amount_minor == 0) != (kind == Kind::Verification) {
        return declined(code::AMOUNT);
    }
    match payment.card.behaviour {
        Behaviour::NoSuchCard => Answer::bare(code::NO_CARD),
        Behaviour::WrongCvc => Answer { cvc_result: Some(CvcResult::NoMatch), ..Answer::bare(code::CVC) },
        Behaviour::Decline(_) if wants_proof => declined(code::AUTHENTICATE),
        Behaviour::Decline(code) => declined(code),
        _ if is_over(payment.expiry, draws.now) => declined(code::EXPIRED),
        _ if wants_proof => declined(code::AUTHENTICATE),
        Behaviour::Approve | Behaviour::AnswerLost | Behaviour::NeverArrives => {
            Answer { cvc_result, ..Answer::approved(Some(draws.approval_code)) }
        }
    }
}

/// Whether the card's last month is over. Four digits YYMM of this century.
fn is_over(expiry: Text<4>, now: OffsetDateTime) -> bool {
    let this_month = (now.year() % 100) * 100 + i32::from(u8::from(now.month()));
    expiry.as_str().parse::<i32>().is_ok_and(|expiry| expiry < this_month)
}

fn stands(entry: &Entry) -> bool {
    entry.booked.is_approved() && !entry.reversed
}

/// More than nothing, in the same currency, and within what is left.
fn fits(follow_up: &FollowUp, original: &Entry, bound_minor: u64, used_minor: u64) -> bool {
    follow_up.money.currency == original.booked.currency
        && follow_up.money.amount_minor > 0
        && used_minor.saturating_add(follow_up.money.amount_minor) <= bound_minor
}

fn is_repeat(before: &Entry, kind: Kind, follow_up: &FollowUp) -> bool {
    let booked = &before.booked;
    booked.kind == kind
        && booked.merchant == follow_up.merchant
        && booked.original() == Some(follow_up.original)
        && (booked.amount_minor, booked.currency) == (follow_up.money.amount_minor, follow_up.money.currency)
}
