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

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct TestCard {
    /// The number. Public: these are no accounts.
    pub number: &'static str,
    /// In a few words, for people.
    pub what: &'static str,
    /// For the simulator.
    pub behaviour: Behaviour,
}

const fn card(number: &'static str, what: &'static str, behaviour: Behaviour) -> TestCard {
    TestCard { number, what, behaviour }
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
];

/// All that the simulator keeps of a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardFacts {
    /// What the issuer does.
    pub behaviour: Behaviour,
    /// The last four digits.
    pub last_four: Text<4>,
}

impl CardFacts {
    /// Looks a number up; `None` if it has less than four digits. The number is not kept.
    pub fn of(pan: &str) -> Option<Self> {
        let last_four = Text::new(pan.get(pan.len().checked_sub(4)?..)?)?;
        let listed = TEST_CARDS.iter().find(|card| card.number == pan).map(|card| card.behaviour);
        let behaviour = match listed {
            Some(behaviour) => behaviour,
            None if kura_platform::redact::luhn(pan.as_bytes()) => Behaviour::Approve,
            None => Behaviour::NoSuchCard,
        };
        Some(Self { behaviour, last_four })
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
