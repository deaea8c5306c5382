//! Bad days of the money path: vault and gateway killed in the middle of confirming payments, under load, fifty times.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kura_platform::{clock, random};
use kura_shopper::{TypedCard, checked_key, seal};
use kura_tests::{Answer, Options, Stack, block_on};
use kura_wire::sealed_box::{SealingKey, Suite};
use serde_json::json;

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

/// Tries until there is a final answer, as shoppers' and merchants' programs do.
fn until_answered(ask: impl Fn() -> Option<Answer>) -> Option<Answer> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(answer) = ask()
            && answer.status != 409
            && answer.status < 500
        {
            assert_eq!(answer.status, 200, "{}", answer.text);
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// A payment's parameters: the card's name, and its value.
type Card = [(&'static str, String); 2];

fn test_card() -> Card {
    [("payment_method", "pm_card_visa".to_owned()), ("description", "A published card".to_owned())]
}

fn try_send(request: reqwest::RequestBuilder) -> Option<Answer> {
    block_on(async {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer { status, headers, text: response.text().await.ok()? })
    })
}

/// The key to seal to; a killed vault's keys die with it.
fn sealing_key(stack: &Stack) -> Option<SealingKey> {
    let config = std::fs::read_to_string(stack.state().join("gateway/gateway.toml")).unwrap();
    let identity = config.lines().find_map(|line| line.strip_prefix("vault_identity = ")).unwrap().trim_matches('"');
    let keys = try_send(Stack::http().get(format!("{}/checkout/sealing_keys", stack.run().gateway)))?;
    checked_key(&serde_json::from_str(&keys.text).ok()?, identity, Suite::X25519).ok()
}

/// A single-use token of a card that is sealed anew for each try; `None` when it must be tried again.
fn try_to_tokenize(stack: &Stack) -> Option<Answer> {
    let (pk, origin) = (stack.run().keys.pk_test.as_str(), stack.run().fronts.as_str());
    let card = TypedCard::new("4242424242424242", "123");
    let sealed = seal(&sealing_key(stack)?, &card, pk, origin, clock::now_ms()).unwrap();
    let request = Stack::http().post(format!("{}/v1/tokens", stack.run().gateway)).bearer_auth(pk);
    let answer = try_send(request.json(&json!({ "card": { "sealed_box": sealed } })))?;
    (answer.json()["error"]["code"] != "sealing_key_expired").then_some(answer)
}

fn tokenized(stack: &Stack) -> Option<Card> {
    let answer = until_answered(|| try_to_tokenize(stack))?;
    let token = answer.json()["id"].as_str().expect("a token").to_owned();
    Some([("payment_method_data[card][token]", token), ("payment_method_data[type]", "card".to_owned())])
}

/// Pays with the same Idempotency-Key for as long as there is no final answer. The money is there then, or the payment is
/// still being looked into.
fn pay_until_answered(stack: &Stack, key: &str, amount: usize, card: &Card) -> Option<()> {
    let answer = until_answered(|| try_to_pay(stack, key, amount, card))?.json();
    let status = answer["status"].as_str().expect("a status");
    assert!(matches!(status, "succeeded" | "processing"), "{status}");
    Some(())
}

/// Sets the flag when it is dropped: a panic must not leave the shoppers paying.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn try_to_pay(stack: &Stack, key: &str, amount: usize, card: &Card) -> Option<Answer> {
    let amount = amount.to_string();
    let mut form = vec![("amount", amount.as_str()), ("currency", "jpy"), ("confirm", "true")];
    form.extend(card.iter().map(|(name, value)| (*name, value.as_str())));
    stack.try_post("/v1/payment_intents", &stack.run().keys.sk_test, key, &form)
}

/// Killed fifty times in mid-confirm, of published test cards and of single-use tokens in turn: every payment is charged once
/// or not at all, what the acquirer approved is what the gateway has on its books, to the reference and the yen, and nothing
/// stays undecided.
#[test]
fn killed_fifty_times_no_payment_is_lost_or_doubled() {
    let options = Options::default()
        .unlimited()
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
                    let card = if turn % 2 == 0 { Some(test_card()) } else { tokenized(stack) };
                    let (key, amount) = (format!("shopper-{shopper}-{turn}"), 1000 + turn % 1000);
                    if card.and_then(|card| pay_until_answered(stack, &key, amount, &card)).is_none() {
                        gave_up.fetch_add(1, Ordering::Relaxed);
                    }
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
    let undecided = "SELECT count(*) FROM payment_intents WHERE status NOT IN ('succeeded', 'requires_payment_method')";
    assert_eq!(stack.sql("gateway", undecided), "0", "every payment is paid, or taken back");
    retries_after_the_worker_meet_their_payments(stack);
}

/// The gateway dies between the approval and the answer, and the worker settles before the merchant's server tries again: the
/// token is spent then, the saved card a customer's, and yet the retry is told of the payment that they paid.
fn retries_after_the_worker_meet_their_payments(stack: &Stack) {
    let sk = stack.run().keys.sk_test.as_str();
    let again = |key: &'static str, card: &Card| {
        let first = try_to_pay(stack, key, 500, card).expect("an answer");
        assert_eq!(first.json()["status"], "succeeded", "{}", first.text);
        move |card: &Card| {
            // What the crash leaves: the request has begun, and nobody is running it.
            let died = format!(
                "UPDATE idempotency_keys SET state = 'in_flight', status = NULL, body = NULL,
                 claimed_at = claimed_at - interval '2 minutes' WHERE key = '{key}' AND state = 'finished' RETURNING key"
            );
            assert!(stack.sql("gateway", &died).starts_with(key));
            let second = try_to_pay(stack, key, 500, card).expect("an answer");
            assert_eq!(second.status, 200, "{key}: {}", second.text);
            assert!(second.headers.get("idempotent-replayed").is_none(), "it ran again");
            assert_eq!((&second.json()["id"], &second.json()["status"]), (&first.json()["id"], &json!("succeeded")));
        }
    };
    let token = tokenized(stack).expect("a token");
    again("spent-token", &token)(&token);

    let form = [("type", "card"), ("card[token]", "tok_visa")];
    let saved = stack.post("/v1/payment_methods", sk, &form).json()["id"].as_str().expect("a saved card").to_owned();
    let customer = stack.post("/v1/customers", sk, &[]).json()["id"].as_str().expect("a customer").to_owned();
    let card = [("payment_method", saved.clone()), ("description", "A saved card".to_owned())];
    let retry = again("attached-card", &card);
    let attached = stack.post(&format!("/v1/payment_methods/{saved}/attach"), sk, &[("customer", &customer)]);
    assert_eq!(attached.status, 200, "{}", attached.text);
    retry(&card);
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
                    let paid = pay_until_answered(stack, &format!("shopper-{shopper}-{turn}"), 1000, &test_card());
                    gave_up.fetch_add(usize::from(paid.is_none()), Ordering::Relaxed);
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
