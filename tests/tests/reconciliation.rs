//! The books held against what the networks say they have settled: what differs is listed until both say the same or somebody has
//! explained it.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use kura_tests::planes::Plane;
use kura_tests::{Options, Stack};
use serde_json::{Value, json};
use uuid::Uuid;

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, &stack.run().keys.sk_test, form);
    assert!(answer.status == 200 || answer.status == 402, "{path}: {}", answer.text);
    answer.json()
}

fn pay(stack: &Stack, card: &str, manual: bool) -> Value {
    let method = if manual { "manual" } else { "automatic" };
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("payment_method", card),
        ("confirm", "true"),
        ("capture_method", method),
    ];
    post(stack, "/v1/payment_intents", &form)
}

fn today() -> String {
    kura_platform::clock::now().date().to_string()
}

fn compare(stack: &Stack, network: &str) -> Value {
    let asked = json!({ "livemode": false, "network": network, "day": today() });
    let (status, compared) = Plane::gateway_control(stack).post("/control/v1/reconciliation", &asked);
    assert_eq!(status, 200, "{compared}");
    compared
}

fn shown(stack: &Stack) -> Value {
    let (status, shown) = Plane::gateway_control(stack).get("/control/v1/reconciliation");
    assert_eq!(status, 200, "{shown}");
    shown
}

/// Open differences: class, what the network says, what the books say.
fn open(stack: &Stack) -> Vec<(String, i64, i64)> {
    let shown = shown(stack);
    let one = |one: &Value| {
        let sum = |name: &str| one[name].as_i64().unwrap();
        (one["class"].as_str().unwrap().to_owned(), sum("theirs_minor"), sum("ours_minor"))
    };
    let mut all: Vec<_> = shown["open"].as_array().unwrap().iter().map(one).collect();
    assert_eq!(shown["open_count"], all.len());
    all.sort();
    all
}

fn uuid_of(id: &Value) -> Uuid {
    let id: kura_wire::ids::ChargeId = id.as_str().unwrap().parse().unwrap();
    Uuid::from_bytes(*id.as_bytes())
}

fn settled(stack: &Stack) {
    let began = Instant::now();
    while stack.sql("gateway", "SELECT count(*) FROM attempts WHERE state = 'unresolved'") != "0" {
        assert!(began.elapsed() < Duration::from_secs(60), "attempts stay undecided");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Payments, captures, refunds, voids, declines, lost answers and reversals: both sides say the same. A movement that is missing
/// in the books, one that is made up, one of another amount: each is listed, once, with both sums and its merchant; is resolved by
/// itself when it is right again, or by who explains it; and is open again when it changes after that.
#[test]
fn what_differs_is_listed_until_it_is_resolved() {
    let options = Options::default().set("gateway.recovery.every_ms=200").set("gateway.recovery.after_ms=1500");
    let stack = &Stack::start(options.set("vault.acquirer.test.response_timeout_ms=800"));
    let (first, second) = (pay(stack, "pm_card_visa", false), pay(stack, "pm_card_mastercard", false));
    let held = pay(stack, "pm_card_visa", true);
    post(
        stack,
        &format!("/v1/payment_intents/{}/capture", held["id"].as_str().unwrap()),
        &[("amount_to_capture", "1000")],
    );
    let freed = pay(stack, "pm_card_visa", true);
    post(stack, &format!("/v1/payment_intents/{}/cancel", freed["id"].as_str().unwrap()), &[]);
    post(stack, "/v1/refunds", &[("payment_intent", first["id"].as_str().unwrap()), ("amount", "400")]);
    for card in ["pm_card_chargeDeclined", "pm_card_answerLost", "pm_card_networkTimeout"] {
        pay(stack, card, false);
    }
    settled(stack);
    let compared = compare(stack, "card");
    assert_eq!((compared["complete"].as_bool(), compared["day"].as_str()), (Some(false), Some(today().as_str())));
    assert!(compared["rows"].as_i64().unwrap() >= 4, "{compared}");
    assert_eq!(open(stack), []);

    let (lost, other) = (uuid_of(&first["latest_charge"]), uuid_of(&second["latest_charge"]));
    let saved = "CREATE TABLE saved AS SELECT * FROM transfers";
    stack.sql("gateway", saved);
    stack.sql("gateway", &format!("DELETE FROM transfers WHERE id = '{lost}'"));
    stack.sql("gateway", &format!("UPDATE transfers SET amount_minor = 1700 WHERE id = '{other}'"));
    stack.sql(
        "gateway",
        "INSERT INTO transfers (merchant_id, attempt_id, kind, livemode, debit_account, credit_account, amount_minor, currency,
             created_at, id, source_id, available_at)
         SELECT merchant_id, id, 'refund', livemode, 'merchant_payable', 'acquirer_receivable', 900, 'jpy', now(), id, id, now()
         FROM attempts WHERE kind = 'void' LIMIT 1",
    );
    for _ in 0..2 {
        compare(stack, "card");
        let payment = |theirs, ours| ("payment".to_owned(), theirs, ours);
        assert_eq!(open(stack), [payment(1500, 0), payment(1500, 1700), ("refund".to_owned(), 0, 900)]);
    }
    let all = shown(stack)["open"].as_array().unwrap().clone();
    assert!(all.iter().all(|one| one["owner"] == stack.run().merchants.main.as_str()), "{all:?}");

    let wrong = all.iter().find(|one| one["ours_minor"] == 1700).unwrap();
    let path = format!("/control/v1/reconciliation/differences/{}", wrong["id"].as_str().unwrap());
    let explain = |body: Value| Plane::gateway_control(stack).post(&path, &body).0;
    assert_eq!(explain(json!({ "by": "", "note": "x" })), 400);
    assert_eq!(explain(json!({ "by": "a person", "note": "a fee that the books have not" })), 204);
    assert_eq!(explain(json!({ "by": "a person", "note": "again" })), 404);
    stack.sql("gateway", &format!("INSERT INTO transfers SELECT * FROM saved WHERE id = '{lost}'"));
    compare(stack, "card");
    assert_eq!(open(stack), [("refund".to_owned(), 0, 900)], "right again, and explained");
    stack.sql("gateway", &format!("UPDATE transfers SET amount_minor = 1800 WHERE id = '{other}'"));
    compare(stack, "card");
    assert_eq!(
        open(stack),
        [("payment".to_owned(), 1500, 1800), ("refund".to_owned(), 0, 900)],
        "explained was another one"
    );
    stack.sql("gateway", "DELETE FROM transfers WHERE kind = 'refund' AND amount_minor = 900");
    stack.sql("gateway", &format!("UPDATE transfers SET amount_minor = 1500 WHERE id = '{other}'"));
    compare(stack, "card");
    assert_eq!(open(stack), []);
    stack.sql("gateway", "DROP TABLE saved");

    days_that_are_over_are_compared(stack);
}

/// Yesterday is compared without anybody asking, for each network that there is: those of test mode.
fn days_that_are_over_are_compared(stack: &Stack) {
    let began = Instant::now();
    let complete = || {
        let shown = shown(stack);
        let done = |one: &&Value| one["complete"] == true;
        shown["days"].as_array().unwrap().iter().filter(done).cloned().collect::<Vec<_>>()
    };
    while complete().len() < 4 {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", shown(stack));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(complete().iter().all(|one| one["livemode"] == false));
    for network in ["konbini", "payeasy", "emoney"] {
        compare(stack, network);
    }
    assert_eq!(open(stack), []);
    let (status, _) = Plane::gateway_control(stack)
        .post("/control/v1/reconciliation", &json!({ "livemode": true, "network": "card", "day": today() }));
    assert_eq!(status, 404, "no live network here");
    let (status, _) = Plane::gateway_control(stack)
        .post("/control/v1/reconciliation", &json!({ "livemode": false, "network": "card", "day": "2999-01-01" }));
    assert_eq!(status, 400);
}
