//! What becomes of each authentication: a question in, a change and an answer out. Pure; neither clock, randomness nor I/O.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cards::{CardFacts, Enrolment};
use crate::journal::Kept;
use crate::request::Payment;
use crate::text::Text;

/// Wrong codes until the issuer gives up.
const TRIES: u8 = 3;
/// How long a proof counts.
const PROOF_LIFE: time::Duration = time::Duration::hours(24);

/// Transaction status (EMV 3-D Secure 2.2, table A.1), and one of our own for ranges that take no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It is the cardholder.
    Y,
    /// The attempt is acknowledged.
    A,
    /// It is not the cardholder.
    N,
    /// The issuer won't have it.
    R,
    /// It could not be found out.
    U,
    /// The shopper is asked.
    C,
    /// The range takes no part.
    #[serde(rename = "not_enrolled")]
    NotEnrolled,
}

impl Status {
    /// Whether the issuer vouches.
    pub const fn is_proof(self) -> bool {
        matches!(self, Self::Y | Self::A)
    }

    /// Electronic commerce indicator: Visa's and most others', or Mastercard's.
    pub const fn eci(self, mastercard: bool) -> Option<&'static str> {
        match (self, mastercard) {
            (Self::Y, false) => Some("05"),
            (Self::A, false) => Some("06"),
            (Self::U, false) => Some("07"),
            (Self::Y, true) => Some("02"),
            (Self::A, true) => Some("01"),
            (Self::U, true) => Some("00"),
            (Self::N | Self::R | Self::C | Self::NotEnrolled, _) => None,
        }
    }
}

/// What is asked. The number itself ended with [`CardFacts`].
#[derive(Debug, Clone)]
pub struct Ask {
    /// The asker's own id of it: asked twice, it is asked once.
    pub id: String,
    /// Whose card.
    pub card: CardFacts,
    /// For whom.
    pub merchant: Text<15>,
    /// As the shopper knows it.
    pub merchant_name: Option<String>,
    /// Minor units and currency; nothing where the card is only saved.
    pub money: Option<(u64, Text<3>)>,
    /// Whether the merchant wants the shopper to be asked.
    pub challenge: bool,
    /// Where the shopper goes afterwards.
    pub return_url: String,
}

/// What a decision needs from outside.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    /// Now.
    pub now: OffsetDateTime,
    /// A fresh id.
    pub transaction_id: Text<36>,
    /// A fresh one-time code.
    pub code: Text<6>,
    /// A fresh authentication value.
    pub value: [u8; 20],
    /// How long a shopper has.
    pub challenge_life: Duration,
}

/// An authentication as it was begun; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// The asker's id.
    pub id: String,
    /// The access control server's id.
    pub transaction_id: Text<36>,
    /// For whom.
    pub merchant: Text<15>,
    /// As the shopper knows it.
    pub merchant_name: Option<String>,
    /// The card's last four digits.
    pub last_four: Text<4>,
    /// Whose scheme.
    pub mastercard: bool,
    /// Minor units.
    pub amount_minor: Option<u64>,
    /// Three lower-case letters.
    pub currency: Option<Text<3>>,
    /// Where the shopper goes afterwards.
    pub return_url: String,
    /// What the issuer said at once.
    pub status: Status,
    /// With a Y or an A: base64 of 20 bytes.
    pub value: Option<String>,
    /// With a C: the code that the shopper is sent.
    pub code: Option<Text<6>>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// With a C: until when it is waited for.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It began, and may have ended at once.
    Begun(Box<Begun>),
    /// A wrong code was entered.
    Wrong {
        /// In which.
        transaction_id: Text<36>,
    },
    /// The challenge is over.
    Ended {
        /// Which.
        transaction_id: Text<36>,
        /// How.
        status: Status,
        /// With a Y.
        value: Option<String>,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
}

/// A change that doesn't fit: the journal it came from is not of these cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// An id that is there already.
    #[error("an authentication is begun twice")]
    Twice,
    /// A change of one that isn't there, or is over.
    #[error("an authentication is not there, or is over")]
    Missing,
}

/// An authentication as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// As it was begun.
    pub begun: Begun,
    /// Where it stands.
    pub status: Status,
    /// When the issuer vouches.
    pub value: Option<String>,
    /// Wrong codes so far.
    pub wrong: u8,
}

impl Case {
    /// Whether the shopper was asked.
    pub fn was_challenge(&self) -> bool {
        self.begun.status == Status::C
    }

    /// Electronic commerce indicator.
    pub fn eci(&self) -> Option<&'static str> {
        self.status.eci(self.begun.mastercard)
    }

    fn is_same(&self, ask: &Ask) -> bool {
        let Begun { merchant, last_four, amount_minor, currency, .. } = &self.begun;
        (*merchant, *last_four, amount_minor.zip(*currency)) == (ask.merchant, ask.card.last_four, ask.money)
    }
}

/// What became of an entered code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// There is no such challenge.
    Missing,
    /// It was wrong, and there are so many more tries.
    Wrong(u8),
    /// The challenge is over.
    Over,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Cases {
    by_transaction: HashMap<Text<36>, Case>,
    by_id: HashMap<String, Text<36>>,
}

impl Kept for Cases {
    type Change = Change;
    type Inconsistent = Inconsistent;

    fn apply(&mut self, change: &Change) -> Result<(), Inconsistent> {
        match change {
            Change::Begun(begun) => {
                if self.by_id.contains_key(&begun.id) || self.by_transaction.contains_key(&begun.transaction_id) {
                    return Err(Inconsistent::Twice);
                }
                let Begun { status, value, .. } = Begun::clone(begun);
                self.by_id.insert(begun.id.clone(), begun.transaction_id);
                let case = Case { begun: Begun::clone(begun), status, value, wrong: 0 };
                self.by_transaction.insert(begun.transaction_id, case);
            }
            Change::Wrong { transaction_id } => {
                let case = self.waiting(*transaction_id)?;
                case.wrong = case.wrong.saturating_add(1);
            }
            Change::Ended { transaction_id, status, value, .. } => {
                let case = self.waiting(*transaction_id)?;
                (case.status, case.value) = (*status, value.clone());
            }
        }
        Ok(())
    }
}

impl Cases {
    /// The one that the asker calls so.
    pub fn find(&self, id: &str) -> Option<&Case> {
        self.by_transaction.get(self.by_id.get(id)?)
    }

    /// The one of this page.
    pub fn find_transaction(&self, transaction_id: Text<36>) -> Option<&Case> {
        self.by_transaction.get(&transaction_id)
    }

    /// A new question, or one that was asked before. `None` when it was asked before and was another one.
    pub fn ask(&self, ask: &Ask, draws: &Draws) -> (Option<Change>, Option<()>) {
        if let Some(case) = self.find(&ask.id) {
            return if case.is_same(ask) { (self.lapse(case, draws.now), Some(())) } else { (None, None) };
        }
        let status = match ask.card.enrolment {
            Enrolment::None => Status::NotEnrolled,
            Enrolment::Challenge => Status::C,
            Enrolment::OnRequest if ask.challenge => Status::C,
            Enrolment::Frictionless | Enrolment::OnRequest => Status::Y,
            Enrolment::Attempt => Status::A,
            Enrolment::Unavailable => Status::U,
            Enrolment::Failed => Status::N,
            Enrolment::Rejected => Status::R,
        };
        let begun = Begun {
            id: ask.id.clone(),
            transaction_id: draws.transaction_id,
            merchant: ask.merchant,
            merchant_name: ask.merchant_name.clone(),
            last_four: ask.card.last_four,
            mastercard: ask.card.mastercard,
            amount_minor: ask.money.map(|(amount_minor, _)| amount_minor),
            currency: ask.money.map(|(_, currency)| currency),
            return_url: ask.return_url.clone(),
            status,
            value: status.is_proof().then(|| base64(&draws.value)),
            code: (status == Status::C).then_some(draws.code),
            at: draws.now,
            until: draws.now + draws.challenge_life,
        };
        (Some(Change::Begun(Box::new(begun))), Some(()))
    }

    /// What time alone does: a challenge that nobody answered has failed.
    pub fn lapse(&self, case: &Case, now: OffsetDateTime) -> Option<Change> {
        let lapsed = case.status == Status::C && case.begun.until <= now;
        lapsed.then(|| ended(case, Status::N, None, now))
    }

    /// The shopper entered a code.
    pub fn enter(&self, transaction_id: Text<36>, code: &str, draws: &Draws) -> (Option<Change>, Tried) {
        let Some(case) = self.find_transaction(transaction_id) else { return (None, Tried::Missing) };
        if case.status != Status::C {
            return (None, Tried::Over);
        }
        if let Some(lapsed) = self.lapse(case, draws.now) {
            return (Some(lapsed), Tried::Over);
        }
        if case.begun.code.is_some_and(|expected| expected.as_str() == code) {
            return (Some(ended(case, Status::Y, Some(base64(&draws.value)), draws.now)), Tried::Over);
        }
        match (TRIES - 1).saturating_sub(case.wrong) {
            0 => (Some(ended(case, Status::N, None, draws.now)), Tried::Over),
            left => (Some(Change::Wrong { transaction_id }), Tried::Wrong(left)),
        }
    }

    /// The shopper gave up.
    pub fn cancel(&self, transaction_id: Text<36>, now: OffsetDateTime) -> (Option<Change>, Tried) {
        match self.find_transaction(transaction_id) {
            None => (None, Tried::Missing),
            Some(case) if case.status == Status::C => (Some(ended(case, Status::N, None, now)), Tried::Over),
            Some(_) => (None, Tried::Over),
        }
    }

    /// The authentication that a payment refers to, if it proves just that: this card, merchant and amount, not long ago. What
    /// was proven over no amount proves none.
    pub fn proven(&self, payment: &Payment, now: OffsetDateTime) -> Option<Text<36>> {
        let proof = payment.proof.as_ref()?;
        let case = self.find_transaction(proof.transaction_id?)?;
        let begun = &case.begun;
        let money = (payment.money.amount_minor > 0).then_some((payment.money.amount_minor, payment.money.currency));
        let holds = case.status.is_proof()
            && case.value.is_some()
            && proof.value == case.value
            && case.eci() == Some(proof.eci.as_str())
            && (begun.merchant, begun.last_four) == (payment.merchant, payment.card.last_four)
            && begun.amount_minor.zip(begun.currency) == money
            && now < begun.until + PROOF_LIFE;
        holds.then_some(begun.transaction_id)
    }

    fn waiting(&mut self, transaction_id: Text<36>) -> Result<&mut Case, Inconsistent> {
        let case = self.by_transaction.get_mut(&transaction_id).ok_or(Inconsistent::Missing)?;
        if case.status == Status::C { Ok(case) } else { Err(Inconsistent::Missing) }
    }
}

fn ended(case: &Case, status: Status, value: Option<String>, at: OffsetDateTime) -> Change {
    Change::Ended { transaction_id: case.begun.transaction_id, status, value, at }
}

fn base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::cards::TEST_CARDS;
    use crate::request::{Money, Proof};

    const CHALLENGED: &str = "4000000000003220";

    fn draws(number: u8) -> Draws {
        Draws {
            now: datetime!(2026-11-25 10:00 UTC),
            transaction_id: Text::new(&format!("{number:036}")).unwrap(),
            code: Text::new("123456").unwrap(),
            value: [number; 20],
            challenge_life: Duration::from_secs(600),
        }
    }

    fn ask(id: &str, pan: &str, challenge: bool) -> Ask {
        Ask {
            id: id.to_owned(),
            card: CardFacts::of(pan).unwrap(),
            merchant: Text::new("SHOP00000000001").unwrap(),
            merchant_name: None,
            money: Some((1500, Text::new("jpy").unwrap())),
            challenge,
            return_url: "http://localhost/return".to_owned(),
        }
    }

    /// Applies what was decided, by way of the journal's text.
    fn take(cases: &mut Cases, change: Option<Change>) {
        let Some(change) = change else { return };
        let read: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        assert_eq!(read, change);
        cases.apply(&read).unwrap();
        assert!(cases.apply(&Change::Begun(Box::new(begun_of(cases)))).is_err(), "nothing is begun twice");
    }

    fn begun_of(cases: &Cases) -> Begun {
        cases.by_transaction.values().next().unwrap().begun.clone()
    }

    fn begin(cases: &mut Cases, ask: &Ask, draws: &Draws) -> Status {
        let (change, asked) = cases.ask(ask, draws);
        assert!(asked.is_some());
        take(cases, change);
        cases.find(&ask.id).unwrap().status
    }

    /// Each card of the table is answered as it says, a number outside it takes no part; proof and indicator go together.
    #[test]
    fn each_card_is_answered_as_the_table_says() {
        let (mut cases, mut seen) = (Cases::default(), Vec::new());
        for (index, card) in TEST_CARDS.iter().enumerate() {
            let number = u8::try_from(index).unwrap();
            let status = begin(&mut cases, &ask(card.number, card.number, false), &draws(number));
            let case = cases.find(card.number).unwrap();
            assert_eq!(case.value.is_some(), status.is_proof(), "{}", card.number);
            assert_eq!(case.begun.code.is_some(), status == Status::C);
            assert_eq!(case.eci().is_some(), status.is_proof() || status == Status::U);
            seen.push((card.number, status));
        }
        let of = |number: &str| seen.iter().find(|(known, _)| *known == number).unwrap().1;
        assert_eq!(of("4242424242424242"), Status::NotEnrolled);
        assert_eq!(of(CHALLENGED), Status::C);
        assert_eq!(of("4000000000003055"), Status::Y);
        assert_eq!(of("4000000000006033"), Status::Y);
        assert_eq!(of("4000000000006041"), Status::N);
        assert_eq!(of("4000000000006058"), Status::A);
        assert_eq!(of("4000000000006066"), Status::U);
        assert_eq!(of("4000000000006074"), Status::R);
        assert_eq!(cases.find("4000000000006033").unwrap().eci(), Some("05"));
        assert_eq!(cases.find("5200000000006087").unwrap().eci(), Some("02"));
        assert_eq!(begin(&mut cases, &ask("wanted", "4000000000003055", true), &draws(200)), Status::C);
    }

    /// Asked again it is what it was; asked again about something else it is refused.
    #[test]
    fn one_id_is_one_question() {
        let mut cases = Cases::default();
        begin(&mut cases, &ask("a", CHALLENGED, false), &draws(1));
        assert_eq!(cases.ask(&ask("a", CHALLENGED, false), &draws(2)), (None, Some(())));
        assert_eq!(cases.ask(&ask("a", "4242424242424242", false), &draws(2)), (None, None));
        let other = Ask { money: None, ..ask("a", CHALLENGED, false) };
        assert_eq!(cases.ask(&other, &draws(2)), (None, None));
    }

    /// The right code proves; three wrong ones, giving up, and waiting too long fail; what is over stays as it is.
    #[test]
    fn a_challenge_ends_once() {
        let mut cases = Cases::default();
        for (number, id) in [(1, "right"), (2, "wrong"), (3, "given up"), (4, "late")] {
            assert_eq!(begin(&mut cases, &ask(id, CHALLENGED, false), &draws(number)), Status::C);
        }
        let transaction = |number| draws(number).transaction_id;
        let enter = |cases: &mut Cases, number, code, draws: &Draws| {
            let (change, tried) = cases.enter(transaction(number), code, draws);
            take(cases, change);
            tried
        };
        assert_eq!(enter(&mut cases, 1, "000000", &draws(1)), Tried::Wrong(2));
        assert_eq!(enter(&mut cases, 1, "123456", &draws(1)), Tried::Over);
        assert_eq!(cases.find("right").unwrap().status, Status::Y);
        assert!(cases.find("right").unwrap().value.is_some());
        for left in [Tried::Wrong(2), Tried::Wrong(1), Tried::Over] {
            assert_eq!(enter(&mut cases, 2, "000000", &draws(2)), left);
        }
        assert_eq!(enter(&mut cases, 2, "123456", &draws(2)), Tried::Over);
        assert_eq!(cases.find("wrong").unwrap().status, Status::N);
        let (change, _) = cases.cancel(transaction(3), draws(3).now);
        take(&mut cases, change);
        assert_eq!(cases.cancel(transaction(3), draws(3).now), (None, Tried::Over));
        assert_eq!(cases.find("given up").unwrap().status, Status::N);
        let late = Draws { now: draws(4).now + Duration::from_secs(600), ..draws(4) };
        assert_eq!(enter(&mut cases, 4, "123456", &late), Tried::Over);
        assert_eq!(cases.find("late").unwrap().status, Status::N);
        assert_eq!(cases.enter(transaction(9), "123456", &draws(1)).1, Tried::Missing);
        assert_eq!(cases.cancel(transaction(9), draws(1).now).1, Tried::Missing);
    }

    /// A proof is of one card, merchant, amount and value; anything else of it is none.
    #[test]
    fn a_proof_is_of_one_payment() {
        let mut cases = Cases::default();
        begin(&mut cases, &ask("a", "4000000000006033", false), &draws(1));
        begin(&mut cases, &Ask { money: None, ..ask("kept", "4000000000006033", false) }, &draws(2));
        let payment = |number: u8, pan: &str, amount_minor: u64| Payment {
            reference: kura_iso8583::Reference::new("000000000001").unwrap(),
            capture: true,
            merchant: Text::new("SHOP00000000001").unwrap(),
            money: Money { amount_minor, currency: Text::new("jpy").unwrap() },
            card: CardFacts::of(pan).unwrap(),
            expiry: Text::new("3012").unwrap(),
            cvc_sent: false,
            merchant_initiated: false,
            proof: Some(Proof {
                eci: Text::new("05").unwrap(),
                value: Some(base64(&[number; 20])),
                transaction_id: Some(draws(number).transaction_id),
            }),
        };
        let good = payment(1, "4000000000006033", 1500);
        let now = draws(1).now;
        let proven = |payment: &Payment| cases.proven(payment, now);
        assert_eq!(proven(&good), Some(draws(1).transaction_id));
        assert_eq!(proven(&payment(2, "4000000000006033", 0)), Some(draws(2).transaction_id));
        assert_eq!(proven(&payment(2, "4000000000006033", 1500)), None);
        assert_eq!(proven(&payment(1, "4000000000006033", 0)), None);
        assert_eq!(proven(&payment(1, "4000000000006033", 1501)), None);
        assert_eq!(proven(&payment(1, "4242424242424242", 1500)), None);
        assert_eq!(proven(&payment(3, "4000000000006033", 1500)), None);
        assert_eq!(proven(&Payment { merchant: Text::new("SHOP00000000002").unwrap(), ..good.clone() }), None);
        assert_eq!(proven(&Payment { proof: None, ..good.clone() }), None);
        let forged = |proof: Proof| proven(&Payment { proof: Some(proof), ..good.clone() });
        let proof = good.proof.clone().unwrap();
        assert_eq!(forged(Proof { value: Some(base64(&[9; 20])), ..proof.clone() }), None);
        assert_eq!(forged(Proof { value: None, ..proof.clone() }), None);
        assert_eq!(forged(Proof { eci: Text::new("06").unwrap(), ..proof.clone() }), None);
        assert_eq!(forged(Proof { transaction_id: None, ..proof }), None);
        assert_eq!(cases.proven(&good, now + time::Duration::hours(25)), None);
    }
}
