//! Bad days of the money path: vault and gateway killed in the middle of confirming payments, under load, fifty times.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kura_platform::random;
use kura_tests::{Answer, Options, Stack};

const KILLS: usize = 50;
const SHOPPERS: usize = 8;
/// The longest that a shopper's server keeps asking about one payment.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// Purchases that the acquirer approved and has not taken back: reference and amount.
fn acquirer_books(stack: &Stack) -> BTreeMap<String, i64> {
    let mut approved = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = stack.get(&format!("{}/acquirer/books?after={after}&limit=5000", stack.run().networks)).json();
        for entry in page["entries"].as_array().expect("entries") {
            after = entry["sequence"].as_i64().expect("a sequence");
            if entry["kind"] == "purchase" && entry["response_code"] == "00" && entry["reversed"] == false {
                let reference = entry["reference"].as_str().expect("a reference").to_owned();
                approved.insert(reference, entry["amount_minor"].as_i64().expect("an amount"));
            }
        }
        if page["has_more"] != true {
            return approved;
        }
    }
}

/// What the gateway believes that it was paid: reference and amount.
fn our_books(stack: &Stack) -> BTreeMap<String, i64> {
    let rows = stack.sql(
        "gateway",
        "SELECT network_reference, amount_minor FROM attempts WHERE kind = 'authorize' AND state = 'approved'",
    );
    rows.lines()
        .map(|row| row.split_once('|').expect("two columns"))
        .map(|(reference, amount)| (reference.to_owned(), amount.parse().expect("an amount")))
        .collect()
}

/// Asks as a merchant's server does: again with the same Idempotency-Key for as long as there is no final answer.
fn pay_until_answered(stack: &Stack, key: &str, amount: usize, gave_up: &AtomicUsize) {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(answer) = try_to_pay(stack, key, amount)
            && answer.status != 409
            && answer.status < 500
        {
            assert_eq!(answer.status, 200, "{}", answer.text);
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    gave_up.fetch_add(1, Ordering::Relaxed);
}

/// Sets the flag when it is dropped: a panic must not leave the shoppers paying.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn try_to_pay(stack: &Stack, key: &str, amount: usize) -> Option<Answer> {
    let amount = amount.to_string();
    let form =
        [("amount", amount.as_str()), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, key, &form)
}

/// Killed fifty times in mid-confirm: every payment is charged once or not at all, what the acquirer approved is what the
/// gateway has on its books, to the reference and the yen, and nothing stays undecided.
#[test]
fn killed_fifty_times_no_payment_is_lost_or_doubled() {
    let unlimited = ["per_address_per_second", "per_address_burst", "per_key_per_second", "per_key_burst"];
    let options = unlimited
        .iter()
        .fold(Options::default(), |options, limit| options.set(&format!("gateway.rate_limits.{limit}=1000000")))
        .set("gateway.recovery.every_ms=200")
        .set("gateway.recovery.after_ms=1500")
        .restart();
    let stack = &Stack::start(options);
    let (stop, gave_up, paid) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut in_mid_confirm = 0;
    std::thread::scope(|scope| {
        for shopper in 0..SHOPPERS {
            let (stop, gave_up, paid) = (&stop, &gave_up, &paid);
            scope.spawn(move || {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    pay_until_answered(stack, &format!("shopper-{shopper}-{turn}"), 1000 + turn % 1000, gave_up);
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stops_the_shoppers = StopOnDrop(&stop);
        for kill in 0..KILLS {
            std::thread::sleep(Duration::from_millis(100 + u64::from(random::bytes::<1>()[0])));
            let name = ["vault", "gateway"][kill % 2];
            let old = stack.kill9(name);
            let open = stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'");
            in_mid_confirm += usize::from(open != "0");
            stack.wait_restarted(name, old);
        }
    });
    let began = Instant::now();
    while stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") != "0" {
        assert!(began.elapsed() < SETTLED_WITHIN, "attempts stay undecided");
        std::thread::sleep(Duration::from_millis(200));
    }
    let (theirs, ours) = (acquirer_books(stack), our_books(stack));
    println!(
        "{KILLS} kills, {in_mid_confirm} of them with attempts under way; {} payments asked for, {} charged",
        paid.load(Ordering::Relaxed),
        ours.len()
    );
    assert!(in_mid_confirm > KILLS / 2, "only {in_mid_confirm} kills hit a confirmation");
    assert!(ours.len() > KILLS, "only {} payments went through", ours.len());
    assert_eq!(gave_up.load(Ordering::Relaxed), 0, "every payment got its answer in the end");
    assert_eq!(theirs, ours, "the acquirer's books are ours");
    let charged_twice = stack.sql(
        "gateway",
        "SELECT payment_intent_id FROM attempts WHERE kind = 'authorize' AND state = 'approved'
         GROUP BY payment_intent_id HAVING count(*) > 1",
    );
    assert_eq!(charged_twice, "");
    books_are_balanced(stack, &ours);
}

/// One PaymentIntent for each Idempotency-Key, one movement in the double-entry books for each approved attempt, and one
/// access-ledger row for each attempt that reached the vault.
fn books_are_balanced(stack: &Stack, ours: &BTreeMap<String, i64>) {
    let intents = stack.sql("gateway", "SELECT count(*) FROM payment_intents");
    let keys = stack.sql("gateway", "SELECT count(*) FROM idempotency_keys");
    assert_eq!(intents, keys, "one intent for each key");
    let received: i64 = stack.sql("gateway", "SELECT sum(amount_received_minor) FROM payment_intents").parse().unwrap();
    assert_eq!(received, ours.values().sum::<i64>());
    let moved = stack.sql("gateway", "SELECT sum(amount_minor) FROM transfers");
    assert_eq!(moved, received.to_string(), "every movement is on the books, once");
    let without_row = stack.sql(
        "vault",
        "SELECT count(*) FROM attempts WHERE kind = 'purchase'
         AND NOT EXISTS (SELECT 1 FROM openings WHERE openings.attempt_id = attempts.id)",
    );
    assert_eq!(without_row, "0", "no opening without its row");
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM attempts WHERE outcome IS NULL"), "0");
}

/// The vault's database dies under authorizations: some commits fail without saying whether they happened. When it is back,
/// payments go on, the ledger has no gap and no double, and the books still agree.
#[test]
fn a_database_that_died_in_mid_commit_is_gone_on_with() {
    let stack = &Stack::start(
        Options::default().restart().set("gateway.recovery.every_ms=200").set("gateway.recovery.after_ms=1500"),
    );
    let (stop, gave_up) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for shopper in 0..SHOPPERS {
            let (stop, gave_up) = (&stop, &gave_up);
            scope.spawn(move || {
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    pay_until_answered(stack, &format!("shopper-{shopper}-{turn}"), 1000, gave_up);
                }
            });
        }
        let _stops_the_shoppers = StopOnDrop(&stop);
        for _ in 0..2 {
            std::thread::sleep(Duration::from_secs(1));
            // Every connection that is in the middle of something loses its answer.
            stack.sql("vault", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'vault_app'");
        }
        std::thread::sleep(Duration::from_secs(1));
    });
    assert_eq!(gave_up.load(Ordering::Relaxed), 0);
    let began = Instant::now();
    while stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") != "0" {
        assert!(began.elapsed() < SETTLED_WITHIN, "attempts stay undecided");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(acquirer_books(stack), our_books(stack));
    let rows = stack.sql("vault", "SELECT count(*) = max(sequence) FROM openings");
    assert_eq!(rows, "t", "a ledger without gaps");
}
