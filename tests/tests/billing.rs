//! Products, prices, subscriptions and their invoices, over the merchants' API.
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

fn refused(answer: &Answer) -> (u16, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let error = &answer.json()["error"];
    (answer.status, text(&error["code"]), text(&error["param"]))
}

fn refusal(status: u16, code: &str, param: &str) -> (u16, String, String) {
    (status, code.to_owned(), param.to_owned())
}

/// A price is made with its product in one call or of a product that is there; it is found by what it is, and its names move.
#[test]
fn products_have_prices() {
    let stack = Stack::shared();
    let form = [
        ("name", "定期便"),
        ("unit_label", "箱"),
        ("default_price_data[currency]", "jpy"),
        ("default_price_data[unit_amount]", "3980"),
        ("default_price_data[recurring][interval]", "month"),
        ("metadata[shelf]", "4"),
    ];
    let product = post(stack, "/v1/products", &form);
    let path = format!("/v1/products/{}?expand[]=default_price", id(&product));
    let price = get(stack, &path)["default_price"].clone();
    assert_eq!((&price["unit_amount"], &price["type"]), (&json!(3980), &json!("recurring")));
    assert_eq!(price["recurring"]["interval_count"], 1);
    assert_eq!(price["product"], product["id"]);

    let form = [("currency", "jpy"), ("unit_amount", "500"), ("product_data[name]", "送料"), ("lookup_key", "carriage")];
    let once = post(stack, "/v1/prices", &form);
    assert_eq!((&once["type"], &once["recurring"]), (&json!("one_time"), &Value::Null));
    let form = [("currency", "jpy"), ("unit_amount", "600"), ("product", id(&product)), ("lookup_key", "carriage")];
    let taken = stack.post("/v1/prices", sk(stack), &form);
    assert_eq!(refused(&taken), refusal(400, "parameter_invalid", "lookup_key"));
    let moved = post(stack, "/v1/prices", &[&form[..], &[("transfer_lookup_key", "true")]].concat());
    let named = get(stack, "/v1/prices?lookup_keys[]=carriage");
    assert_eq!((named["data"].as_array().unwrap().len(), &named["data"][0]["id"]), (1, &moved["id"]));
    assert_eq!(get(stack, &format!("/v1/prices/{}", id(&once)))["lookup_key"], Value::Null);

    let of_product = get(stack, &format!("/v1/prices?product={}&type=recurring", id(&product)));
    assert_eq!(of_product["data"].as_array().unwrap().len(), 1);
    let off = post(stack, &format!("/v1/prices/{}", id(&moved)), &[("active", "false"), ("nickname", "old")]);
    assert_eq!((&off["active"], &off["nickname"], &off["unit_amount"]), (&json!(false), &json!("old"), &json!(600)));
    let told = get(stack, "/v1/events?type=price.updated&limit=1");
    assert_eq!(told["data"][0]["data"]["previous_attributes"], json!({"active": true, "nickname": null}));

    let kept = stack.delete(&format!("/v1/products/{}", id(&product)), sk(stack));
    assert_eq!(refused(&kept), refusal(400, "parameter_invalid", "id"));
    let empty = post(stack, "/v1/products", &[("name", "none")]);
    let gone = stack.delete(&format!("/v1/products/{}", id(&empty)), sk(stack));
    assert_eq!((gone.status, gone.json()["deleted"].clone()), (200, json!(true)));
    assert_eq!(stack.read(&format!("/v1/products/{}", id(&empty)), sk(stack)).status, 404);
}

/// What means nothing here is refused by its name, amounts and periods have bounds, and nothing is anybody else's.
#[test]
fn prices_take_what_they_mean() {
    let stack = Stack::shared();
    let product = post(stack, "/v1/products", &[("name", "Coffee")]);
    let base = [("currency", "jpy"), ("unit_amount", "1"), ("product", id(&product))];
    let with = |more: &[(&str, &str)]| refused(&stack.post("/v1/prices", sk(stack), &[&base[..], more].concat()));
    for name in ["billing_scheme", "tiers", "tiers_mode", "transform_quantity", "recurring[meter]"] {
        let more = [("recurring[interval]", "month"), (name, "x")];
        assert_eq!(with(&more), refusal(400, "parameter_unknown", name));
    }
    let long = [("recurring[interval]", "year"), ("recurring[interval_count]", "4")];
    assert_eq!(with(&long), refusal(400, "parameter_invalid", "recurring[interval_count]"));
    let costly = [("currency", "jpy"), ("unit_amount", "100000000"), ("product", id(&product))];
    assert_eq!(refused(&stack.post("/v1/prices", sk(stack), &costly)), refusal(400, "parameter_invalid", "unit_amount"));
    let other = &stack.run().keys.other_sk_test;
    assert_eq!(refused(&stack.post("/v1/prices", other, &base)), refusal(404, "resource_missing", "product"));
    assert_eq!(stack.read(&format!("/v1/products/{}", id(&product)), other).status, 404);
    let first = stack.try_post("/v1/prices", sk(stack), "price-once", &base).expect("an answer");
    let again = stack.try_post("/v1/prices", sk(stack), "price-once", &base).expect("an answer");
    assert_eq!(first.json()["id"], again.json()["id"]);
}
