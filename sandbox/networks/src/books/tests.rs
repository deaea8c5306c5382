//! The acquirer's rules, one by one, without a server.

use kura_iso8583::{CvcResult, Reference};
use time::macros::datetime;

use super::*;
use crate::cards::{Behaviour, CardFacts, Demand, TEST_CARDS};
use crate::journal::Kept as _;
use crate::request::{FollowUp, Money, Payment, Request};

mod disputes;

const VISA: &str = "4242424242424242";

fn reference(name: &str) -> Reference {
    Reference::new(&format!("{name:0>12}")).unwrap()
}

fn merchant(name: &str) -> Text<15> {
    Text::new(&format!("{name:0>15}")).unwrap()
}

fn yen(amount_minor: u64) -> Money {
    Money { amount_minor, currency: Text::new("jpy").unwrap() }
}

fn draws() -> Draws {
    Draws { now: datetime!(2026-11-22 10:11:12.5 UTC), approval_code: Text::new("A1B2C3").unwrap(), proven: None }
}

fn payment(name: &str, pan: &str, amount_minor: u64, capture: bool) -> Request {
    Request::Payment(Payment {
        reference: reference(name),
        capture,
        merchant: merchant("SHOP"),
        money: yen(amount_minor),
        card: CardFacts::of(pan).unwrap(),
        expiry: Text::new("3012").unwrap(),
        cvc_sent: true,
        merchant_initiated: false,
        proof: None,
    })
}

fn follow_up(name: &str, original: &str, amount_minor: u64) -> FollowUp {
    FollowUp {
        reference: reference(name),
        original: reference(original),
        merchant: merchant("SHOP"),
        money: yen(amount_minor),
        last_four: None,
    }
}

fn capture(name: &str, original: &str, amount_minor: u64) -> Request {
    Request::Capture(follow_up(name, original, amount_minor))
}

fn refund(name: &str, original: &str, amount_minor: u64) -> Request {
    Request::Refund(follow_up(name, original, amount_minor))
}

fn void(name: &str, original: &str, amount_minor: u64) -> Request {
    Request::Void(follow_up(name, original, amount_minor))
}

/// With the original's own reference, as a sender does that has no other.
fn take_back(original: &str, amount_minor: u64) -> Request {
    Request::TakeBack(follow_up(original, original, amount_minor))
}

fn inquiry(original: &str) -> Request {
    Request::Inquiry { original: reference(original), merchant: merchant("SHOP") }
}

/// Books that remember every change as the journal's text, and are checked against a replay of it at the end.
#[derive(Default)]
struct Kept {
    books: Books,
    journal: Vec<String>,
}

impl Kept {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        let decision = self.books.decide(request, &draws());
        if let Some(change) = &decision.change {
            self.books.apply(change).unwrap();
            self.journal.push(serde_json::to_string(change).unwrap());
        }
        decision.answer
    }

    /// The response code; `--` for silence.
    fn code(&mut self, request: &Request) -> String {
        self.answer(request).map_or("--".to_owned(), |answer| answer.response_code.to_string())
    }

    fn totals(&self) -> Totals {
        self.books
            .totals()
            .find(|(currency, _)| currency.as_str() == "jpy")
            .map(|(_, totals)| totals)
            .unwrap_or_default()
    }

    fn entry(&self, name: &str) -> &Entry {
        self.books.find(reference(name)).unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut again = Books::default();
        for line in &self.journal {
            again.apply(&serde_json::from_str(line).unwrap()).unwrap();
        }
        assert_eq!(again.entries, self.books.entries);
        assert_eq!(again.totals, self.books.totals);
    }
}

fn totals(authorized: u64, captured: u64, refunded: u64, reversed: u64, count: u64) -> Totals {
    Totals { authorized, captured, refunded, reversed, count }
}

/// Every test card does what the table says, is booked with its answer, and an inquiry gives that answer again.
#[test]
fn every_test_card_behaves_as_listed() {
    for card in TEST_CARDS {
        let mut kept = Kept::default();
        let answer = kept.answer(&payment("1", card.number, 1000, true));
        let code = answer.map(|answer| answer.response_code.to_string());
        let (expected, booked, cvc) = match card.behaviour {
            _ if card.demand != Demand::Never => (Some("1A"), Some("1A"), Some(CvcResult::Match)),
            Behaviour::Approve => (Some("00"), Some("00"), Some(CvcResult::Match)),
            Behaviour::Decline(code) => (Some(code), Some(code), Some(CvcResult::Match)),
            Behaviour::WrongCvc => (Some("82"), Some("82"), Some(CvcResult::NoMatch)),
            Behaviour::NeverArrives => (None, None, None),
            Behaviour::AnswerLost => (None, Some("00"), Some(CvcResult::Match)),
            Behaviour::NoSuchCard => unreachable!(),
        };
        assert_eq!(code.as_deref(), expected, "{}", card.what);
        assert_eq!(
            kept.books.find(reference("1")).map(|entry| entry.booked.response_code.to_string()).as_deref(),
            booked
        );
        let asked = kept.answer(&inquiry("1")).unwrap();
        assert_eq!(asked.response_code.as_str(), booked.unwrap_or("25"), "{}", card.what);
        assert_eq!(asked.cvc_result, cvc);
        assert_eq!(asked.approval_code.is_some(), booked == Some("00"));
        assert!(!asked.reversed);
        if let Some(answer) = answer {
            assert_eq!(answer, asked);
        }
    }
}

/// A number that fails the check digit is no card, an old card is over, nothing costs nothing; no CVC means no CVC result.
#[test]
fn other_cards_are_judged_by_check_digit_expiry_and_amount() {
    let judged = |change: &dyn Fn(&mut Payment)| {
        let Request::Payment(mut asked) = payment("1", "4111111111111111", 1000, false) else { unreachable!() };
        change(&mut asked);
        Kept::default().answer(&Request::Payment(asked)).unwrap()
    };
    assert_eq!(judged(&|_| {}).response_code.as_str(), "00");
    assert_eq!(judged(&|asked| asked.card = CardFacts::of("4111111111111112").unwrap()).response_code.as_str(), "14");
    assert_eq!(judged(&|asked| asked.money.amount_minor = 0).response_code.as_str(), "13");
    assert_eq!(judged(&|asked| asked.expiry = Text::new("2610").unwrap()).response_code.as_str(), "54");
    assert_eq!(judged(&|asked| asked.expiry = Text::new("2611").unwrap()).response_code.as_str(), "00");
    assert_eq!(judged(&|asked| asked.cvc_sent = false).cvc_result, None);
    assert_eq!(judged(&|_| {}).cvc_result, Some(CvcResult::Match));
}

/// What is settled row by row adds up to what stands, and each row names its message and what it is about.
#[test]
fn what_is_settled_adds_up_to_what_stands() {
    let mut kept = Kept::default();
    for request in [
        payment("1", VISA, 1000, true),
        payment("2", VISA, 700, false),
        payment("3", "4000000000000002", 900, true),
        capture("4", "2", 500),
        refund("5", "1", 300),
        take_back("5", 300),
        refund("6", "1", 200),
        payment("7", VISA, 400, true),
        void("8", "7", 400),
        take_back("9", 100),
        payment("10", VISA, 100, false),
        void("11", "10", 100),
    ] {
        kept.code(&request);
    }
    let rows: Vec<_> = kept.books.settled(0).to_vec();
    let name = |reference: Reference| reference.as_str().trim_start_matches('0').to_owned();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.sequence, row.movement.as_str(), name(row.reference), row.original.map(name), row.amount_minor))
        .collect();
    let row = |sequence, kind, reference: &str, original: Option<&str>, amount| {
        (sequence, kind, reference.to_owned(), original.map(str::to_owned), amount)
    };
    assert_eq!(
        shown,
        [
            row(1, "payment", "1", None, 1000),
            row(2, "payment", "4", Some("2"), 500),
            row(3, "refund", "5", Some("1"), 300),
            row(4, "refund_reversal", "5", Some("5"), 300),
            row(5, "refund", "6", Some("1"), 200),
            row(6, "payment", "7", None, 400),
            row(7, "reversal", "8", Some("7"), 400),
        ]
    );
    let signed = |row: &Settled| {
        i64::try_from(row.amount_minor).unwrap()
            * match row.movement {
                Movement::Payment | Movement::RefundReversal | Movement::ChargebackReversal => 1,
                Movement::Refund | Movement::Reversal | Movement::Chargeback => -1,
            }
    };
    let stands = kept.totals();
    assert_eq!(rows.iter().map(signed).sum::<i64>(), i64::try_from(stands.captured - stands.refunded).unwrap());
    assert_eq!(kept.books.settled(5).len(), 2);
    assert!(kept.books.settled(99).is_empty());
}

/// A reference moves money once, whatever comes again under it: payments are declined, a capture gets its answer again.
#[test]
fn a_reference_is_never_booked_twice() {
    let mut kept = Kept::default();
    assert_eq!(kept.code(&payment("1", VISA, 1000, false)), "00");
    for again in [
        payment("1", VISA, 1000, false),
        payment("1", VISA, 500, true),
        capture("1", "1", 1000),
        refund("1", "1", 1000),
        void("1", "1", 1000),
    ] {
        assert_eq!(kept.code(&again), "94");
    }
    let first = kept.answer(&capture("2", "1", 600));
    assert_eq!(kept.answer(&capture("2", "1", 600)), first);
    assert_eq!(first.unwrap().approval_code, kept.entry("1").booked.approval_code);
    assert_eq!(kept.code(&capture("2", "1", 601)), "94");
    assert_eq!(kept.code(&refund("3", "1", 100)), "00");
    assert_eq!(kept.code(&refund("3", "1", 100)), "94");
    assert_eq!(kept.books.len(), 3);
    assert_eq!(kept.totals(), totals(1000, 600, 100, 0, 1));
}

/// A declined capture is remembered too: its repeat gets the same no, even when it would be possible by then.
#[test]
fn a_declined_advice_stays_declined() {
    let mut kept = Kept::default();
    assert_eq!(kept.code(&capture("2", "1", 1000)), "25");
    assert_eq!(kept.code(&payment("1", VISA, 1000, false)), "00");
    assert_eq!(kept.code(&capture("2", "1", 1000)), "25");
    assert_eq!(kept.totals(), totals(1000, 0, 0, 0, 1));
}

/// Captures never go over what was authorized, in one or in many.
#[test]
fn captures_are_bounded_by_the_authorization() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, false));
    assert_eq!(kept.code(&capture("2", "1", 1001)), "13");
    assert_eq!(kept.code(&capture("3", "1", 0)), "13");
    assert_eq!(kept.code(&capture("4", "1", 700)), "00");
    assert_eq!(kept.code(&capture("5", "1", 301)), "13");
    assert_eq!(kept.code(&capture("6", "1", 300)), "00");
    assert_eq!(kept.code(&capture("7", "1", 1)), "13");
    assert_eq!(kept.totals(), totals(1000, 1000, 0, 0, 1));
}

/// What can't be captured: a purchase, a declined or reversed authorization, another currency, another merchant's.
#[test]
fn only_a_standing_authorization_is_captured() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, true));
    kept.code(&payment("2", "4000000000000002", 1000, false));
    kept.code(&payment("3", VISA, 1000, false));
    kept.code(&void("4", "3", 1000));
    kept.code(&payment("5", VISA, 1000, false));
    for (name, original) in [("11", "1"), ("12", "2"), ("13", "3"), ("14", "4")] {
        assert_eq!(kept.code(&capture(name, original, 100)), "12", "{original}");
    }
    let dollars = Money { amount_minor: 100, currency: Text::new("usd").unwrap() };
    assert_eq!(kept.code(&Request::Capture(FollowUp { money: dollars, ..follow_up("15", "5", 0) })), "13");
    let other = FollowUp { merchant: merchant("OTHER"), ..follow_up("16", "5", 100) };
    assert_eq!(kept.code(&Request::Capture(other)), "25");
    let other_card = FollowUp { last_four: Text::new("1111"), ..follow_up("17", "5", 100) };
    assert_eq!(kept.code(&Request::Capture(other_card)), "14");
    let same_card = FollowUp { last_four: Text::new("4242"), ..follow_up("18", "5", 100) };
    assert_eq!(kept.code(&Request::Capture(same_card)), "00");
    assert_eq!(kept.totals().captured, 1100);
}

/// Refunds never go over what was captured, of a purchase and of a captured authorization.
#[test]
fn refunds_are_bounded_by_what_was_captured() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, true));
    assert_eq!(kept.code(&refund("2", "1", 1001)), "13");
    assert_eq!(kept.code(&refund("3", "1", 0)), "13");
    assert_eq!(kept.code(&refund("4", "1", 400)), "00");
    assert_eq!(kept.code(&refund("5", "1", 601)), "13");
    assert_eq!(kept.code(&refund("6", "1", 600)), "00");
    assert_eq!(kept.code(&refund("7", "1", 1)), "13");
    kept.code(&payment("8", VISA, 1000, false));
    assert_eq!(kept.code(&refund("9", "8", 100)), "12");
    kept.code(&capture("10", "8", 500));
    assert_eq!(kept.code(&refund("11", "8", 501)), "13");
    assert_eq!(kept.code(&refund("12", "8", 500)), "00");
    assert_eq!(kept.code(&refund("13", "99", 500)), "25");
    assert_eq!(kept.totals(), totals(2000, 1500, 1500, 0, 2));
}

/// What was taken back gives no refund; what was declined neither; nor does a refund.
#[test]
fn nothing_is_refunded_that_does_not_stand() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, true));
    assert_eq!(kept.code(&void("2", "1", 1000)), "00");
    assert_eq!(kept.code(&refund("3", "1", 100)), "12");
    kept.code(&payment("4", "4000000000009995", 1000, true));
    assert_eq!(kept.code(&refund("5", "4", 100)), "12");
    kept.code(&payment("6", VISA, 1000, true));
    kept.code(&refund("7", "6", 100));
    assert_eq!(kept.code(&refund("8", "7", 100)), "12");
    assert_eq!(kept.totals(), totals(1000, 1000, 100, 1000, 2));
}

/// A void takes back all of an authorization that was not captured, once; an inquiry tells.
#[test]
fn a_void_takes_back_an_authorization_once() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, false));
    assert_eq!(kept.code(&void("2", "1", 999)), "13");
    assert_eq!(kept.code(&void("3", "1", 1000)), "00");
    assert_eq!(kept.code(&void("3", "1", 1000)), "94");
    assert_eq!(kept.code(&void("4", "1", 1000)), "21");
    assert_eq!(kept.code(&void("5", "3", 1000)), "12");
    assert_eq!(kept.code(&void("6", "99", 1000)), "25");
    assert_eq!(kept.code(&capture("7", "1", 1000)), "12");
    let asked = kept.answer(&inquiry("1")).unwrap();
    assert_eq!((asked.response_code.as_str(), asked.reversed), ("00", true));
    assert_eq!(kept.code(&inquiry("3")), "00");
    assert_eq!(kept.code(&inquiry("4")), "21");
    assert_eq!(kept.totals(), totals(0, 0, 0, 1000, 1));
}

/// What was captured isn't voided, nor a purchase that was refunded; the capture or the refund can be taken back first.
#[test]
fn what_was_built_upon_is_not_taken_back() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, false));
    kept.code(&capture("2", "1", 600));
    assert_eq!(kept.code(&void("3", "1", 1000)), "12");
    assert_eq!(kept.code(&take_back("1", 1000)), "12");
    kept.code(&refund("4", "1", 500));
    assert_eq!(kept.code(&take_back("2", 600)), "12");
    assert_eq!(kept.code(&take_back("4", 500)), "00");
    assert_eq!(kept.entry("1").refunded_minor, 0);
    assert_eq!(kept.code(&take_back("2", 600)), "00");
    assert_eq!(kept.entry("1").captured_minor, 0);
    assert_eq!(kept.code(&void("5", "1", 1000)), "00");
    assert_eq!(kept.totals(), totals(0, 0, 0, 2100, 1));
}

/// A reversal advice after its original takes it back; it is repeated until answered, and the repeats change nothing.
#[test]
fn a_reversal_advice_after_the_original_takes_it_back() {
    let mut kept = Kept::default();
    assert_eq!(kept.code(&payment("1", "4000000000006017", 1000, true)), "--");
    assert_eq!(kept.totals(), totals(1000, 1000, 0, 0, 1));
    assert_eq!(kept.code(&take_back("1", 999)), "13");
    for _ in 0..3 {
        assert_eq!(kept.code(&take_back("1", 1000)), "00");
        assert_eq!(kept.totals(), totals(0, 0, 0, 1000, 1));
    }
    assert_eq!(kept.books.len(), 1);
    assert!(kept.entry("1").reversed);
    assert_eq!(kept.entry("1").captured_minor, 0);
    assert_eq!(kept.code(&refund("2", "1", 1)), "12");
}

/// A reversal advice that overtakes its original holds its place: the original is declined when it arrives, whatever it is.
#[test]
fn a_reversal_advice_before_the_original_declines_it() {
    let mut kept = Kept::default();
    for _ in 0..2 {
        assert_eq!(kept.code(&take_back("1", 1000)), "00");
    }
    // With a reference of its own it does the same.
    assert_eq!(kept.code(&Request::TakeBack(follow_up("77", "2", 1000))), "00");
    assert_eq!(kept.books.find(reference("77")), None);
    let asked = kept.answer(&inquiry("1")).unwrap();
    assert_eq!((asked.response_code.as_str(), asked.reversed), ("25", true));
    assert_eq!(kept.code(&payment("1", VISA, 1000, true)), "94");
    assert_eq!(kept.code(&payment("2", VISA, 1000, false)), "94");
    assert_eq!(kept.code(&capture("3", "2", 1000)), "25");
    assert_eq!(kept.code(&void("4", "2", 1000)), "25");
    let asked = kept.answer(&inquiry("1")).unwrap();
    assert_eq!((asked.response_code.as_str(), asked.reversed), ("25", true));
    assert_eq!(kept.totals(), totals(0, 0, 0, 0, 0));

    // A capture and a refund that are overtaken are declined as well.
    kept.code(&payment("5", VISA, 1000, false));
    assert_eq!(kept.code(&take_back("6", 1000)), "00");
    assert_eq!(kept.code(&capture("6", "5", 1000)), "94");
    kept.code(&payment("7", VISA, 1000, true));
    assert_eq!(kept.code(&take_back("8", 1000)), "00");
    assert_eq!(kept.code(&refund("8", "7", 1000)), "94");
    assert_eq!(kept.totals(), totals(2000, 1000, 0, 0, 2));
}

/// Taking back what was declined is answered yes and changes nothing; a void can't be taken back.
#[test]
fn a_reversal_advice_of_a_decline_has_nothing_to_do() {
    let mut kept = Kept::default();
    kept.code(&payment("1", "4000000000000002", 1000, true));
    assert_eq!(kept.code(&take_back("1", 1000)), "00");
    assert!(!kept.entry("1").reversed);
    kept.code(&payment("2", VISA, 1000, false));
    kept.code(&void("3", "2", 1000));
    assert_eq!(kept.code(&take_back("3", 1000)), "12");
    assert_eq!(kept.totals(), totals(0, 0, 0, 1000, 1));
}

/// Another merchant can neither learn of, nor take back, nor give back what isn't its own.
#[test]
fn merchants_see_only_their_own() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, true));
    let other = |name| FollowUp { merchant: merchant("OTHER"), ..follow_up(name, "1", 1000) };
    let asked = Request::Inquiry { original: reference("1"), merchant: merchant("OTHER") };
    assert_eq!(kept.answer(&asked), Some(Answer::bare("25")));
    assert_eq!(kept.code(&Request::TakeBack(other("2"))), "25");
    assert_eq!(kept.code(&Request::Void(other("3"))), "25");
    assert_eq!(kept.code(&Request::Refund(other("4"))), "25");
    assert_eq!(kept.entry("3").booked.last_four, None);
    assert_eq!(kept.totals(), totals(1000, 1000, 0, 0, 1));
}

/// A message about itself is about nothing, and isn't taken for one that was foreseen.
#[test]
fn a_message_about_itself_is_about_nothing() {
    let mut kept = Kept::default();
    assert_eq!(kept.code(&void("1", "1", 1000)), "25");
    assert_eq!(kept.code(&refund("2", "2", 1000)), "25");
    assert_eq!(kept.code(&capture("3", "3", 1000)), "25");
    assert_eq!(kept.answer(&inquiry("1")), Some(Answer::bare("25")));
    assert!(!kept.entry("1").reversed);
}

/// Sign-on and echo are answered.
#[test]
fn network_management_is_answered() {
    assert_eq!(Kept::default().code(&Request::NetworkManagement), "00");
}

/// A change that these books would not have made is refused, and leaves them as they were.
#[test]
fn foreign_changes_are_refused() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, true));
    let change: Change = serde_json::from_str(&kept.journal[0]).unwrap();
    assert_eq!(kept.books.apply(&change), Err(Inconsistent::Twice(reference("1"))));
    let Change::Booked(booked) = change else { unreachable!() };
    let orphan = Booked {
        reference: ReferenceText(reference("2")),
        original_reference: Some(ReferenceText(reference("3"))),
        kind: Kind::Refund,
        ..booked
    };
    assert_eq!(kept.books.apply(&Change::Booked(orphan)), Err(Inconsistent::Missing(reference("3"))));
    assert_eq!(kept.books.len(), 1);
}

/// Pages walk through all entries once, and stop at the end.
#[test]
fn pages_cover_the_books() {
    let mut kept = Kept::default();
    for name in 1..=25 {
        kept.code(&payment(&name.to_string(), VISA, 1000, true));
    }
    let sequences = |after, limit| kept.books.page(after, limit).iter().map(|entry| entry.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(0, 10), (1..=10).collect::<Vec<_>>());
    assert_eq!(sequences(20, 10), (21..=25).collect::<Vec<_>>());
    assert!(sequences(25, 10).is_empty());
    assert!(sequences(u64::MAX, usize::MAX).is_empty());
}

fn with(request: Request, change: impl FnOnce(&mut Payment)) -> Request {
    let Request::Payment(mut payment) = request else { panic!("a payment") };
    change(&mut payment);
    Request::Payment(payment)
}

fn proving(number: u8) -> Draws {
    Draws { proven: Some(Text::of_digits([number; 36])), ..draws() }
}

/// Which cards want a proof, of whom: with the shopper there, without, without but set up. A proof is enough for all, once.
#[test]
fn a_proof_is_wanted_as_the_table_says() {
    for (pan, there, without, set_up) in [
        (VISA, "00", "00", "00"),
        ("4000000000003055", "00", "00", "00"),
        ("4000000000003220", "1A", "00", "00"),
        ("4000002500003155", "1A", "1A", "00"),
        ("4000002760003184", "1A", "1A", "1A"),
    ] {
        let mut books = Books::default();
        let mut code = |request: Request, draws: &Draws| {
            let decision = books.decide(&request, draws);
            books.apply(&decision.change.unwrap()).unwrap();
            decision.answer.unwrap().response_code.to_string()
        };
        let by_itself = |name: &str| with(payment(name, pan, 1000, true), |payment| payment.merchant_initiated = true);
        assert_eq!(code(payment("A", pan, 1000, true), &draws()), there, "{pan}, there");
        assert_eq!(code(by_itself("B"), &draws()), without, "{pan}, without");
        assert_eq!(code(payment("C", pan, 1000, true), &proving(1)), "00", "{pan}, proven");
        assert_eq!(code(payment("D", pan, 1000, true), &proving(1)), there, "{pan}, with a proof that was used");
        assert_eq!(code(by_itself("E"), &draws()), set_up, "{pan}, set up");
        let elsewhere = with(by_itself("F"), |payment| payment.merchant = merchant("OTHER"));
        assert_eq!(code(elsewhere, &draws()), without, "{pan}, set up for another");
    }
}

/// A decline of the issuer's own comes after the proof: who isn't proven learns nothing of the account.
#[test]
fn a_proof_comes_before_other_declines() {
    let books = Books::default();
    let code = |draws: &Draws| {
        let answer = books.decide(&payment("A", "4000008260003178", 1000, true), draws).answer.unwrap();
        answer.response_code.to_string()
    };
    assert_eq!((code(&draws()).as_str(), code(&proving(1)).as_str()), ("1A", "51"));
}

/// A verification is over nothing, moves nothing, and is proven and taken back like a payment; a payment over nothing is none.
#[test]
fn a_verification_moves_nothing() {
    let mut kept = Kept::default();
    let verification = |name: &str, pan: &str, amount_minor| match payment(name, pan, amount_minor, false) {
        Request::Payment(payment) => Request::Verification(payment),
        other => other,
    };
    let mut code = |request: &Request| kept.answer(request).unwrap().response_code.to_string();
    assert_eq!(code(&verification("A", VISA, 0)), "00");
    assert_eq!(code(&verification("B", VISA, 100)), "13");
    assert_eq!(code(&payment("C", VISA, 0, true)), "13");
    assert_eq!(code(&verification("D", "4000002500003155", 0)), "1A");
    assert_eq!(code(&verification("E", "4000000000000002", 0)), "05");
    assert_eq!(code(&take_back("A", 0)), "00");
    assert_eq!(kept.books.totals().map(|(_, totals)| totals.authorized + totals.reversed).sum::<u64>(), 0);
}
