//! Changes of a payment method: the merchant's data, and a card's expiry, which the vault has first.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_tests::Stack;
use kura_wire::ids::CardToken;
use serde_json::{Value, json};
use uuid::Uuid;

fn sk(stack: &Stack) -> &str {
    &stack.run().keys.sk_test
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, sk(stack), form);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn refused(stack: &Stack, path: &str, form: &[(&str, &str)]) -> (u16, String, String) {
    let answer = stack.post(path, sk(stack), form);
    let body = answer.json();
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("param"))
}

fn is(status: u16, code: &str, param: &str) -> (u16, String, String) {
    (status, code.to_owned(), param.to_owned())
}

/// The expiry that the vault sends to networks.
fn in_the_vault(stack: &Stack, method: &str) -> String {
    let record = Uuid::from_bytes(method.parse::<CardToken>().unwrap().record);
    stack.sql("vault", &format!("SELECT exp_year || '-' || exp_month FROM cards WHERE id = '{record}'"))
}

fn told(stack: &Stack, method: &str) -> Vec<Value> {
    let events = stack.read("/v1/events?type=payment_method.updated&limit=100", sk(stack)).json();
    let of = |event: &&Value| event["data"]["object"]["id"] == method;
    events["data"].as_array().unwrap().iter().filter(of).cloned().collect()
}

/// A new expiry is in the vault, in the answer, and told once with what was before; what is left out stays.
#[test]
fn a_card_gets_another_expiry() {
    let stack = Stack::shared();
    let customer = post(stack, "/v1/customers", &[])["id"].as_str().unwrap().to_owned();
    let made = post(stack, "/v1/payment_methods/pm_card_visa/attach", &[("customer", &customer)]);
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/payment_methods/{id}");
    let form = [("card[exp_month]", "7"), ("card[exp_year]", "2039"), ("metadata[shelf]", "4")];
    let changed = post(stack, &path, &form);
    assert_eq!((&changed["card"]["exp_month"], &changed["card"]["exp_year"]), (&json!(7), &json!(2039)));
    assert_eq!((&changed["metadata"], &changed["customer"]), (&json!({"shelf": "4"}), &json!(customer)));
    assert_eq!(in_the_vault(stack, id), "2039-7");
    assert_eq!(post(stack, &path, &[("card[exp_month]", "8")])["card"]["exp_year"], 2039);
    assert_eq!(in_the_vault(stack, id), "2039-8");
    // Nothing changes, nothing is told.
    post(stack, &path, &[("card[exp_month]", "8")]);
    let told = told(stack, id);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["data"]["previous_attributes"]["card"]["exp_month"], 7);
    assert_eq!(told[1]["data"]["previous_attributes"]["metadata"], json!({}));
    let form = [
        ("amount", "900"),
        ("currency", "jpy"),
        ("customer", &*customer),
        ("payment_method", id),
        ("confirm", "true"),
        ("off_session", "true"),
    ];
    assert_eq!(post(stack, "/v1/payment_intents", &form)["status"], "succeeded");
    let emptied = post(stack, &path, &[("metadata", "")]);
    assert_eq!(emptied["metadata"], json!({}));
}

/// Each wrong month and year has its word and its parameter; what is not the merchant's, or not saved, does not exist.
#[test]
fn what_can_not_be_changed_is_refused() {
    let stack = Stack::shared();
    let made = post(stack, "/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]);
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/payment_methods/{id}");
    let before = in_the_vault(stack, id);
    let year = "card[exp_year]";
    for (form, expected) in [
        (vec![("card[exp_month]", "13")], is(400, "parameter_invalid", "card[exp_month]")),
        (vec![(year, "2001")], is(402, "expired_card", year)),
        (vec![(year, "2099")], is(402, "invalid_expiry_year", year)),
        (vec![("card[number]", "1")], is(400, "raw_card_data_refused", "")),
        (vec![("billing_details[name]", "x")], is(400, "parameter_unknown", "billing_details")),
    ] {
        assert_eq!(refused(stack, &path, &form), expected, "{form:?}");
    }
    assert_eq!(in_the_vault(stack, id), before);
    let stranger = stack.post(&path, &stack.run().keys.other_sk_test, &[("card[exp_month]", "3")]);
    assert_eq!(stranger.status, 404, "{}", stranger.text);
    assert_eq!(in_the_vault(stack, id), before);
    let single = post(
        stack,
        "/v1/payment_intents",
        &[
            ("amount", "100"),
            ("currency", "jpy"),
            ("confirm", "true"),
            ("payment_method_data[type]", "card"),
            ("payment_method_data[card][token]", "tok_visa"),
        ],
    );
    let never_saved = format!("/v1/payment_methods/{}", single["payment_method"].as_str().unwrap());
    assert_eq!(refused(stack, &never_saved, &[("metadata[a]", "1")]).0, 404);
}

/// Who pays without a card has data of the merchant's too, and no card.
#[test]
fn a_payer_has_data_and_no_expiry() {
    let stack = Stack::shared();
    let form = [
        ("type", "konbini"),
        ("billing_details[name]", "山田 花子"),
        ("billing_details[phone]", "0312345678"),
        ("metadata[a]", "1"),
    ];
    let made = post(stack, "/v1/payment_methods", &form);
    let path = format!("/v1/payment_methods/{}", made["id"].as_str().unwrap());
    let changed = post(stack, &path, &[("metadata[a]", ""), ("metadata[b]", "2")]);
    assert_eq!((&changed["metadata"], &changed["type"]), (&json!({"b": "2"}), &json!("konbini")));
    assert_eq!(changed["billing_details"], made["billing_details"]);
    assert_eq!(told(stack, made["id"].as_str().unwrap()).len(), 1);
    assert_eq!(refused(stack, &path, &[("card[exp_month]", "3")]), is(400, "parameter_invalid", "card"));
}
