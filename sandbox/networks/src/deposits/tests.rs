//! The rules, one by one, and that the journal's lines give the same again.

use kura_iso8583::Reference;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::request::{Asked, Change, GivenBack, Network, Payer, Place, Refusal, Standing};
use super::rules::{Acted, Back, Decided, Request, Withdrawal};
use super::{Deposits, Inconsistent, Kept};
use crate::books::ReferenceText;
use crate::text::Text;

const NOW: OffsetDateTime = datetime!(2026-11-25 10:00:00 UTC);

fn reference(number: u32) -> ReferenceText {
    ReferenceText(Reference::new(&format!("{number:012}")).unwrap())
}

fn merchant() -> Text<15> {
    Text::new("SHOP00000000001").unwrap()
}

fn jpy() -> Text<3> {
    Text::new("jpy").unwrap()
}

fn secret(number: u32) -> Text<26> {
    Text::new(&format!("{number:026}")).unwrap()
}

fn asked(number: u32, amount_minor: u64) -> Asked {
    Asked {
        reference: reference(number),
        merchant: merchant(),
        amount_minor,
        currency: jpy(),
        expires_at: NOW + Duration::days(3),
        payer: Payer {
            name: Some("山田 太郎".to_owned()), phone: Some("09012345678".to_owned()), ..Payer::default()
        },
        description: None,
        confirmation_number: None,
        return_url: None,
    }
}

/// Decides and applies, and keeps the line.
#[derive(Default)]
struct World {
    deposits: Deposits,
    lines: Vec<Change>,
}

impl World {
    fn does<T>(&mut self, (change, told): Decided<T>) -> T {
        if let Some(change) = change {
            self.deposits.apply(&change).unwrap();
            self.lines.push(change);
        }
        told
    }

    fn request(&mut self, asked: &Asked) -> Request {
        let decided = self.deposits.decide_request(
            Network::Konbini,
            asked,
            secret(u32::try_from(self.lines.len()).unwrap()),
            NOW,
        );
        self.does(decided)
    }

    fn pay(&mut self, number: u32, late: bool, now: OffsetDateTime) -> Acted {
        self.does(self.deposits.decide_payment(reference(number), Place::Lawson, late, now))
    }

    fn withdraw(&mut self, number: u32) -> Withdrawal {
        self.does(self.deposits.decide_withdrawal(Network::Konbini, reference(number), merchant(), NOW))
    }

    fn back(&mut self, number: u32, original: u32, amount_minor: u64) -> Back {
        let wish = GivenBack {
            reference: reference(number),
            original: reference(original),
            amount_minor,
            accepted: false,
            at: NOW,
        };
        self.does(self.deposits.decide_back(Network::Konbini, merchant(), &wish, jpy()))
    }

    fn standing(&self, number: u32) -> Standing {
        self.deposits.find(reference(number).0).unwrap().standing.clone()
    }

    fn kinds(&self, now: OffsetDateTime) -> Vec<&'static str> {
        self.deposits.due_notices(now).map(|notice| notice.kind).collect()
    }
}

fn paid() -> Standing {
    Standing::Paid { place: Place::Bank }
}

/// Every pair of standings: what may follow what.
#[test]
fn what_may_follow_what() {
    let refused = Standing::Refused { reason: Refusal::ShopperRefused };
    let all = [Standing::Waiting, paid(), refused, Standing::Withdrawn, Standing::Expired];
    for from in &all {
        for to in &all {
            let may = match (from.as_str(), to.as_str()) {
                ("waiting", to) => to != "waiting",
                ("expired", to) => to == "paid",
                _ => false,
            };
            assert_eq!(from.may_become(to), may, "{} to {}", from.as_str(), to.as_str());
        }
    }
}

/// Asked twice it is there once; another request under the same reference is refused.
#[test]
fn a_reference_is_asked_for_once() {
    let mut world = World::default();
    assert_eq!(world.request(&asked(1, 1000)), Request::There);
    assert_eq!(world.request(&asked(1, 1000)), Request::There);
    assert_eq!(world.deposits.len(), 1);
    assert_eq!(world.request(&asked(1, 1001)), Request::Conflict);
    let (_, other_network) = world.deposits.decide_request(Network::Payeasy, &asked(1, 1000), secret(9), NOW);
    assert_eq!(other_network, Request::Conflict);
}

/// What is taken back before it comes never comes, whoever tries; what is paid can't be taken back.
#[test]
fn a_withdrawal_holds() {
    let mut world = World::default();
    assert_eq!(world.withdraw(1), Withdrawal::Foreseen);
    assert_eq!(world.withdraw(1), Withdrawal::Foreseen);
    assert_eq!(world.request(&asked(1, 1000)), Request::Foreseen);
    assert!(world.deposits.is_empty());
    world.request(&asked(2, 1000));
    assert_eq!(world.withdraw(2), Withdrawal::There);
    assert_eq!(world.standing(2), Standing::Withdrawn);
    assert_eq!(world.pay(2, true, NOW), Acted::Closed);
    world.request(&asked(3, 1000));
    assert_eq!(world.pay(3, false, NOW), Acted::Done);
    assert_eq!(world.withdraw(3), Withdrawal::There);
    assert!(matches!(world.standing(3), Standing::Paid { .. }));
    let stranger = Text::new("SHOP00000000002").unwrap();
    let (change, told) = world.deposits.decide_withdrawal(Network::Konbini, reference(3), stranger, NOW);
    assert_eq!((change, told), (None, Withdrawal::Conflict));
}

/// After its time only late money comes, and its notice may overtake the one of the expiry.
#[test]
fn time_ends_and_money_may_come_late() {
    let mut world = World::default();
    let late = NOW + Duration::days(4);
    world.request(&asked(1, 1903));
    assert_eq!(world.deposits.next_expired(NOW), None);
    assert_eq!(world.deposits.next_expired(late), Some(reference(1).0));
    assert_eq!(world.pay(1, false, late), Acted::Expired);
    let expiry = world.deposits.decide_expiry(reference(1), late);
    assert_eq!(world.does(expiry), Acted::Done);
    assert_eq!(world.deposits.next_expired(late), None);
    assert_eq!(world.pay(1, false, late), Acted::Expired);
    assert_eq!(world.pay(1, true, late), Acted::Done);
    assert_eq!(world.pay(1, true, late), Acted::Closed);
    assert_eq!(world.kinds(late), ["paid"]);
    assert_eq!(world.kinds(late + Duration::seconds(10)), ["expired", "paid"]);
}

/// What the network refuses at once needs no notice.
#[test]
fn some_requests_are_refused_at_once() {
    let mut world = World::default();
    let dollars = Asked { currency: Text::new("usd").unwrap(), ..asked(4, 1000) };
    let over = Asked { expires_at: NOW, ..asked(3, 1000) };
    for (asked, reason) in [
        (asked(1, 1904), Refusal::Declined),
        (asked(2, 300_001), Refusal::AmountTooLarge),
        (over, Refusal::AlreadyExpired),
        (dollars, Refusal::CurrencyNotSupported),
    ] {
        assert_eq!(world.request(&asked), Request::There);
        let entry = world.deposits.find(asked.reference.0).unwrap();
        assert_eq!(entry.standing, Standing::Refused { reason });
    }
    assert!(world.kinds(NOW).is_empty());
}

/// Money goes back in parts, each once, and never more than came.
#[test]
fn no_more_goes_back_than_came() {
    let mut world = World::default();
    world.request(&asked(1, 1000));
    assert_eq!(world.back(2, 1, 100), Back::Refused, "nothing was paid");
    world.pay(1, false, NOW);
    assert_eq!(world.back(2, 1, 100), Back::Refused, "what was said is said again");
    assert_eq!(world.back(3, 1, 600), Back::Accepted);
    assert_eq!(world.back(3, 1, 600), Back::Accepted);
    assert_eq!(world.back(3, 1, 500), Back::Conflict);
    assert_eq!(world.back(1, 1, 500), Back::Conflict);
    assert_eq!(world.back(4, 1, 401), Back::Refused);
    assert_eq!(world.back(5, 1, 400), Back::Accepted);
    assert_eq!(world.back(6, 1, 1), Back::Refused);
    assert_eq!(world.back(7, 9, 1), Back::NotFound);
    assert_eq!(world.deposits.find(reference(1).0).unwrap().given_back_minor, 1000);
    let rows: Vec<_> =
        world.deposits.settled(Network::Konbini, 0).map(|row| (row.sequence, row.amount_minor)).collect();
    assert_eq!(rows, [(1, 1000), (2, 600), (3, 400)]);
}

/// The lines, read again, give what was there, numbers and untold notices included; a line too many is refused.
#[test]
fn the_lines_give_the_same_again() {
    let mut world = World::default();
    for number in 1..=5 {
        world.request(&asked(number * 10, 1000));
    }
    world.pay(10, false, NOW);
    world.pay(20, false, NOW);
    world.withdraw(30);
    world.withdraw(99);
    world.back(11, 10, 5);
    world.does((Some(Change::Told { notice: "konbini-000000000010-paid".to_owned(), at: NOW }), ()));
    let mut again = Deposits::default();
    for line in &world.lines {
        let text = serde_json::to_string(line).unwrap();
        again.apply(&serde_json::from_str(&text).unwrap()).unwrap();
    }
    assert!(again.last(9).eq(world.deposits.last(9)));
    assert!(again.due_notices(NOW).eq(world.deposits.due_notices(NOW)));
    assert_eq!(again.due_notices(NOW).count(), 1);
    assert!(again.settled(Network::Konbini, 0).eq(world.deposits.settled(Network::Konbini, 0)));
    for line in &world.lines[..5] {
        assert!(matches!(again.apply(line), Err(Inconsistent::Twice(_))));
    }
}

/// What names a request: its numbers at its own network, its secret; no number of another network.
#[test]
fn a_payer_finds_the_request_by_its_numbers() {
    let mut world = World::default();
    world.request(&asked(1, 1000));
    let entry = world.deposits.find(reference(1).0).unwrap();
    let number = entry.numbers.payment_number('5');
    let found = world.deposits.find_by_number(Network::Konbini, &number).unwrap();
    assert_eq!((found.0, found.1), ('5', entry));
    assert!(world.deposits.find_by_number(Network::Payeasy, &entry.numbers.customer_number()).is_none());
    assert!(world.deposits.find_by_number(Network::Konbini, &entry.numbers.customer_number()).is_none());
    assert_eq!(world.deposits.find_by_secret(entry.requested.secret.as_str()), Some(entry));
    assert!(!format!("{entry:?}").contains("山田"));
}

/// Each network takes the payer's fields that it needs, and no others.
#[test]
fn requests_have_what_their_network_needs() {
    assert!(asked(1, 1).is_well_formed(Network::Konbini));
    assert!(asked(1, 1).is_well_formed(Network::Payeasy));
    assert!(!asked(1, 1).is_well_formed(Network::Emoney));
    assert!(!asked(1, 0).is_well_formed(Network::Konbini));
    let wish = |wish: &str| Asked { confirmation_number: Some(wish.to_owned()), ..asked(1, 1) };
    assert!(wish("0901234567").is_well_formed(Network::Konbini));
    assert!(!wish("0901234567").is_well_formed(Network::Payeasy));
    assert!(!wish("090-123-45").is_well_formed(Network::Konbini));
    let payer = Payer { email: Some("a@b.example".to_owned()), ..Payer::default() };
    let wallet = |url: Option<&str>| Asked { payer: payer.clone(), return_url: url.map(str::to_owned), ..asked(1, 1) };
    assert!(wallet(Some("https://shop.example/")).is_well_formed(Network::Emoney));
    assert!(!wallet(Some("javascript:alert(1)")).is_well_formed(Network::Emoney));
    assert!(!wallet(None).is_well_formed(Network::Emoney));
}
