//! Merchants' logs of their requests: every error's address leads there, for its owner alone, and nothing that was sent is kept.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::{Answer, Stack};
use serde_json::{Value, json};

const MARK: &str = "zebra7Q9x";
const PAN: &str = "4539578763621486";

fn log_of(stack: &Stack, sk: &str, answer: &Answer) -> Value {
    let id = answer.headers["request-id"].to_str().unwrap();
    let log = stack.read(&format!("/v1/request_logs/{id}"), sk);
    assert_eq!(log.status, 200, "{}", log.text);
    log.json()
}

/// What was asked, how it ended, with which key: of successes and of errors, wherever they were found.
#[test]
fn every_request_is_on_record() {
    let stack = Stack::shared();
    let keys = &stack.run().keys;
    let sk = keys.sk_test.as_str();
    let made = stack.try_post("/v1/customers", sk, "request-logs-1", &[("description", MARK)]).expect("an answer");
    let log = log_of(stack, sk, &made);
    assert_eq!(log["object"], "request_log");
    assert_eq!((&log["method"], &log["path"], &log["status"]), (&json!("POST"), &json!("/v1/customers"), &json!(200)));
    assert_eq!((&log["code"], &log["idempotency_key"]), (&Value::Null, &json!("request-logs-1")));
    assert_eq!(log["key"], format!("sk_test_...{}", &sk[sk.len() - 4..]));
    assert!(log["duration_ms"].as_i64().is_some_and(|ms| (0..60_000).contains(&ms)));
    let customer = made.json()["id"].as_str().unwrap().to_owned();
    let read = stack.read(&format!("/v1/customers/{customer}?expand[]=invoice_settings.default_payment_method"), sk);
    assert_eq!(log_of(stack, sk, &read)["path"], format!("/v1/customers/{customer}"));

    let intents = "/v1/payment_intents";
    let deep = format!("metadata{}={MARK}", "[a]".repeat(200));
    let malformed = Stack::http().post(format!("{}{intents}", stack.run().gateway)).bearer_auth(sk).body(deep);
    let malformed = malformed.header("content-type", "application/x-www-form-urlencoded");
    let malformed = kura_tests::block_on(async {
        let response = malformed.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    });
    let bare = [("amount", "100"), ("currency", "jpy")];
    for (answer, code, path) in [
        (stack.post(intents, sk, &[("amount", MARK), bare[1]]), "parameter_invalid_integer", intents),
        (stack.post(intents, sk, &[bare[0], bare[1], ("colour", MARK)]), "parameter_unknown", intents),
        (stack.post(intents, &keys.pk_test, &bare), "secret_key_required", intents),
        (stack.read(&format!("/v1/customers/{MARK}@example.jp"), sk), "resource_missing", "/v1/customers/*"),
        (stack.read(&format!("/v1/{MARK}"), sk), "url_unknown", "/v1/*"),
        (stack.post(intents, sk, &[bare[0], bare[1], ("description", PAN)]), "raw_card_data_refused", intents),
        (stack.read(&format!("/v1/customers/{PAN}"), sk), "raw_card_data_refused", "/v1/customers/*"),
        (malformed, "body_malformed", intents),
    ] {
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], code, "{}", answer.text);
        let url = error["request_log_url"].as_str().expect("an address");
        let path_of_log = url.strip_prefix(stack.run().gateway.as_str()).expect("an address of ours");
        let log = stack.read(path_of_log, sk);
        assert_eq!(log.status, 200, "{code}: {}", log.text);
        assert_eq!((&log.json()["code"], &log.json()["path"]), (&json!(code), &json!(path)), "{}", log.text);
        assert_eq!(log.json()["status"], answer.status);
        assert_eq!(stack.read(path_of_log, &keys.other_sk_test).status, 404, "another merchant's");
        assert_eq!(stack.read(path_of_log, &keys.pk_test).status, 403);
    }
    for wrong in [stack.get(&format!("{}{intents}", stack.run().gateway)), stack.read(intents, "sk_test_x")] {
        assert_eq!((wrong.status, &wrong.json()["error"]["request_log_url"]), (401, &Value::Null), "nobody's");
    }
    let kept = stack.sql("gateway", "SELECT string_agg(t::text, ' ') FROM request_logs t");
    for part in [MARK, PAN, &sk[8..], "expand", "example.jp", "description"] {
        assert!(!kept.contains(part), "{part} is kept");
    }
}

/// Newest first, page by page, by method, status and error; reading the log is not in it.
#[test]
fn logs_are_listed() {
    let stack = Stack::shared();
    let sk = stack.run().keys.other_sk_test.as_str();
    for _ in 0..3 {
        log_of(stack, sk, &stack.read("/v1/charges?limit=1", sk));
        log_of(stack, sk, &stack.post("/v1/refunds", sk, &[("nonsense", "x")]));
    }
    let get = |query: &str| {
        let answer = stack.read(&format!("/v1/request_logs?{query}"), sk);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["data"].as_array().unwrap().clone()
    };
    let all = get("limit=100");
    assert!(all.iter().all(|log| !log["path"].as_str().unwrap().starts_with("/v1/request_logs")), "{all:?}");
    assert!(all.windows(2).all(|pair| pair[0]["created"].as_i64() >= pair[1]["created"].as_i64()));
    let of = |query: &str, field: &str, value: Value| {
        let found = get(query);
        assert!(found.len() >= 3 && found.iter().all(|log| log[field] == value), "{query}: {found:?}");
    };
    of("method=POST", "method", json!("POST"));
    of("status=400", "status", json!(400));
    of("code=parameter_unknown", "code", json!("parameter_unknown"));
    let (first, rest) = (get("limit=2"), get(&format!("limit=100&starting_after={}", all[1]["id"].as_str().unwrap())));
    assert_eq!((&first[..], &rest[..]), (&all[..2], &all[2..]));
    let unknown = stack.read("/v1/request_logs?method=PATCH", sk);
    assert_eq!((unknown.status, &unknown.json()["error"]["param"]), (400, &json!("method")));
    let absent = stack.read(&format!("/v1/request_logs/req_{}", "0".repeat(26)), sk);
    assert_eq!(absent.status, 404);
}
