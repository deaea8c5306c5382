//! The property of money: whatever merchants' servers ask, in whatever order, however often and all at once, while cards decline,
//! networks fall silent and services are killed, no money is made, lost or moved twice, and what happened was told once.
//!
//! `KURA_MONEY_SECONDS` runs it for longer, `KURA_MONEY_SEED` (64 hexadecimal digits) makes the same plans again.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kura_platform::random;
use kura_tests::{Answer, Options, Stack};
use kura_wire::ids::PaymentIntentId;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use uuid::Uuid;

const SERVERS: usize = 8;
const SECONDS: u64 = 20;
/// The longest that a merchant's server keeps asking about one thing.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// What a merchant's server does with a payment.
#[derive(Debug, Clone)]
enum Verb {
    Confirm(&'static str),
    Capture(Option<i64>),
    Cancel,
    Refund(Option<i64>),
    Reprice(i64),
}

/// One step: a verb, and how it is asked.
#[derive(Debug, Clone)]
struct Step {
    verb: Verb,
    /// So many servers at once.
    at_once: usize,
    /// They all have one Idempotency-Key, or each its own.
    one_key: bool,
    /// Asked once more when it was answered.
    again: bool,
}

/// A payment's life.
#[derive(Debug, Clone)]
struct Plan {
    amount: i64,
    manual: bool,
    /// Confirmed with its creation, with this card.
    confirm: Option<&'static str>,
    steps: Vec<Step>,
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

/// Parts of an amount, all of it, and more than there is.
fn part(amount: i64) -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        2 => Just(None),
        4 => (1..=amount).prop_map(Some),
        1 => Just(Some(amount)),
        1 => Just(Some(amount + 1)),
    ]
}

fn step(amount: i64) -> impl Strategy<Value = Step> {
    let verb = prop_oneof![
        3 => card().prop_map(Verb::Confirm),
        3 => part(amount).prop_map(Verb::Capture),
        1 => Just(Verb::Cancel),
        5 => part(amount).prop_map(Verb::Refund),
        1 => (1..=2 * amount).prop_map(Verb::Reprice),
    ];
    let at_once = prop_oneof![4 => Just(1_usize), 2 => Just(2), 1 => Just(4)];
    (verb, at_once, any::<bool>(), any::<bool>()).prop_map(|(verb, at_once, one_key, again)| Step {
        verb,
        at_once,
        one_key,
        again,
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    (1_i64..=20_000, any::<bool>(), proptest::option::weighted(0.7, card())).prop_flat_map(
        |(amount, manual, confirm)| {
            proptest::collection::vec(step(amount), 0..7).prop_map(move |steps| Plan { amount, manual, confirm, steps })
        },
    )
}

/// Where the answers to all that was asked are remembered.
#[derive(Default)]
struct Told {
    /// By Idempotency-Key: the object's id.
    objects: BTreeMap<String, String>,
    /// By payment: the last words that it can't take back.
    last_words: BTreeMap<String, String>,
    codes: BTreeMap<String, usize>,
}

struct Server<'a> {
    stack: &'a Stack,
    told: &'a Mutex<Told>,
    gave_up: &'a AtomicUsize,
    name: String,
    asked: usize,
}

impl Server<'_> {
    fn key(&mut self) -> String {
        self.asked += 1;
        format!("{}-{}", self.name, self.asked)
    }

    /// Asks with one key until there is a final answer.
    fn ask(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Option<Answer> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let answer = self.stack.try_post(path, &self.stack.run().keys.sk_test, key, form);
            if let Some(answer) = answer
                && answer.status != 409
                && answer.status != 429
                && answer.status < 500
            {
                self.remember(key, &answer);
                return Some(answer);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.gave_up.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn remember(&self, key: &str, answer: &Answer) {
        let mut told = self.told.lock().unwrap();
        let body = answer.json();
        let code = body["error"]["code"].as_str().unwrap_or("ok").to_owned();
        assert!(answer.status == 200 || answer.status == 402 || answer.status == 400, "{}", answer.text);
        *told.codes.entry(code).or_default() += 1;
        if answer.status != 200 {
            return;
        }
        let id = body["id"].as_str().unwrap().to_owned();
        let first = told.objects.entry(key.to_owned()).or_insert_with(|| id.clone());
        assert_eq!(*first, id, "one key, one object");
        if body["object"] == "payment_intent"
            && let Some(status @ ("succeeded" | "canceled")) = body["status"].as_str()
        {
            let last = told.last_words.entry(id).or_insert_with(|| status.to_owned());
            assert_eq!(last, status, "what was said is not taken back");
        }
    }

    fn live(&mut self, plan: &Plan) {
        let amount = plan.amount.to_string();
        let mut form = vec![("amount", amount.as_str()), ("currency", "jpy")];
        form.extend(plan.manual.then_some(("capture_method", "manual")));
        if let Some(card) = plan.confirm {
            form.extend([("payment_method", card), ("confirm", "true")]);
        }
        let key = self.key();
        let Some(made) = self.ask("/v1/payment_intents", &key, &form) else { return };
        let body = made.json();
        let made = if made.status == 402 { &body["error"]["payment_intent"] } else { &body };
        let payment = made["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        for step in &plan.steps {
            self.step(&payment, step);
        }
    }

    fn step(&mut self, payment: &str, step: &Step) {
        let path = |verb: &str| format!("/v1/payment_intents/{payment}{verb}");
        let mut form: Vec<(&str, String)> = Vec::new();
        let path = match &step.verb {
            Verb::Confirm(card) => {
                form.push(("payment_method", (*card).to_owned()));
                path("/confirm")
            }
            Verb::Capture(part) => {
                form.extend(part.map(|part| ("amount_to_capture", part.to_string())));
                path("/capture")
            }
            Verb::Cancel => path("/cancel"),
            Verb::Refund(part) => {
                form.push(("payment_intent", payment.to_owned()));
                form.extend(part.map(|part| ("amount", part.to_string())));
                "/v1/refunds".to_owned()
            }
            Verb::Reprice(amount) => {
                form.push(("amount", amount.to_string()));
                path("")
            }
        };
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let shared = self.key();
        let keys: Vec<String> =
            (0..step.at_once).map(|_| if step.one_key { shared.clone() } else { self.key() }).collect();
        let ask = |key: &String| self.ask(&path, key, &form).map(|answer| (answer.status, answer.text));
        if keys.len() == 1 {
            ask(&keys[0]);
        } else {
            std::thread::scope(|scope| {
                let asked: Vec<_> = keys.iter().map(|key| scope.spawn(move || ask(key))).collect();
                for one in asked {
                    one.join().unwrap();
                }
            });
        }
        if step.again {
            ask(&keys[0]);
        }
    }
}

/// Sets the flag when it is dropped: a panic must not leave the servers asking.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn seed() -> [u8; 32] {
    let given = std::env::var("KURA_MONEY_SEED").ok();
    given.map_or_else(random::bytes, |text| {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).expect("hexadecimal digits");
        bytes.try_into().expect("64 of them")
    })
}

fn plans(seed: [u8; 32], server: usize) -> impl FnMut() -> Plan {
    let mut own = seed;
    own[0] ^= u8::try_from(server).unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &own);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    move || plan().new_tree(&mut runner).unwrap().current()
}

/// The property. Random lives of payments, asked by eight servers at once, while every few seconds the vault or the gateway is
/// killed.
#[test]
fn no_money_is_made_lost_or_moved_twice() {
    let seed = seed();
    println!("KURA_MONEY_SEED={}", data_encoding::HEXLOWER.encode(&seed));
    let seconds = std::env::var("KURA_MONEY_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
    let options = Options::default()
        .unlimited()
        .restart()
        .set("gateway.recovery.every_ms=200")
        .set("gateway.recovery.after_ms=1500")
        .set("vault.acquirer.test.response_timeout_ms=800");
    let stack = &Stack::start(options);
    let (told, gave_up, stop, lives) =
        (Mutex::new(Told::default()), AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let mut kills = 0;
    std::thread::scope(|scope| {
        for number in 0..SERVERS {
            let (told, gave_up, stop, lives) = (&told, &gave_up, &stop, &lives);
            scope.spawn(move || {
                let mut server = Server { stack, told, gave_up, name: format!("server-{number}"), asked: 0 };
                let mut next = plans(seed, number);
                while !stop.load(Ordering::Relaxed) {
                    server.live(&next());
                    lives.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stops_the_servers = StopOnDrop(&stop);
        let began = Instant::now();
        let few = || lives.load(Ordering::Relaxed) <= 50 && began.elapsed() < PATIENCE;
        while began.elapsed() < Duration::from_secs(seconds) || few() {
            std::thread::sleep(Duration::from_millis(1_500 + 8 * u64::from(random::bytes::<1>()[0])));
            let name = ["vault", "gateway"][kills % 2];
            let old = stack.kill9(name);
            stack.wait_restarted(name, old);
            kills += 1;
        }
    });
    settled(stack);
    let told = told.into_inner().unwrap();
    println!("{} lives, {kills} kills, answers: {:?}", lives.load(Ordering::Relaxed), told.codes);
    assert_eq!(gave_up.load(Ordering::Relaxed), 0, "everything is answered in the end");
    assert!(lives.load(Ordering::Relaxed) > 50);
    check(stack, &told);
}

/// Nothing is undecided.
fn settled(stack: &Stack) {
    let began = Instant::now();
    while stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") != "0" {
        assert!(began.elapsed() < SETTLED_WITHIN, "attempts stay undecided");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn check(stack: &Stack, told: &Told) {
    bounds_hold(stack);
    books_balance(stack);
    assert_eq!(theirs(stack), ours(stack), "the acquirer's books are ours");
    events_are_told_once(stack);
    for (payment, word) in &told.last_words {
        let now = stack.read(&format!("/v1/payment_intents/{payment}"), &stack.run().keys.sk_test).json();
        assert_eq!(now["status"], **word, "{payment}: what was said is so");
    }
}

/// Captured is at most what was authorized, refunded at most what was captured; payment, charge, refunds and books say the same;
/// a payment was authorized once at the most.
fn bounds_hold(stack: &Stack) {
    let none = |what: &str, statement: &str| assert_eq!(stack.sql("gateway", statement), "", "{what}");
    none(
        "captured beyond authorized, or refunded beyond captured",
        "SELECT id FROM charges WHERE amount_captured_minor + amount_released_minor > amount_minor
             OR amount_refunded_minor > amount_captured_minor",
    );
    none(
        "refunds that are not what the charge says",
        "SELECT c.id FROM charges c WHERE amount_refunded_minor <> (SELECT COALESCE(sum(amount_minor), 0) FROM refunds r
             WHERE r.charge_id = c.id AND r.status = 'succeeded')",
    );
    none(
        "payments that are not what their charges say",
        "SELECT p.id FROM payment_intents p LEFT JOIN LATERAL (SELECT sum(amount_captured_minor) AS taken, sum(amount_refunded_minor)
             AS given, count(*) AS yes FROM charges c WHERE c.payment_intent_id = p.id AND c.status = 'succeeded') c ON true
         WHERE p.amount_received_minor <> COALESCE(taken, 0) OR p.amount_refunded_minor <> COALESCE(given, 0)
            OR p.amount_refunding_minor <> 0 OR yes > 1 OR (p.status = 'succeeded') <> (COALESCE(taken, 0) > 0)
            OR p.status IN ('processing')",
    );
    none(
        "movements that nothing stands behind, or that are missing",
        "SELECT * FROM (
             SELECT c.payment_intent_id, 'capture' AS kind, c.amount_captured_minor AS amount, c.id FROM charges c WHERE captured
             UNION ALL SELECT r.payment_intent_id, 'refund', r.amount_minor, r.id FROM refunds r WHERE status = 'succeeded') AS said
         FULL JOIN (SELECT t.kind, t.amount_minor AS amount, t.id FROM transfers t) AS booked
             ON booked.kind = said.kind AND booked.amount = said.amount AND booked.id = said.id
         WHERE booked.id IS NULL OR said.id IS NULL",
    );
    none("refunds that wait for nothing", "SELECT id FROM refunds WHERE status = 'pending'");
}

/// Each account's sum over all movements; all of them together are nothing; and the API shows the merchant what the books say.
fn books_balance(stack: &Stack) {
    let accounts = stack.sql(
        "gateway",
        "SELECT account, sum(amount) FROM (
             SELECT debit_account AS account, amount_minor AS amount FROM transfers
             UNION ALL SELECT credit_account, -amount_minor FROM transfers) AS moved GROUP BY account",
    );
    let accounts: BTreeMap<&str, i64> = accounts
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, sum)| (name, sum.parse().unwrap()))
        .collect();
    assert_eq!(accounts.values().sum::<i64>(), 0, "{accounts:?}");
    let kept = "SELECT COALESCE(sum(amount_received_minor - amount_refunded_minor), 0) FROM payment_intents";
    let kept: i64 = stack.sql("gateway", kept).parse().unwrap();
    assert_eq!(-accounts.get("merchant_payable").copied().unwrap_or(0), kept);
    let balance = stack.read("/v1/balance", &stack.run().keys.sk_test).json();
    let sum =
        |name: &str| balance[name].as_array().unwrap().iter().map(|one| one["amount"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum("available") + sum("pending"), kept, "{balance}");
}

/// What holds at the acquirer: kind, reference, amount.
fn theirs(stack: &Stack) -> BTreeSet<(String, String, i64)> {
    let (mut all, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = stack.get(&format!("{}/acquirer/books?after={after}&limit=5000", stack.run().networks)).json();
        for entry in page["entries"].as_array().expect("entries") {
            after = entry["sequence"].as_i64().expect("a sequence");
            let text = |name: &str| entry[name].as_str().unwrap_or_else(|| panic!("{entry}")).to_owned();
            let kind = text("kind");
            if entry["response_code"] == "00" && entry["reversed"] == false && kind != "reversal" {
                all.insert((kind, text("reference"), entry["amount_minor"].as_i64().expect("an amount")));
            }
        }
        if page["has_more"] != true {
            return all;
        }
    }
}

/// What holds with us: what was approved and not voided.
fn ours(stack: &Stack) -> BTreeSet<(String, String, i64)> {
    let rows = stack.sql(
        "gateway",
        "SELECT CASE WHEN kind <> 'authorize' THEN kind WHEN capture THEN 'purchase' ELSE 'authorization' END, network_reference,
                amount_minor
         FROM attempts a WHERE state = 'approved' AND kind <> 'void' AND NOT EXISTS (SELECT FROM attempts v
             WHERE v.original_id = a.id AND v.kind = 'void' AND v.state = 'approved')",
    );
    let row = |row: &str| {
        let parts: Vec<&str> = row.split('|').collect();
        (parts[0].to_owned(), parts[1].to_owned(), parts[2].parse().unwrap())
    };
    rows.lines().map(row).collect()
}

/// Rows of a payment's id, a word and a number. The database has ids as bytes, events as they are shown.
fn rows(stack: &Stack, statement: &str) -> BTreeMap<(String, String), i64> {
    let shown = |id: &str| match id.parse::<Uuid>() {
        Ok(id) => PaymentIntentId::from_bytes(*id.as_bytes()).to_string(),
        Err(_) => id.to_owned(),
    };
    let row = |row: &str| {
        let parts: Vec<&str> = row.split('|').collect();
        ((shown(parts[0]), parts[1].to_owned()), parts[2].parse().unwrap())
    };
    stack.sql("gateway", statement).lines().map(row).collect()
}

/// What became of a payment and its attempts says which events there must be, and there are those, once each; and the newest one
/// that tells of the payment shows it as it is.
fn events_are_told_once(stack: &Stack) {
    let expected = rows(
        stack,
        "SELECT payment, type, count(*) FROM (
             SELECT id AS payment, 'payment_intent.created' AS type FROM payment_intents
             UNION ALL SELECT id, 'payment_intent.canceled' FROM payment_intents WHERE status = 'canceled'
             UNION ALL SELECT a.payment_intent_id, k.type FROM attempts a JOIN (VALUES
                 ('authorize', 'approved', true, 'charge.succeeded'), ('authorize', 'approved', true, 'payment_intent.succeeded'),
                 ('authorize', 'approved', false, 'charge.succeeded'),
                 ('authorize', 'approved', false, 'payment_intent.amount_capturable_updated'),
                 ('authorize', 'declined', NULL, 'charge.failed'), ('authorize', 'declined', NULL, 'payment_intent.payment_failed'),
                 ('authorize', 'reversed', NULL, 'payment_intent.payment_failed'),
                 ('capture', 'approved', NULL, 'charge.captured'), ('capture', 'approved', NULL, 'payment_intent.succeeded'),
                 ('void', 'approved', NULL, 'charge.refunded'),
                 ('refund', NULL, NULL, 'refund.created'),
                 ('refund', 'approved', NULL, 'refund.updated'), ('refund', 'approved', NULL, 'charge.refunded'),
                 ('refund', 'declined', NULL, 'refund.failed'), ('refund', 'reversed', NULL, 'refund.failed'),
                 ('refund', 'unsent', NULL, 'refund.failed')
             ) AS k (kind, state, capture, type)
                 ON k.kind = a.kind AND (k.state IS NULL OR k.state = a.state) AND (k.capture IS NULL OR k.capture = a.capture)
             UNION ALL SELECT payment_intent_id, 'payment_intent.processing' FROM attempts WHERE told_processing AND kind <> 'refund'
             UNION ALL SELECT payment_intent_id, 'payment_intent.amount_capturable_updated' FROM attempts
                 WHERE told_processing AND kind IN ('capture', 'void') AND state <> 'approved'
         ) AS expected GROUP BY 1, 2",
    );
    let told = rows(
        stack,
        "SELECT COALESCE(object->>'payment_intent', object->>'id'), type, count(*) FROM events
         WHERE type LIKE 'payment_intent.%' OR type LIKE 'charge.%' OR type LIKE 'refund.%' GROUP BY 1, 2",
    );
    let differing: Vec<_> =
        expected.keys().chain(told.keys()).filter(|one| expected.get(one) != told.get(one)).collect();
    assert!(differing.is_empty(), "{} of {}, such as {:?}", differing.len(), expected.len(), &differing[..1]);

    let now = rows(
        stack,
        "SELECT id, status, 0 FROM payment_intents WHERE status IN ('succeeded', 'canceled', 'requires_capture')",
    );
    let last = rows(
        stack,
        "SELECT DISTINCT ON (object->>'id') object->>'id', object->>'status', 0 FROM events WHERE type LIKE 'payment_intent.%'
         ORDER BY object->>'id', created_at DESC, id DESC",
    );
    let wrong: Vec<_> = now.keys().filter(|one| !last.contains_key(one)).collect();
    assert!(wrong.is_empty(), "what was told last is not so: {wrong:?}");
}
