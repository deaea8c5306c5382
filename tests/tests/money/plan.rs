//! What may become of a payment: random lives of it, of cards and without.

use kura_platform::random;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// What a merchant's server does with a payment, or a shopper, a cardholder, their bank or a thief.
#[derive(Debug, Clone)]
pub(crate) enum Verb {
    /// With this card.
    Confirm(&'static str),
    /// Without one, over this network.
    Deposit(&'static str),
    Capture(Option<i64>),
    Cancel,
    Refund(Option<i64>),
    Reprice(i64),
    /// The shopper brings the money.
    BringMoney {
        late: bool,
    },
    /// Its time is over at the network.
    RunOut,
    /// The shopper says no.
    SayNo,
    /// The network tells of what was brought again.
    TellAgain,
    /// A notice about more money than was asked for.
    TellOfMore(i64),
    /// The cardholder's issuer takes money back.
    Dispute(Option<i64>),
    /// The merchant's answer.
    Answer {
        evidence: bool,
    },
    /// The issuer's last word.
    Decide {
        won: bool,
    },
}

/// One step: a verb, and how it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) verb: Verb,
    /// So many servers at once.
    pub(crate) at_once: usize,
    /// They all have one Idempotency-Key, or each its own.
    pub(crate) one_key: bool,
    /// Asked once more when it was answered.
    pub(crate) again: bool,
}

/// How a payment begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// Created alone.
    Bare,
    /// Confirmed with its creation, with this card.
    Card(&'static str),
    /// Confirmed with its creation, over this network.
    Deposit(&'static str),
}

/// A payment's life.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) amount: i64,
    pub(crate) manual: bool,
    pub(crate) begin: Begin,
    pub(crate) steps: Vec<Step>,
}

/// Cards by what becomes of them: faults of the network are rarer than in life only because each takes its time.
fn card() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => Just("pm_card_visa"),
        4 => Just("pm_card_mastercard"),
        2 => Just("pm_card_chargeDeclined"),
        1 => Just("pm_card_chargeDeclinedInsufficientFunds"),
        1 => Just("pm_card_networkTimeout"),
        1 => Just("pm_card_answerLost"),
    ]
}

fn network() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => Just("konbini"), 2 => Just("payeasy"), 1 => Just("emoney")]
}

/// Parts of an amount, all of it, and more than there is.
fn part(amount: i64) -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        2 => Just(None),
        4 => (1..=amount).prop_map(Some),
        1 => Just(Some(amount)),
        1 => Just(Some(amount + 1)),
    ]
}

/// With these verbs.
fn step(verb: impl Strategy<Value = Verb>) -> impl Strategy<Value = Step> {
    let at_once = prop_oneof![4 => Just(1_usize), 2 => Just(2), 1 => Just(4)];
    (verb, at_once, any::<bool>(), any::<bool>()).prop_map(|(verb, at_once, one_key, again)| Step {
        verb,
        at_once,
        one_key,
        again,
    })
}

fn with_a_card(amount: i64) -> impl Strategy<Value = Step> {
    step(prop_oneof![
        3 => card().prop_map(Verb::Confirm),
        3 => part(amount).prop_map(Verb::Capture),
        1 => Just(Verb::Cancel),
        5 => part(amount).prop_map(Verb::Refund),
        1 => (1..=2 * amount).prop_map(Verb::Reprice),
        3 => part(amount).prop_map(Verb::Dispute),
        2 => any::<bool>().prop_map(|evidence| Verb::Answer { evidence }),
        2 => any::<bool>().prop_map(|won| Verb::Decide { won }),
    ])
}

fn without(amount: i64) -> impl Strategy<Value = Step> {
    step(prop_oneof![
        6 => any::<bool>().prop_map(|late| Verb::BringMoney { late }),
        2 => Just(Verb::RunOut),
        1 => Just(Verb::SayNo),
        2 => Just(Verb::TellAgain),
        1 => (1..=amount).prop_map(Verb::TellOfMore),
        2 => network().prop_map(Verb::Deposit),
        1 => card().prop_map(Verb::Confirm),
        1 => Just(Verb::Cancel),
        3 => part(amount).prop_map(Verb::Refund),
        1 => (1..=2 * amount).prop_map(Verb::Reprice),
    ])
}

fn plan_with_a_card() -> impl Strategy<Value = Plan> {
    (1_i64..=20_000, any::<bool>(), proptest::option::weighted(0.7, card())).prop_flat_map(
        |(amount, manual, confirm)| {
            let begin = confirm.map_or(Begin::Bare, Begin::Card);
            proptest::collection::vec(with_a_card(amount), 0..8).prop_map(move |steps| Plan {
                amount,
                manual,
                begin,
                steps,
            })
        },
    )
}

/// The last digits of an amount are what its network does otherwise than in a quiet world: twice, late, swapped, lost.
fn plan_without() -> impl Strategy<Value = Plan> {
    let amount = prop_oneof![
        5 => 120_i64..=20_000,
        2 => (0_i64..20, 901_i64..=908).prop_map(|(thousands, ending)| thousands * 1000 + ending),
    ];
    (amount, network()).prop_flat_map(|(amount, network)| {
        proptest::collection::vec(without(amount), 0..8).prop_map(move |steps| Plan {
            amount,
            manual: false,
            begin: Begin::Deposit(network),
            steps,
        })
    })
}

/// `KURA_MONEY_SEED`, or a new one.
pub(crate) fn seed() -> [u8; 32] {
    let given = std::env::var("KURA_MONEY_SEED").ok();
    given.map_or_else(random::bytes, |text| {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).expect("hexadecimal digits");
        bytes.try_into().expect("64 of them")
    })
}

/// One server's plans, one after the other.
pub(crate) fn plans(seed: [u8; 32], server: usize) -> impl FnMut() -> Plan {
    let mut own = seed;
    own[0] ^= u8::try_from(server).unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &own);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let plan = prop_oneof![3 => plan_with_a_card().boxed(), 2 => plan_without().boxed()];
    move || plan.new_tree(&mut runner).unwrap().current()
}
