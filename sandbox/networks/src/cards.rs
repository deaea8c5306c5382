//! The test cards: one table of what the issuer behind each number does.
//!
//! Any other number that passes the Luhn check is approved.

use crate::text::Text;

/// What becomes of an authorization or purchase with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// 00.
    Approve,
    /// Declined with this response code.
    Decline(&'static str),
    /// 82: the CVC never matches.
    WrongCvc,
    /// Lost on the way: never booked, never answered.
    NeverArrives,
    /// Approved and booked, and the answer is lost on the way back.
    AnswerLost,
    /// 14: no such account. For numbers that fail the Luhn check.
    NoSuchCard,
}

/// What the access control server behind a card's range does (EMV 3-D Secure, transaction status).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolment {
    /// The range takes no part.
    None,
    /// Y without a question.
    Frictionless,
    /// C: the shopper is asked.
    Challenge,
    /// C where the merchant wants it, else Y.
    OnRequest,
    /// A: it vouches for the attempt.
    Attempt,
    /// U: it can't tell.
    Unavailable,
    /// N.
    Failed,
    /// R.
    Rejected,
}

/// When the issuer declines with 1A for want of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Never.
    Never,
    /// While the cardholder is there.
    OnSession,
    /// Also when the merchant charges by itself, unless the card was once proven to this merchant.
    UnlessSetUp,
    /// Always.
    Always,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct TestCard {
    /// The number. Public: these are no accounts.
    pub number: &'static str,
    /// In a few words, for people.
    pub what: &'static str,
    /// For the simulator.
    pub behaviour: Behaviour,
    /// For the access control server.
    pub enrolment: Enrolment,
    /// For the issuer.
    pub demand: Demand,
}

const fn card(number: &'static str, what: &'static str, behaviour: Behaviour) -> TestCard {
    TestCard { number, what, behaviour, enrolment: Enrolment::None, demand: Demand::Never }
}

/// One that takes part in 3-D Secure.
const fn secured(number: &'static str, what: &'static str, enrolment: Enrolment, demand: Demand) -> TestCard {
    TestCard { number, what, behaviour: Behaviour::Approve, enrolment, demand }
}

/// One that is asked for a proof and declined all the same.
const fn secured_and_declined(number: &'static str, what: &'static str, code: &'static str) -> TestCard {
    let behaviour = Behaviour::Decline(code);
    TestCard { number, what, behaviour, enrolment: Enrolment::Challenge, demand: Demand::OnSession }
}

/// Every number that is treated by name.
pub const TEST_CARDS: &[TestCard] = &[
    card("4242424242424242", "approved (Visa)", Behaviour::Approve),
    card("5555555555554444", "approved (Mastercard)", Behaviour::Approve),
    card("378282246310005", "approved (American Express)", Behaviour::Approve),
    card("3566002020360505", "approved (JCB)", Behaviour::Approve),
    card("4000000000000002", "declined, no reason given", Behaviour::Decline("05")),
    card("4000000000009995", "declined, insufficient funds", Behaviour::Decline("51")),
    card("4000000000009987", "declined, lost card", Behaviour::Decline("41")),
    card("4000000000009979", "declined, stolen card", Behaviour::Decline("43")),
    card("4000000000000069", "declined, expired card", Behaviour::Decline("54")),
    card("4000000000000127", "declined, security code doesn't match", Behaviour::WrongCvc),
    card("4000000000000119", "declined, processing error", Behaviour::Decline("96")),
    card("4000000000006009", "the message never arrives, and nothing answers", Behaviour::NeverArrives),
    card("4000000000006017", "approved, and the answer is lost", Behaviour::AnswerLost),
    secured(
        "4000000000003220",
        "3-D Secure: the bank asks the shopper; without it declined with 1A",
        Enrolment::Challenge,
        Demand::OnSession,
    ),
    secured(
        "4000002500003155",
        "3-D Secure: the same, and also for a charge without the shopper unless the card was set up with it",
        Enrolment::Challenge,
        Demand::UnlessSetUp,
    ),
    secured(
        "4000002760003184",
        "3-D Secure: the same, for every charge, set up or not",
        Enrolment::Challenge,
        Demand::Always,
    ),
    secured(
        "4000000000003055",
        "3-D Secure: not required; asks the shopper if the merchant wants it",
        Enrolment::OnRequest,
        Demand::Never,
    ),
    secured_and_declined("4000008260003178", "3-D Secure required, then declined for insufficient funds", "51"),
    secured_and_declined("4000008400001629", "3-D Secure required, then declined without a reason", "05"),
    secured(
        "4000000000006033",
        "3-D Secure required, and proven without a question",
        Enrolment::Frictionless,
        Demand::OnSession,
    ),
    secured(
        "4000000000006041",
        "3-D Secure: the bank says that it isn’t the cardholder",
        Enrolment::Failed,
        Demand::Never,
    ),
    secured("4000000000006058", "3-D Secure: the bank acknowledges the attempt", Enrolment::Attempt, Demand::OnSession),
    secured("4000000000006066", "3-D Secure: the bank can’t be asked", Enrolment::Unavailable, Demand::Never),
    secured("4000000000006074", "3-D Secure: the bank won’t have it", Enrolment::Rejected, Demand::Never),
    secured(
        "5200000000006087",
        "3-D Secure required, proven without a question (Mastercard)",
        Enrolment::Frictionless,
        Demand::OnSession,
    ),
];

/// All that the simulator keeps of a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardFacts {
    /// What the issuer does.
    pub behaviour: Behaviour,
    /// What the access control server does.
    pub enrolment: Enrolment,
    /// When the issuer wants a proof.
    pub demand: Demand,
    /// Whose scheme: its electronic commerce indicators are other ones.
    pub mastercard: bool,
    /// The last four digits.
    pub last_four: Text<4>,
}

impl CardFacts {
    /// Looks a number up; `None` if it has less than four digits. The number is not kept.
    pub fn of(pan: &str) -> Option<Self> {
        let last_four = Text::new(pan.get(pan.len().checked_sub(4)?..)?)?;
        let mastercard = pan.starts_with(['2', '5']);
        let unlisted =
            |behaviour| Self { behaviour, enrolment: Enrolment::None, demand: Demand::Never, mastercard, last_four };
        Some(match TEST_CARDS.iter().find(|card| card.number == pan) {
            Some(TestCard { behaviour, enrolment, demand, .. }) => {
                Self { enrolment: *enrolment, demand: *demand, ..unlisted(*behaviour) }
            }
            None if kura_platform::redact::luhn(pan.as_bytes()) => unlisted(Behaviour::Approve),
            None => unlisted(Behaviour::NoSuchCard),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card form checks the Luhn digit, so a test card that failed it could never be tried.
    #[test]
    fn every_test_card_passes_the_luhn_check_and_comes_once() {
        for card in TEST_CARDS {
            assert!(kura_platform::redact::luhn(card.number.as_bytes()), "{}", card.number);
            assert_eq!(TEST_CARDS.iter().filter(|other| other.number == card.number).count(), 1, "{}", card.number);
        }
    }

    /// The table decides for its numbers, the check digit for the others, and the last four are all that is kept.
    #[test]
    fn numbers_are_looked_up_and_forgotten() {
        for card in TEST_CARDS {
            let facts = CardFacts::of(card.number).unwrap();
            assert_eq!(facts.behaviour, card.behaviour);
            assert!(!format!("{facts:?}").contains(card.number));
        }
        assert_eq!(CardFacts::of("4111111111111111").unwrap().behaviour, Behaviour::Approve);
        assert_eq!(CardFacts::of("4111111111111112").unwrap().behaviour, Behaviour::NoSuchCard);
        assert_eq!(CardFacts::of("4111111111111111").unwrap().last_four, Text::new("1111").unwrap());
        assert_eq!(CardFacts::of("411"), None);
    }
}
