//! Answers that are kept for repeated requests: sealed, each for its own place, so that whoever reads the table reads nothing, and
//! whoever writes to it makes the gateway say nothing.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::{Answer, Stack};

const MARK: &str = "zebra7Q9x-kept";

fn random_key() -> String {
    data_encoding::HEXLOWER.encode(&kura_platform::random::bytes::<8>())
}

fn ask(stack: &Stack, sk: &str, key: &str) -> Answer {
    let form = [("amount", "1500"), ("currency", "jpy"), ("metadata[mark]", MARK), ("payment_method", "pm_card_visa")];
    stack.try_post("/v1/payment_intents", sk, key, &form).expect("an answer")
}

fn row(stack: &Stack, column: &str, key: &str) -> String {
    stack.sql("gateway", &format!("SELECT {column} FROM idempotency_keys WHERE key = '{key}'"))
}

/// It says neither what was answered nor about what.
fn says_nothing(answer: &Answer, id: &str) {
    assert_eq!(answer.status, 500, "{}", answer.text);
    for part in [id, MARK, "_secret_", "planted"] {
        assert!(!answer.text.contains(part), "{}", answer.text);
    }
    assert!(answer.headers.get("idempotent-replayed").is_none());
}

/// Nothing of an answer can be read in the table, and it is answered again all the same.
#[test]
fn kept_answers_cannot_be_read() {
    let (stack, key) = (Stack::shared(), random_key());
    let sk = stack.run().keys.sk_test.as_str();
    let first = ask(stack, sk, &key);
    assert_eq!(first.status, 200, "{}", first.text);
    let (kept, id) = (row(stack, "idempotency_keys::text", &key), first.json()["id"].as_str().unwrap().to_owned());
    let sealed = data_encoding::BASE64.decode(row(stack, "body", &key).as_bytes()).expect("base64");
    let opened = String::from_utf8_lossy(&sealed);
    for part in [MARK, id.as_str(), "_secret_", "payment_intent", "amount", "jpy"] {
        assert!(!kept.contains(part) && !opened.contains(part), "{part} can be read in {kept}");
    }
    // Equal answers are not equal here: each has a nonce of its own.
    let again = ask(stack, sk, &key);
    assert_eq!((again.text, again.headers["idempotent-replayed"].to_str().unwrap()), (first.text, "true"));
    let refused =
        stack.try_post("/v1/payment_intents", sk, &format!("{key}-2"), &[("amount", MARK), ("currency", "jpy")]);
    assert_eq!(refused.expect("an answer").status, 400);
    assert_eq!(row(stack, "1", &format!("{key}-2")), "", "what did nothing is not kept");
}

/// An answer that is moved to another merchant, another key or another mode does not open there; nor does one that was changed, or
/// that somebody without the secret wrote.
#[test]
fn kept_answers_open_in_their_own_place_alone() {
    let (stack, key) = (Stack::shared(), random_key());
    let (run, sk) = (stack.run(), stack.run().keys.sk_test.as_str());
    let first = ask(stack, sk, &key);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let merchant = |sk: &str| {
        let made = stack.try_post("/v1/customers", sk, &format!("{key}-{}", random_key()), &[]).expect("an answer");
        let request = made.headers["request-id"].to_str().unwrap().parse::<kura_wire::ids::RequestId>().unwrap();
        let request = uuid::Uuid::from_bytes(*request.as_bytes());
        stack.sql("gateway", &format!("SELECT merchant_id FROM idempotency_keys WHERE request_id = '{request}'"))
    };
    let columns = "scope, fingerprint, seed, state, instance, claimed_at, request_id, status, body, created_at";
    let copy = |merchant: &str, livemode: &str, to: &str| {
        stack.sql(
            "gateway",
            &format!(
                "INSERT INTO idempotency_keys (merchant_id, livemode, key, {columns})
                      SELECT {merchant}, {livemode}, '{to}', {columns} FROM idempotency_keys WHERE key = '{key}'
                      ORDER BY created_at LIMIT 1"
            ),
        );
    };
    let other = format!("'{}'::uuid", merchant(&run.keys.other_sk_test));
    assert_ne!(other, format!("'{}'::uuid", merchant(sk)));

    copy(&other, "livemode", &key);
    says_nothing(&ask(stack, &run.keys.other_sk_test, &key), &id);
    let moved = random_key();
    copy("merchant_id", "livemode", &moved);
    says_nothing(&ask(stack, sk, &moved), &id);
    let live = ["add-key", "--merchant", &run.merchants.main, "--kind", "secret", "--live", "--name", "kept"];
    let live = stack.command("gateway", &live);
    let live: serde_json::Value = serde_json::from_str(live.lines().last().unwrap()).unwrap();
    copy("merchant_id", "true", &key);
    says_nothing(&ask(stack, live["key"].as_str().unwrap(), &key), &id);
    stack.sql("gateway", &format!("DELETE FROM idempotency_keys WHERE key = '{key}' AND livemode"));

    let whole = ask(stack, sk, &key);
    assert_eq!((whole.status, whole.json()["id"].as_str()), (200, Some(id.as_str())), "its own place");
    for body in [
        "overlay(body placing 'AAAA' from 41 for 4)",
        "left(body, 40)",
        "'{\"id\": \"planted\"}'",
        "'cGxhbnRlZA=='",
        "''",
    ] {
        let changed = random_key();
        assert_eq!(ask(stack, sk, &changed).status, 200);
        stack.sql("gateway", &format!("UPDATE idempotency_keys SET body = {body} WHERE key = '{changed}'"));
        says_nothing(&ask(stack, sk, &changed), &id);
    }
}
