//! Many at once, and what is left in the books: one charge of fifty equal requests, balances that are the sum of what moved.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use kura_platform::random;
use kura_tests::{Answer, Options, Stack};
use kura_wire::ids::ChargeId;
use serde_json::Value;
use uuid::Uuid;

/// Fifty at once.
fn fifty(ask: impl Fn(usize) -> Option<Answer> + Sync) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let ask = &ask;
        let asked: Vec<_> = (0..50).map(|number| scope.spawn(move || ask(number))).collect();
        asked.into_iter().map(|one| one.join().unwrap().expect("an answer")).collect()
    })
}

fn shared() -> &'static Stack {
    static STACK: std::sync::OnceLock<Stack> = std::sync::OnceLock::new();
    STACK.get_or_init(|| Stack::start(Options::default().unlimited()))
}

fn ok(answers: &[Answer]) -> Vec<Value> {
    answers.iter().filter(|answer| answer.status == 200).map(Answer::json).collect()
}

fn statuses(answers: &[Answer]) -> BTreeMap<(u16, String), usize> {
    let mut all = BTreeMap::new();
    for answer in answers {
        let code = answer.json()["error"]["code"].as_str().unwrap_or("ok").to_owned();
        *all.entry((answer.status, code)).or_default() += 1;
    }
    all
}

/// Fifty equal requests at once make one charge, and are all told of it or to come again; so do fifty different ones of one
/// payment; fifty captures take once, fifty refunds give once.
#[test]
fn fifty_at_once_are_one() {
    let stack = shared();
    let sk = stack.run().keys.sk_test.as_str();
    let name: String = data_encoding::HEXLOWER.encode(&random::bytes::<8>());
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("capture_method", "manual"),
        ("metadata[name]", name.as_str()),
    ];
    let answers = fifty(|_| stack.try_post("/v1/payment_intents", sk, &name, &form));
    let seen = statuses(&answers);
    assert!(
        seen.keys().all(|(status, code)| *status == 200 || (*status == 409 && code == "idempotency_key_in_use")),
        "{seen:?}"
    );
    let again = stack.try_post("/v1/payment_intents", sk, &name, &form).unwrap().json();
    let payment = again["id"].as_str().unwrap();
    assert!(!ok(&answers).is_empty() && ok(&answers).iter().all(|one| one["id"] == payment), "{seen:?}");
    let made = format!("SELECT count(*) FROM payment_intents WHERE metadata->>'name' = '{name}'");
    assert_eq!(stack.sql("gateway", &made), "1");

    let count = |kind: &str, state: &str| {
        let charge = again["latest_charge"].as_str().unwrap().parse::<ChargeId>().unwrap();
        let charge = Uuid::from_bytes(*charge.as_bytes());
        stack.sql(
            "gateway",
            &format!(
                "SELECT count(*) FROM attempts WHERE charge_id = '{charge}' AND kind = '{kind}' AND state = '{state}'"
            ),
        )
    };
    let path = |verb: &str| format!("/v1/payment_intents/{payment}{verb}");
    assert_eq!(count("authorize", "approved"), "1");
    let answers = fifty(|number| {
        stack.try_post(&path("/capture"), sk, &format!("{name}-c{number}"), &[("amount_to_capture", "1000")])
    });
    assert_eq!(ok(&answers).len(), 1, "{:?}", statuses(&answers));
    assert_eq!(count("capture", "approved"), "1");
    let refund = [("payment_intent", payment), ("amount", "600")];
    let answers = fifty(|number| stack.try_post("/v1/refunds", sk, &format!("{name}-r{number}"), &refund));
    assert_eq!(ok(&answers).len(), 1, "{:?}", statuses(&answers));
    assert_eq!(count("refund", "approved"), "1");
    let refund = [("payment_intent", payment), ("amount", "400")];
    let answers = fifty(|_| stack.try_post("/v1/refunds", sk, &format!("{name}-all"), &refund));
    let ids: BTreeSet<String> = ok(&answers).iter().map(|one| one["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{:?}", statuses(&answers));
    assert_eq!(count("refund", "approved"), "2");

    let open = stack.try_post("/v1/payment_intents", sk, &format!("{name}-o"), &form[..3]).unwrap().json();
    let path = format!("/v1/payment_intents/{}/confirm", open["id"].as_str().unwrap());
    let answers = fifty(|number| stack.try_post(&path, sk, &format!("{name}-k{number}"), &[]));
    assert_eq!(ok(&answers).len(), 1, "{:?}", statuses(&answers));
}

/// What moved a balance is shown with what it moved: of a charge and each of its refunds one, with the letters of its source, which
/// can be expanded either way; the balance is their sum; another merchant sees none of it.
#[test]
fn balances_are_what_the_books_say() {
    let stack = shared();
    let (sk, other) = (stack.run().keys.sk_test.as_str(), stack.run().keys.other_sk_test.as_str());
    let get = |path: &str| {
        let answer = stack.read(path, sk);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    };
    let post = |path: &str, form: &[(&str, &str)]| {
        let answer = stack.post(path, sk, form);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    };
    let form = [("amount", "1500"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let usd = |name: &str| {
        let balance = get("/v1/balance");
        let of = |one: &&Value| one["currency"] == "usd";
        balance[name].as_array().unwrap().iter().find(of).map_or(0, |one| one["amount"].as_i64().unwrap())
    };
    let held = post("/v1/payment_intents", &[&form[..], &[("capture_method", "manual")]].concat());
    let charge = get(&format!("/v1/charges/{}", held["latest_charge"].as_str().unwrap()));
    assert!(charge["balance_transaction"].is_null(), "nothing has moved");
    assert_eq!((usd("available"), usd("pending")), (0, 0));
    post(&format!("/v1/payment_intents/{}/capture", held["id"].as_str().unwrap()), &[("amount_to_capture", "1200")]);
    let refund = post("/v1/refunds", &[("payment_intent", held["id"].as_str().unwrap()), ("amount", "200")]);
    assert_eq!((usd("available"), usd("pending")), (-200, 1200), "refunds at once, payments when the network has paid");

    let charge = get(&format!("/v1/charges/{}?expand[]=balance_transaction", charge["id"].as_str().unwrap()));
    let moved = &charge["balance_transaction"];
    assert_eq!((&moved["amount"], &moved["net"], &moved["fee"]), (&1200.into(), &1200.into(), &0.into()));
    assert_eq!(
        (&moved["type"], &moved["status"], &moved["source"]),
        (&"charge".into(), &"pending".into(), &charge["id"])
    );
    let days = moved["available_on"].as_i64().unwrap() / 86_400 - moved["created"].as_i64().unwrap() / 86_400;
    assert_eq!((days, moved["available_on"].as_i64().unwrap() % 86_400), (2, 0));
    let id = moved["id"].as_str().unwrap();
    assert_eq!(id[4..], charge["id"].as_str().unwrap()[3..]);
    let back =
        get(&format!("/v1/balance_transactions/{}?expand[]=source", refund["balance_transaction"].as_str().unwrap()));
    assert_eq!(
        (&back["amount"], &back["type"], &back["status"]),
        (&(-200).into(), &"refund".into(), &"available".into())
    );
    assert_eq!((&back["source"]["object"], &back["source"]["id"]), (&"refund".into(), &refund["id"]));
    let of = get(&format!("/v1/balance_transactions?source={}", charge["id"].as_str().unwrap()));
    assert_eq!((of["data"].as_array().unwrap().len(), &of["data"][0]["id"]), (1, &moved["id"]));
    let newest = get("/v1/balance_transactions?limit=2");
    let newest: BTreeSet<&str> =
        newest["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(newest.len() == 2);
    assert_eq!(stack.read(&format!("/v1/balance_transactions/{id}"), other).status, 404);
    assert_eq!(stack.read("/v1/balance", other).json()["pending"][0]["amount"], 0);
}
