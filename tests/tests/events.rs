//! Events: every change of state has exactly one, written with it; and customers, who change and go.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::{Answer, Stack};
use serde_json::{Value, json};

fn sk(stack: &Stack) -> &str {
    &stack.run().keys.sk_test
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, sk(stack), form);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn get(stack: &Stack, path: &str) -> Value {
    let answer = stack.read(path, sk(stack));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_else(|| panic!("{object}"))
}

/// The kinds of the events about a payment and its charges and refunds, oldest first, and the status that each shows.
fn told(stack: &Stack, payment: &str) -> Vec<(String, String)> {
    let all = get(stack, "/v1/events?limit=100");
    let about = |event: &&Value| {
        let object = &event["data"]["object"];
        object["id"] == payment || object["payment_intent"] == payment
    };
    let said = |event: &Value| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (word(&event["type"]), word(&event["data"]["object"]["status"]))
    };
    let mut told: Vec<(String, String)> = all["data"].as_array().unwrap().iter().filter(about).map(said).collect();
    told.reverse();
    told
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
}

/// Paid at once, captured later, called off, declined, refunded: what happened is told once each, in order, with the object as
/// it was then.
#[test]
fn each_change_of_a_payment_is_told_once() {
    let stack = Stack::shared();
    let form = [("amount", "1500"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = post(stack, "/v1/payment_intents", &form);
    let expected = [
        ("payment_intent.created", "requires_confirmation"),
        ("charge.succeeded", "succeeded"),
        ("payment_intent.succeeded", "succeeded"),
    ];
    assert_eq!(told(stack, id(&paid)), pairs(&expected));
    post(stack, "/v1/refunds", &[("payment_intent", id(&paid)), ("amount", "500")]);
    let refunded = [("refund.created", "pending"), ("refund.updated", "succeeded"), ("charge.refunded", "succeeded")];
    assert_eq!(told(stack, id(&paid))[3..], pairs(&refunded));

    let held = post(stack, "/v1/payment_intents", &[&form[..], &[("capture_method", "manual")]].concat());
    post(stack, &format!("/v1/payment_intents/{}/capture", id(&held)), &[("amount_to_capture", "1000")]);
    let expected = [
        ("payment_intent.created", "requires_confirmation"),
        ("charge.succeeded", "succeeded"),
        ("payment_intent.amount_capturable_updated", "requires_capture"),
        ("charge.captured", "succeeded"),
        ("payment_intent.succeeded", "succeeded"),
    ];
    assert_eq!(told(stack, id(&held)), pairs(&expected));

    let freed = post(stack, "/v1/payment_intents", &[&form[..], &[("capture_method", "manual")]].concat());
    post(stack, &format!("/v1/payment_intents/{}/cancel", id(&freed)), &[]);
    let tail = [("charge.refunded", "succeeded"), ("payment_intent.canceled", "canceled")];
    assert_eq!(told(stack, id(&freed))[3..], pairs(&tail));

    let dropped = post(stack, "/v1/payment_intents", &form[..2]);
    post(stack, &format!("/v1/payment_intents/{}/cancel", id(&dropped)), &[]);
    let expected = [("payment_intent.created", "requires_payment_method"), ("payment_intent.canceled", "canceled")];
    assert_eq!(told(stack, id(&dropped)), pairs(&expected));

    let form = [form[0], form[1], ("payment_method", "pm_card_chargeDeclined"), form[3]];
    let declined = stack.post("/v1/payment_intents", sk(stack), &form).json()["error"]["payment_intent"].clone();
    let expected = [
        ("payment_intent.created", "requires_confirmation"),
        ("charge.failed", "failed"),
        ("payment_intent.payment_failed", "requires_payment_method"),
    ];
    assert_eq!(told(stack, id(&declined)), pairs(&expected));
}

/// A repeated request changes nothing a second time, and tells nothing a second time; an event names the request.
#[test]
fn a_repeated_request_tells_nothing_again() {
    let stack = Stack::shared();
    let form = [("amount", "700"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let first = stack.try_post("/v1/payment_intents", sk(stack), "events-once", &form).expect("an answer");
    let again = stack.try_post("/v1/payment_intents", sk(stack), "events-once", &form).expect("an answer");
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!(told(stack, id(&first.json())).len(), 3);
    let all = get(stack, "/v1/events?type=payment_intent.succeeded&limit=100");
    let event =
        all["data"].as_array().unwrap().iter().find(|event| event["data"]["object"]["id"] == first.json()["id"]);
    let event = event.expect("told");
    assert_eq!(event["request"]["idempotency_key"], "events-once");
    assert!(event["request"]["id"].as_str().is_some_and(|id| id.starts_with("req_")));
    assert_eq!(get(stack, &format!("/v1/events/{}", id(event))), *event);
    let both = stack.read("/v1/events?type=a&types[]=b", sk(stack));
    assert_eq!((both.status, &both.json()["error"]["param"]), (400, &json!("types")));
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// A customer is changed field by field, keeps its cards, and is gone when it is deleted: from lists, from the vault, from its
/// cards; its id stays with its payments.
#[test]
fn customers_change_and_go() {
    let stack = Stack::shared();
    let form = [
        ("name", "山田 花子"),
        ("email", "hanako.yamada@example.jp"),
        ("phone", "+81312345678"),
        ("address[postal_code]", "100-0001"),
        ("address[line1]", "千代田 1-1"),
        ("description", "first"),
        ("metadata[tier]", "gold"),
        ("payment_method", "pm_card_visa"),
    ];
    let made = post(stack, "/v1/customers", &form);
    let customer = id(&made);
    assert_eq!((&made["email"], &made["phone"]), (&json!("h***@e***.jp"), &json!("***-****-5678")), "{made}");
    assert!(!made.to_string().contains("花子") && !made.to_string().contains("千代田"), "{made}");
    let methods = get(stack, &format!("/v1/customers/{customer}/payment_methods"));
    let method = methods["data"][0].clone();
    assert_eq!((&methods["data"][1], &method["customer"]), (&Value::Null, &json!(customer)));
    assert_eq!(get(stack, &format!("/v1/customers/{customer}/payment_methods/{}", id(&method))), method);

    let path = format!("/v1/customers/{customer}");
    let default = ("invoice_settings[default_payment_method]", id(&method));
    let change = [("phone", ""), ("description", "second"), ("metadata[tier]", ""), ("metadata[a]", "b"), default];
    let changed = post(stack, &path, &change);
    assert_eq!(changed["email"], made["email"], "what is not sent stays");
    assert_eq!(
        (&changed["phone"], &changed["description"], &changed["metadata"]),
        (&Value::Null, &json!("second"), &json!({"a": "b"}))
    );
    assert_eq!(changed["invoice_settings"]["default_payment_method"], method["id"]);
    let expanded = get(stack, &format!("{path}?expand[]=invoice_settings.default_payment_method"));
    assert_eq!(expanded["invoice_settings"]["default_payment_method"]["card"]["last4"], "4242");
    let found = get(stack, "/v1/customers?email=HANAKO.YAMADA@example.jp&limit=100");
    assert!(found["data"].as_array().unwrap().iter().any(|one| one["id"] == customer));
    let updates = get(stack, "/v1/events?type=customer.updated&limit=100");
    let update = updates["data"].as_array().unwrap().iter().find(|event| event["data"]["object"]["id"] == customer);
    let before = &update.expect("told")["data"]["previous_attributes"];
    assert_eq!((&before["description"], &before["phone"]), (&json!("first"), &made["phone"]));
    assert_eq!(before["email"], Value::Null, "only what changed");

    let strangers = stack.post("/v1/customers", sk(stack), &[("payment_method", id(&method))]);
    assert_eq!(refused(&strangers), (400, "payment_method_already_attached".to_owned()));

    let deleted = stack.delete(&path, sk(stack));
    let gone = json!({ "id": customer, "object": "customer", "deleted": true });
    assert_eq!((deleted.status, deleted.json()), (200, gone.clone()));
    assert_eq!(stack.delete(&path, sk(stack)).json(), gone, "once is twice");
    assert_eq!(get(stack, &path), gone);
    assert_eq!(refused(&stack.post(&path, sk(stack), &[("description", "x")])), (404, "resource_missing".to_owned()));
    assert_eq!(refused(&stack.read(&format!("{path}/payment_methods"), sk(stack))).0, 404);
    assert_eq!(get(stack, &format!("/v1/payment_methods/{}", id(&method)))["customer"], Value::Null);
    let found = get(stack, "/v1/customers?email=hanako.yamada@example.jp&limit=100");
    assert!(!found.to_string().contains(customer));
    let owed = [("amount", "100"), ("currency", "jpy"), ("customer", customer)];
    assert_eq!(refused(&stack.post("/v1/payment_intents", sk(stack), &owed)), (404, "resource_missing".to_owned()));
    let expected = [
        "customer.created",
        "customer.deleted",
        "customer.updated",
        "payment_method.attached",
        "payment_method.detached",
    ];
    assert_eq!(told_of(stack, [customer, id(&method)]), expected);
}

/// The kinds of all events about these objects, sorted.
fn told_of(stack: &Stack, objects: [&str; 2]) -> Vec<String> {
    let told = get(stack, "/v1/events?limit=100");
    let about = |event: &&Value| objects.contains(&event["data"]["object"]["id"].as_str().unwrap_or_default());
    let all = told["data"].as_array().unwrap().iter().filter(about);
    let mut kinds: Vec<String> = all.map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    kinds.sort_unstable();
    kinds
}
