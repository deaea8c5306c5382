//! Database servers that are there and never answer: every caller is told so in time, and when they answer again nothing was
//! done twice and nothing is left undone.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kura_shopper::{TypedCard, checked_key, seal};
use kura_tests::{Answer, Options, Stack, block_on, wait_until};
use kura_wire::sealed_box::Suite;
use serde_json::{Value, json};

/// A call may wait for 4.5 seconds; the rest is what a loaded machine takes.
const TOLD_WITHIN: Duration = Duration::from_secs(6);

fn stack() -> Stack {
    let options = Options::default().set("gateway.recovery.every_ms=200").set("gateway.recovery.after_ms=1500");
    Stack::start(options.unlimited())
}

fn pay(stack: &Stack, key: &str, amount: &str) -> (Answer, Duration) {
    pay_with(stack, key, amount, "pm_card_visa")
}

fn pay_with(stack: &Stack, key: &str, amount: &str, method: &str) -> (Answer, Duration) {
    let form = [("amount", amount), ("currency", "jpy"), ("confirm", "true"), ("payment_method", method)];
    let began = Instant::now();
    let answer = stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, key, &form).expect("an answer");
    (answer, began.elapsed())
}

/// Sends until there is an answer that is none of waiting: what an SDK's retries are.
fn pay_to_the_end(stack: &Stack, key: &str, amount: &str) -> Value {
    let began = Instant::now();
    loop {
        let (answer, _) = pay(stack, key, amount);
        if answer.status == 200 && answer.json()["status"] == "succeeded" {
            return answer.json();
        }
        assert!([200, 503].contains(&answer.status), "{}", answer.text);
        assert!(began.elapsed() < Duration::from_secs(60), "{}", answer.text);
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn assert_told_to_come_back((answer, took): &(Answer, Duration)) {
    assert!(*took < TOLD_WITHIN, "told after {took:?}: {}", answer.text);
    assert_eq!(answer.status, 503, "{}", answer.text);
    let error = &answer.json()["error"];
    assert!(["interrupted", "overloaded", "vault_unavailable"].contains(&error["code"].as_str().unwrap()), "{error}");
    assert_eq!(error["type"], "api_error");
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.headers["stripe-should-retry"], "true");
}

/// What the acquirer approved and has not taken back, by reference.
fn theirs(stack: &Stack) -> BTreeMap<String, i64> {
    let page = stack.get(&format!("{}/acquirer/books?limit=5000", stack.run().networks)).json();
    let entries = page["entries"].as_array().expect("entries").iter();
    let standing = entries
        .filter(|entry| entry["kind"] == "purchase" && entry["response_code"] == "00" && entry["reversed"] == false);
    standing
        .map(|entry| (entry["reference"].as_str().unwrap().into(), entry["amount_minor"].as_i64().unwrap()))
        .collect()
}

/// One payment for each key, one charge for each payment, the acquirer's books are ours, and every event is there once.
fn assert_each_paid_once(stack: &Stack, amounts: &[i64]) {
    wait_until("all attempts to be settled", || {
        stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") == "0"
    });
    let approved = stack.sql(
        "gateway",
        "SELECT network_reference, amount_minor FROM attempts WHERE kind = 'authorize' AND state = 'approved'",
    );
    let ours: BTreeMap<String, i64> = approved
        .lines()
        .filter_map(|row| row.split_once('|'))
        .map(|(at, sum)| (at.into(), sum.parse().unwrap()))
        .collect();
    assert_eq!(theirs(stack), ours, "the acquirer's books are ours");
    let mut paid: Vec<i64> = ours.into_values().collect();
    paid.sort_unstable();
    assert_eq!(paid, amounts, "each once");
    let all = amounts.len().to_string();
    for (what, count) in [
        ("payments", "SELECT count(*) FROM payment_intents"),
        ("payments that succeeded", "SELECT count(*) FROM payment_intents WHERE status = 'succeeded'"),
        ("charges", "SELECT count(*) FROM charges"),
        ("movements", "SELECT count(*) FROM transfers"),
        ("events", "SELECT count(*) FROM events WHERE type = 'payment_intent.succeeded'"),
    ] {
        assert_eq!(stack.sql("gateway", count), all, "{what}");
    }
    let moved: i64 = amounts.iter().sum();
    assert_eq!(stack.sql("gateway", "SELECT sum(amount_minor) FROM transfers"), moved.to_string());
}

/// While the database is silent everybody is told to come back, within five seconds: who pays, who reads, who opens the console.
/// When it speaks again, the same keys go on at once, and each payment is there once.
#[test]
fn whoever_asks_a_silent_database_is_told_to_come_back() {
    let stack = &stack();
    let run = stack.run();
    let keys: Vec<String> = (0..12).map(|turn| format!("silence-{turn}")).collect();
    let amount = |turn: usize| (1000 + turn).to_string();
    pay_to_the_end(stack, &keys[0], &amount(0));
    let pids = stack.run_now().pids;

    let frozen = stack.freeze_database("main");
    std::thread::scope(|scope| {
        // More than there are idle connections; and again, when none is left and new ones are not to be had.
        let asked: Vec<_> = (0..keys.len())
            .map(|turn| (turn, &keys[turn]))
            .map(|(turn, key)| scope.spawn(move || [pay(stack, key, &amount(turn)), pay(stack, key, &amount(turn))]))
            .collect();
        let read = scope.spawn(|| {
            let began = Instant::now();
            (stack.read("/v1/payment_intents", &run.keys.sk_test), began.elapsed())
        });
        let console = scope.spawn(|| {
            let session = format!("__Host-kura-session={}", data_encoding::BASE64URL_NOPAD.encode(&[7; 32]));
            let (request, began) =
                (Stack::http().get(format!("{}/", run.admin)).header("cookie", session), Instant::now());
            let status = block_on(async { request.send().await.expect("an answer").status().as_u16() });
            (status, began.elapsed())
        });
        asked.into_iter().flat_map(|asked| asked.join().unwrap()).for_each(|told| assert_told_to_come_back(&told));
        assert_told_to_come_back(&read.join().unwrap());
        let (status, took) = console.join().unwrap();
        assert!(status == 503 && took < TOLD_WITHIN, "the console says {status} after {took:?}");
    });
    drop(frozen);

    // The very next try goes on, and is not told that the first one is still under way.
    for (turn, key) in keys.iter().enumerate() {
        let intent = pay_to_the_end(stack, key, &amount(turn));
        assert_eq!(intent["amount_received"], 1000 + i64::try_from(turn).unwrap());
    }
    let amounts: Vec<i64> = (1000..1012).collect();
    assert_each_paid_once(stack, &amounts);
    assert_eq!(stack.run_now().pids, pids, "nobody had to be started anew");
}

/// Silence in the midst of a payment, when the acquirer has said yes and nobody wrote it down yet: the merchant is told that it
/// is not known, the recovery worker finds it out, and the same key gives the one payment.
#[test]
fn a_payment_that_falls_silent_before_its_outcome_is_written_goes_on() {
    let stack = &stack();
    pay_to_the_end(stack, "before", "1000");
    stack.pause("networks");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| pay(stack, "cut", "1001"));
        wait_until("the attempt to be under way", || {
            stack.sql("vault", "SELECT count(*) FROM attempts WHERE outcome IS NULL") == "1"
        });
        let frozen = stack.freeze_database("main");
        let began = Instant::now();
        stack.go_on("networks");
        let (answer, _) = asked.join().unwrap();
        assert_told_to_come_back(&(answer.clone(), began.elapsed()));
        assert_eq!(answer.json()["error"]["code"], "interrupted", "{}", answer.text);
        assert_eq!(
            stack.sql("vault", "SELECT count(*) FROM attempts WHERE outcome IS NULL"),
            "0",
            "the acquirer has said yes"
        );
        drop(frozen);
    });
    wait_until("the recovery worker to settle it", || {
        stack.sql("gateway", "SELECT count(*) FROM payment_intents WHERE status = 'succeeded'") == "2"
    });
    let (again, _) = pay(stack, "cut", "1001");
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("succeeded")), "{}", again.text);
    assert_each_paid_once(stack, &[1000, 1001]);
}

/// The vault's own database falls silent: cards are not taken meanwhile, a payment that was asked for is looked into, and both go
/// well afterwards.
#[test]
fn a_vault_without_an_answer_from_its_database_loses_nothing() {
    let stack = &stack();
    let run = stack.run();
    pay_to_the_end(stack, "before", "1000");
    let keys = stack.get(&format!("{}/checkout/sealing_keys", run.gateway)).json();
    let key = checked_key(&serde_json::from_value(keys).unwrap(), &run.vault_identity, Suite::X25519).unwrap();
    let card = TypedCard::new("4242424242424242", "123");
    let tokenize = || {
        let (began, now) = (Instant::now(), kura_platform::clock::now_ms());
        let sealed = seal(&key, &card, &run.keys.pk_test, &run.fronts, now).unwrap();
        (
            stack.post_json("/v1/tokens", &run.keys.pk_test, &json!({ "card": { "sealed_box": sealed } })),
            began.elapsed(),
        )
    };

    let token = tokenize().0.json()["id"].as_str().expect("a token").to_owned();
    let form = [("type", "card"), ("card[token]", token.as_str())];
    let saved = stack.post("/v1/payment_methods", &run.keys.sk_test, &form).json()["id"].clone();
    let saved = saved.as_str().expect("a saved card");

    let frozen = stack.freeze_database("vault");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| pay_with(stack, "silent", "1001", saved));
        assert_told_to_come_back(&tokenize());
        let (answer, took) = asked.join().unwrap();
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("processing")), "{}", answer.text);
        assert!(took < TOLD_WITHIN, "told after {took:?}");
    });
    drop(frozen);
    wait_until("cards to be taken again", || tokenize().0.status == 200);
    wait_until("the payment to end", || {
        stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") == "0"
    });
    // It was written down before anything was sent, so it was taken back; or it went through when the database spoke again.
    let standing = theirs(stack).len();
    let succeeded = stack.sql("gateway", "SELECT count(*) FROM payment_intents WHERE status = 'succeeded'");
    assert_eq!(standing.to_string(), succeeded, "the acquirer's books are ours");
    pay_to_the_end(stack, "after", "1002");
}
