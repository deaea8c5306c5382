//! What may become of a dispute.

use super::*;
use crate::books::disputes::{Answered, Became, DisputeChange, Reason, State};

/// Every pair of states: what may follow what.
#[test]
fn disputes_go_one_way() {
    use State::{Lost, NeedsResponse, UnderReview, Won};
    for from in [NeedsResponse, UnderReview, Won, Lost] {
        for to in [NeedsResponse, UnderReview, Won, Lost] {
            let may = [(NeedsResponse, UnderReview), (NeedsResponse, Lost), (UnderReview, Won), (UnderReview, Lost)];
            assert_eq!(from.may_become(to), may.contains(&(from, to)), "{from:?} to {to:?}");
        }
    }
}

impl Kept {
    fn does<T>(&mut self, (change, told): (Option<Change>, T)) -> T {
        if let Some(change) = change {
            self.books.apply(&change).unwrap();
            self.journal.push(serde_json::to_string(&change).unwrap());
        }
        told
    }

    fn dispute(&mut self, case: &str, original: &str, amount_minor: Option<u64>) -> Became {
        let (case, original) = (ReferenceText(reference(case)), ReferenceText(reference(original)));
        let times = (draws().now, draws().now + time::Duration::days(7));
        self.does(self.books.decide_dispute(case, original, Reason::Fraudulent, amount_minor, times))
    }

    fn says(&mut self, case: &str, original: &str, submission: &str, evidence: Option<&str>) -> Became {
        let answered = Answered { submission: submission.to_owned(), evidence: evidence.map(str::to_owned) };
        let about = (ReferenceText(reference(case)), ReferenceText(reference(original)));
        self.does(self.books.decide_answer(about, merchant("SHOP"), answered, draws().now))
    }

    fn ends(&mut self, case: &str, to: State) -> Became {
        self.does(self.books.decide_end(ReferenceText(reference(case)), to, draws().now))
    }
}

/// What is disputed can't be given back as well, nor the payment be taken back, until the merchant has won it.
#[test]
fn money_goes_back_one_way() {
    let mut kept = Kept::default();
    kept.code(&payment("1", VISA, 1000, true));
    assert_eq!(kept.dispute("91", "1", Some(700)), Became::Done);
    assert_eq!(kept.code(&refund("2", "1", 301)), "13");
    assert_ne!(kept.code(&void("3", "1", 1000)), "00");
    assert_eq!(kept.code(&refund("4", "1", 300)), "00");
    assert_eq!(kept.says("91", "1", "a", Some("signed")), Became::Done);
    assert_eq!(kept.code(&refund("5", "1", 1)), "13");
    assert_eq!(kept.ends("91", State::Won), Became::Done);
    assert_eq!(kept.code(&refund("6", "1", 700)), "00");
    assert_eq!(kept.dispute("92", "1", Some(1)), Became::TooMuch);
}

/// What was charged can be disputed, no more of it than stands; answered once, in time; won money comes back.
#[test]
fn a_dispute_is_answered_once_and_decided() {
    use Became::{Done, NotFound, TooLate, TooMuch};
    let mut kept = Kept::default();
    for request in [payment("1", VISA, 1000, true), payment("2", VISA, 500, false), refund("3", "1", 200)] {
        kept.code(&request);
    }
    assert_eq!(kept.dispute("90", "2", None), NotFound, "nothing was captured");
    assert_eq!(kept.dispute("90", "3", None), NotFound, "a refund");
    assert_eq!(kept.dispute("90", "1", Some(801)), TooMuch);
    assert_eq!(kept.dispute("91", "1", Some(300)), Done);
    assert_eq!(kept.dispute("92", "1", None), Done);
    assert_eq!(kept.dispute("93", "1", None), TooMuch, "all is disputed");
    assert_eq!(kept.ends("91", State::Won), TooLate, "nobody answered yet");
    assert_eq!(kept.says("91", "2", "a", Some("signed")), NotFound, "another payment's");
    assert_eq!(kept.says("91", "1", "a", Some("signed")), Done);
    assert_eq!(kept.says("91", "1", "a", Some("signed")), Done);
    assert_eq!(kept.says("91", "1", "b", None), TooLate);
    assert_eq!(kept.ends("91", State::Won), Done);
    assert_eq!(kept.ends("91", State::Lost), TooLate);
    assert_eq!(kept.says("92", "1", "c", None), Done);
    assert_eq!(kept.books.disputes().find(reference("92")).unwrap().state, State::Lost);
    assert_eq!(kept.dispute("94", "1", None), Done, "what was won can be disputed anew");
    let late = draws().now + time::Duration::days(7);
    assert_eq!(kept.books.disputes().next_overdue(draws().now), None);
    assert_eq!(kept.books.disputes().next_overdue(late), Some(ReferenceText(reference("94"))));
    let rows: Vec<_> = kept.books.settled(2).iter().map(|row| (row.movement.as_str(), row.amount_minor)).collect();
    assert_eq!(rows, [("chargeback", 300), ("chargeback", 500), ("chargeback_reversal", 300), ("chargeback", 300)]);
    let told: Vec<_> = kept.books.disputes().untold().map(|it| (it.version, it.state.as_str())).collect();
    let expected = [
        (1, "needs_response"),
        (2, "under_review"),
        (3, "won"),
        (1, "needs_response"),
        (2, "lost"),
        (1, "needs_response"),
    ];
    assert_eq!(told, expected);
    kept.does((
        Some(Change::Dispute(Box::new(DisputeChange::Told { case: ReferenceText(reference("91")), version: 2 }))),
        (),
    ));
    assert_eq!(kept.books.disputes().untold().count(), 5);
}
