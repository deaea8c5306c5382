//! Checkout sessions: made by the merchant, paid on our page by a shopper, over HTTP as the page's script does it, and in a browser.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_platform::clock;
use kura_shopper::{TypedCard, seal};
use kura_tests::search::tool;
use kura_tests::{Answer, Stack, block_on, wait_until, workspace};
use kura_wire::sealed_box::{SealingKey, Suite};
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

const DONE: (&str, &str) = ("success_url", "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}");
const CARD: &str = "4242424242424242";
const DECLINED: &str = "4000000000000002";

fn payment(stack: &Stack, more: &[(&str, &str)]) -> Value {
    let form = [
        ("mode", "payment"),
        DONE,
        ("cancel_url", "https://shop.example/cart"),
        ("line_items[0][price_data][currency]", "jpy"),
        ("line_items[0][price_data][unit_amount]", "1200"),
        ("line_items[0][price_data][product_data][name]", "茶碗"),
        ("line_items[0][quantity]", "2"),
    ];
    post(stack, "/v1/checkout/sessions", &[&form[..], more].concat())
}

/// What the page's frame does: the card is sealed for the page's key and origin.
fn token(stack: &Stack, page: &str, number: &str) -> String {
    let key = page.split("data-key=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key on the page");
    assert!(key.starts_with("pk_test_"));
    let gateway = &stack.run().gateway;
    let keys = stack.get(&format!("{gateway}/checkout/sealing_keys"));
    let keys = serde_json::from_str(&keys.text).unwrap();
    let sealing: SealingKey = kura_shopper::checked_key(&keys, &stack.run().vault_identity, Suite::X25519).unwrap();
    let sealed = seal(&sealing, &TypedCard::new(number, "123"), key, gateway, clock::now_ms()).unwrap();
    let made = stack.post_json("/v1/tokens", key, &json!({ "card": { "sealed_box": sealed } }));
    assert_eq!(made.status, 200, "{}", made.text);
    id(&made.json()).to_owned()
}

fn send(url: &str, origin: &str, body: &Value) -> Answer {
    let request = Stack::http().post(url).header("origin", origin).header("content-language", "ja").json(body);
    block_on(async {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    })
}

/// The shopper opens the page, types a card and sends the form.
fn shop(stack: &Stack, session: &Value, number: &str) -> Value {
    let url = session["url"].as_str().unwrap();
    let page = stack.get(url);
    assert_eq!(page.status, 200);
    let body = json!({ "token": token(stack, &page.text, number), "email": "taro@example.jp" });
    send(url, &stack.run().gateway, &body).json()
}

fn events_about(stack: &Stack, session: &Value) -> Vec<String> {
    let all = get(stack, "/v1/events?limit=100");
    let about = |event: &&Value| event["data"]["object"]["id"] == session["id"];
    let kinds = all["data"].as_array().unwrap().iter().filter(about);
    kinds.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// A payment: nothing is made before the form is sent; a declined card leaves the page open for another; it is paid once.
#[test]
fn a_shopper_pays_on_the_page() {
    let stack = Stack::shared();
    let made = payment(stack, &[("metadata[order]", "7"), ("payment_intent_data[metadata][order]", "7")]);
    assert_eq!((&made["status"], &made["payment_status"]), (&json!("open"), &json!("unpaid")));
    assert_eq!((&made["amount_total"], &made["payment_intent"]), (&json!(2400), &Value::Null));
    let path = format!("/v1/checkout/sessions/{}", id(&made));
    let lines = get(stack, &format!("{path}/line_items"));
    assert_eq!((&lines["data"][0]["description"], &lines["data"][0]["amount_total"]), (&json!("茶碗"), &json!(2400)));

    let refused = shop(stack, &made, DECLINED);
    assert_eq!(refused["error"]["code"], "card_declined");
    assert!(refused["error"]["message"].as_str().unwrap().contains("別のカード"));
    assert_eq!(get(stack, &path)["status"], "open");
    let done = shop(stack, &made, CARD);
    assert_eq!(done["redirect"], format!("https://shop.example/thanks?session={}", id(&made)));
    let paid = get(stack, &format!("{path}?expand[]=payment_intent"));
    assert_eq!((&paid["status"], &paid["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!((&paid["url"], &paid["customer_details"]["email"]), (&Value::Null, &json!("t***@e***.jp")));
    let intent = &paid["payment_intent"];
    assert_eq!((&intent["status"], &intent["amount_received"]), (&json!("succeeded"), &json!(2400)));
    assert_eq!((&intent["metadata"]["order"], &intent["receipt_email"]), (&json!("7"), &json!("t***@e***.jp")));
    let again = send(made["url"].as_str().unwrap(), &stack.run().gateway, &json!({ "token": "tok_visa" }));
    assert_eq!(again.json()["error"]["code"], "checkout_session_unexpected_state");
    let charges = get(stack, &format!("/v1/charges?payment_intent={}", id(intent)));
    assert_eq!(charges["data"].as_array().unwrap().iter().filter(|charge| charge["paid"] == true).count(), 1);
    assert_eq!(events_about(stack, &made), ["checkout.session.completed"]);
}

/// A card is kept, a subscription begun, with or without a trial.
#[test]
fn a_shopper_keeps_a_card_and_subscribes() {
    let stack = Stack::shared();
    let customer = post(stack, "/v1/customers", &[]);
    let setup = post(stack, "/v1/checkout/sessions", &[("mode", "setup"), DONE, ("customer", id(&customer))]);
    assert_eq!((&setup["amount_total"], &setup["payment_status"]), (&Value::Null, &json!("no_payment_required")));
    let sent = shop(stack, &setup, CARD);
    assert!(sent["redirect"].is_string(), "{sent}");
    let kept = get(stack, &format!("/v1/checkout/sessions/{}?expand[]=setup_intent", id(&setup)));
    assert_eq!(kept["setup_intent"]["customer"], customer["id"]);
    assert_eq!((&kept["setup_intent"]["status"], &kept["status"]), (&json!("succeeded"), &json!("complete")));

    let form = [
        ("currency", "jpy"),
        ("unit_amount", "900"),
        ("product_data[name]", "月刊蔵"),
        ("recurring[interval]", "month"),
    ];
    let price = post(stack, "/v1/prices", &form);
    let form = [("mode", "subscription"), DONE, ("line_items[0][price]", id(&price))];
    let made = post(stack, "/v1/checkout/sessions", &form);
    assert_eq!(shop(stack, &made, DECLINED)["error"]["code"], "card_declined");
    assert!(shop(stack, &made, CARD)["redirect"].as_str().unwrap().contains("thanks"));
    let path = format!("/v1/checkout/sessions/{}?expand[]=subscription&expand[]=invoice&expand[]=customer", id(&made));
    let begun = get(stack, &path);
    assert_eq!((&begun["status"], &begun["subscription"]["status"]), (&json!("complete"), &json!("active")));
    assert_eq!((&begun["invoice"]["status"], &begun["invoice"]["amount_paid"]), (&json!("paid"), &json!(900)));
    assert_eq!(begun["customer"]["email"].as_str().unwrap().chars().next(), Some('t'));
    assert!(begun["subscription"]["default_payment_method"].as_str().unwrap().starts_with("pm_"));

    let trial = post(
        stack,
        "/v1/checkout/sessions",
        &[&form[..], &[("subscription_data[trial_period_days]", "7"), ("customer", id(&customer))]].concat(),
    );
    assert_eq!(trial["amount_total"], 0);
    let sent = shop(stack, &trial, CARD);
    assert!(sent["redirect"].as_str().is_some_and(|url| url.contains("thanks")), "{sent}");
    let begun = get(stack, &format!("/v1/checkout/sessions/{}?expand[]=subscription", id(&trial)));
    assert_eq!((&begun["status"], &begun["subscription"]["status"]), (&json!("complete"), &json!("trialing")));
    assert!(begun["subscription"]["default_payment_method"].as_str().unwrap().starts_with("pm_"));
}

/// A session ends; then nobody pays on it. Other pages can't send its form; a raw card is refused; it is its merchant's alone.
#[test]
fn sessions_end_and_are_guarded() {
    let stack = Stack::shared();
    let made = payment(stack, &[]);
    let url = made["url"].as_str().unwrap();
    let page = stack.get(url);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "trusted-types 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && page.headers["cache-control"] == "no-store");
    assert!(!page.text.contains("<script>") && !page.text.contains("style="));
    let foreign = send(url, "https://evil.example", &json!({ "token": "tok_visa" }));
    assert_eq!(foreign.json()["error"]["code"], "origin_not_allowed");
    let gateway = &stack.run().gateway;
    let raw = send(url, gateway, &json!({ "token": "tok_visa", "email": "4539578763621486" }));
    assert_eq!(raw.json()["error"]["code"], "raw_card_data_refused");
    let path = format!("/v1/checkout/sessions/{}", id(&made));
    assert_eq!(stack.read(&path, &stack.run().keys.other_sk_test).status, 404);

    let ended = post(stack, &format!("{path}/expire"), &[]);
    assert_eq!((&ended["status"], &ended["url"]), (&json!("expired"), &Value::Null));
    let late = send(url, gateway, &json!({ "token": "tok_visa" }));
    assert_eq!(late.json()["error"]["code"], "checkout_session_unexpected_state");
    assert_eq!(stack.post(&format!("{path}/expire"), sk(stack), &[]).status, 400);
    assert!(!stack.get(url).text.contains("data-key"));
    assert_eq!(events_about(stack, &made), ["checkout.session.expired"]);

    // One that nobody ends ends by itself, and its unpaid payment with it.
    let forgotten = payment(stack, &[("metadata[forgotten]", "yes")]);
    shop(stack, &forgotten, DECLINED);
    let late = "UPDATE checkout_sessions SET expires_at = now(), look_at = now() WHERE metadata ? 'forgotten'";
    stack.sql("gateway", late);
    let path = format!("/v1/checkout/sessions/{}?expand[]=payment_intent", id(&forgotten));
    wait_until("it to end by itself", || get(stack, &path)["payment_intent"]["status"] == "canceled");
    assert_eq!(get(stack, &path)["status"], "expired");

    for (name, value, status) in [
        ("success_url", "javascript:alert(1)", 400),
        ("expires_at", "1", 400),
        ("subscription_data[trial_period_days]", "3", 400),
        ("allow_promotion_codes", "true", 400),
    ] {
        let form = [("mode", "payment"), ("line_items[0][price_data][currency]", "jpy"), (name, value)];
        let more = if name == "success_url" { None } else { Some(DONE) };
        let form: Vec<_> = form.into_iter().chain(more).collect();
        assert_eq!(stack.post("/v1/checkout/sessions", sk(stack), &form).status, status, "{name}");
    }
}

/// What the page's form answers: the code of its error, or `ok`.
fn answered(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

/// The paid charges of a session's payment.
fn paid(stack: &Stack, session: &Value) -> usize {
    let now = get(stack, &format!("/v1/checkout/sessions/{}", id(session)));
    let Some(intent) = now["payment_intent"].as_str() else { return 0 };
    let charges = get(stack, &format!("/v1/charges?payment_intent={intent}"));
    charges["data"].as_array().unwrap().iter().filter(|charge| charge["paid"] == true).count()
}

/// A form that is sent while another one is under way is turned away, and of many at once one pays. A page that was paid on, from
/// two windows or twice from one, is paid once.
#[test]
fn a_form_that_is_sent_twice_pays_once() {
    let stack = Stack::shared();
    let gateway = &stack.run().gateway;
    let session = payment(stack, &[("metadata[twice]", "yes")]);
    let url = session["url"].as_str().unwrap();
    let page = stack.get(url).text;
    let bodies: Vec<Value> = (0..4).map(|_| json!({ "token": token(stack, &page, CARD) })).collect();
    stack.sql("gateway", "UPDATE checkout_sessions SET trying = true, tries = 1 WHERE metadata ? 'twice'");
    assert_eq!(answered(&send(url, gateway, &bodies[0])), "idempotency_key_in_use");
    assert_eq!(paid(stack, &session), 0);
    stack.sql("gateway", "UPDATE checkout_sessions SET trying = false WHERE metadata ? 'twice'");
    let answers: Vec<String> = std::thread::scope(|scope| {
        let sent: Vec<_> = bodies.iter().map(|body| scope.spawn(|| answered(&send(url, gateway, body)))).collect();
        sent.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| *answer == "ok").count(), 1, "{answers:?}");
    let others = ["ok", "idempotency_key_in_use", "checkout_session_unexpected_state"];
    assert!(answers.iter().all(|answer| others.contains(&answer.as_str())), "{answers:?}");
    for body in &bodies {
        assert_eq!(answered(&send(url, gateway, body)), "checkout_session_unexpected_state");
    }
    assert_eq!((paid(stack, &session), events_about(stack, &session).len()), (1, 1));
    let amount = get(stack, &format!("/v1/checkout/sessions/{}?expand[]=payment_intent", id(&session)));
    assert_eq!(amount["payment_intent"]["amount_received"], 2400);
}

/// A page whose time is over takes no card, also before anybody has noticed; and no page but our own can send its form.
#[test]
fn a_page_whose_time_is_over_takes_nothing() {
    let stack = Stack::shared();
    let gateway = &stack.run().gateway;
    let session = payment(stack, &[("metadata[over]", "yes")]);
    let url = session["url"].as_str().unwrap();
    let page = stack.get(url).text;
    let body = json!({ "token": token(stack, &page, CARD) });
    for origin in [
        "null",
        "",
        "http://localhost",
        &format!("{gateway}/"),
        &format!("{gateway}.evil.example"),
        &stack.run().fronts,
    ] {
        assert_eq!(answered(&send(url, origin, &body)), "origin_not_allowed", "{origin}");
    }
    let bare = Stack::http().post(url).json(&body);
    let bare: Value = block_on(async { bare.send().await.unwrap().json().await.unwrap() });
    assert_eq!(bare["error"]["code"], "origin_not_allowed");
    let over =
        "UPDATE checkout_sessions SET expires_at = now(), look_at = now() + interval '1 hour' WHERE metadata ? 'over'";
    stack.sql("gateway", over);
    assert_eq!(answered(&send(url, gateway, &body)), "checkout_session_unexpected_state");
    assert!(!stack.get(url).text.contains("data-key"));
    assert_eq!((paid(stack, &session), events_about(stack, &session).len()), (0, 0));
    let ids = ["cs_00000000000000000000000000", "cs_x", "pi_00000000000000000000000000", "%20"];
    for unknown in ids {
        let url = format!("{gateway}/checkout/pay/{unknown}");
        assert_eq!(answered(&send(&url, gateway, &body)), "resource_missing");
        assert_eq!((stack.get(&url).status, stack.get(&format!("{url}/return")).status), (404, 404));
    }
}

/// The form takes a token that was made for this merchant, once: no saved card, whose name a shopper may have seen; no token of
/// another merchant, which stays good for that one; none that was used.
#[test]
fn a_form_takes_its_own_tokens_alone() {
    let stack = Stack::shared();
    let (run, gateway) = (stack.run(), &stack.run().gateway);
    let customer = post(stack, "/v1/customers", &[("payment_method", "pm_card_visa")]);
    let saved = get(stack, &format!("/v1/customers/{}/payment_methods", id(&customer)))["data"][0]["id"].clone();
    let saved = saved.as_str().unwrap();
    let session = payment(stack, &[]);
    let url = session["url"].as_str().unwrap();
    let page = stack.get(url).text;
    let used = token(stack, &page, CARD);
    let another = payment(stack, &[]);
    assert_eq!(answered(&send(another["url"].as_str().unwrap(), gateway, &json!({ "token": used }))), "ok");

    let keys = serde_json::from_str(&stack.get(&format!("{gateway}/checkout/sealing_keys")).text).unwrap();
    let sealing: SealingKey = kura_shopper::checked_key(&keys, &run.vault_identity, Suite::X25519).unwrap();
    let card = TypedCard::new(CARD, "123");
    let sealed = seal(&sealing, &card, &run.keys.other_pk_test, &run.fronts, clock::now_ms()).unwrap();
    let theirs = stack.post_json("/v1/tokens", &run.keys.other_pk_test, &json!({ "card": { "sealed_box": sealed } }));
    let theirs = id(&theirs.json()).to_owned();

    let renamed = saved.replace("pm_", "tok_");
    let cases = [
        (saved, "resource_missing"),
        (renamed.as_str(), "resource_missing"),
        ("pm_card_visa", "resource_missing"),
        (theirs.as_str(), "resource_missing"),
        (used.as_str(), "token_already_used"),
        (id(&customer), "resource_missing"),
    ];
    for (token, code) in cases {
        let refused = answered(&send(url, gateway, &json!({ "token": token })));
        assert!(refused == code || (token == renamed && refused != "ok"), "{token}: {refused}");
        assert_eq!(paid(stack, &session), 0, "{token}");
    }
    for body in [json!({ "token": "tok_visa", "amount": 1 }), json!({ "token": "tok_visa", "customer": id(&customer) })]
    {
        assert_eq!(
            answered(&send(url, gateway, &body)),
            "parameter_unknown",
            "what it costs is not the shopper's word"
        );
    }
    assert_eq!(get(stack, &format!("/v1/checkout/sessions/{}", id(&session)))["status"], "open");
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("confirm", "true"),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][token]", theirs.as_str()),
    ];
    let own = stack.post("/v1/payment_intents", &run.keys.other_sk_test, &form);
    assert_eq!(own.status, 200, "not used up by who had no right to it: {}", own.text);
}

/// No page that a shopper sees can be framed by anybody, run a script from elsewhere, or send a form elsewhere; but for the card
/// fields, which those may frame that the key allows.
#[test]
fn shoppers_pages_cannot_be_framed() {
    let stack = Stack::shared();
    let gateway = &stack.run().gateway;
    let form = [
        ("amount", "1000"),
        ("currency", "jpy"),
        ("confirm", "true"),
        ("payment_method_data[type]", "konbini"),
        ("payment_method_types[]", "konbini"),
        ("payment_method_data[billing_details][name]", "枠 花子"),
        ("payment_method_data[billing_details][phone]", "09012345678"),
    ];
    let store = post(stack, "/v1/payment_intents", &form);
    let voucher = store["next_action"]["konbini_display_details"]["hosted_voucher_url"].as_str().unwrap().to_owned();
    let secured = [form[0], form[1], form[2], ("payment_method", "pm_card_threeDSecure2Required")];
    let secured = post(stack, "/v1/payment_intents", &secured);
    let issuer = secured["next_action"]["redirect_to_url"]["url"].as_str().unwrap().to_owned();
    let session = payment(stack, &[]);
    let page = session["url"].as_str().unwrap().to_owned();
    let over = payment(stack, &[]);
    post(stack, &format!("/v1/checkout/sessions/{}/expire", id(&over)), &[]);
    let over = over["url"].as_str().unwrap().to_owned();
    let missing = format!("{gateway}/checkout/pay/cs_x");
    for url in [page.clone(), over, voucher, format!("{issuer}/return"), missing, format!("{gateway}/docs/errors")] {
        let shown = stack.get(&url);
        let policy = shown.headers["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{url}: {policy}");
        }
        assert!(!policy.contains("unsafe-") && !policy.contains("http") && !policy.contains('*'), "{url}: {policy}");
        assert_eq!(shown.headers["x-content-type-options"], "nosniff", "{url}");
        let told = shown.headers["referrer-policy"].to_str().unwrap();
        assert!(["no-referrer", "strict-origin"].contains(&told), "{url}: {told}");
        assert!(!shown.headers.contains_key("access-control-allow-origin"), "{url}");
    }
    assert_eq!(stack.get(&page).headers["referrer-policy"], "strict-origin");
}

/// A shopper pays on the page in a real browser, at phone and desktop width, in Japanese and English; a decline is told.
#[test]
fn a_shopper_pays_on_the_page_in_a_browser() {
    let stack = Stack::shared();
    let mut node = std::process::Command::new(tool("KURA_NODE", "node"));
    node.arg(workspace().join("tests/browser/pay.mjs"))
        .env("KURA_RUN_JSON", stack.state().join("run.json"))
        .env("KURA_PICTURES", workspace().join("target/kura-pictures"));
    let output = node.output().expect("node; `cargo kura test` installs what it needs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
