//! Webhooks, end to end: signed so that the official verifiers take them, tried again, given up, sent again by hand; to nobody
//! who did not ask, and never to an inner address.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use data_encoding::{BASE64, HEXLOWER};
use kura_tests::receiver::{Received, Receiver};
use kura_tests::search::tool;
use kura_tests::{Options, Stack, workspace};
use serde_json::{Value, json};

/// Quick, where production is patient.
fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| {
        let options = Options::default().unlimited().set("gateway.webhooks.every_ms=100");
        let options = options.set("gateway.webhooks.timeout_ms=1500").set("gateway.webhooks.first_pause_ms=200");
        Stack::start(options.set("gateway.webhooks.give_up_after_ms=8000"))
    })
}

/// A merchant of the test's own: its secret test key.
fn merchant(stack: &Stack) -> String {
    let printed = stack.command("gateway", &["add-merchant", "--name", "Webhook Shop"]);
    let made: Value = printed.lines().rev().find_map(|line| serde_json::from_str(line).ok()).expect("keys");
    made["sk_test"].as_str().expect("a key").to_owned()
}

fn endpoint(stack: &Stack, sk: &str, url: &str, events: &[&str]) -> Value {
    let form: Vec<(&str, &str)> =
        std::iter::once(("url", url)).chain(events.iter().map(|kind| ("enabled_events[]", *kind))).collect();
    let made = stack.post("/v1/webhook_endpoints", sk, &form);
    assert_eq!(made.status, 200, "{}", made.text);
    made.json()
}

fn customer(stack: &Stack, sk: &str, description: &str) -> String {
    let made = stack.post("/v1/customers", sk, &[("description", description)]);
    assert_eq!(made.status, 200, "{}", made.text);
    made.json()["id"].as_str().unwrap().to_owned()
}

fn get(stack: &Stack, sk: &str, path: &str) -> Value {
    let answer = stack.read(path, sk);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// The one event about this object.
fn event_of(stack: &Stack, sk: &str, object: &str) -> String {
    let events = get(stack, sk, "/v1/events?limit=100");
    let found = events["data"].as_array().unwrap().iter().find(|event| event["data"]["object"]["id"] == object);
    found.expect("told")["id"].as_str().unwrap().to_owned()
}

/// What became of an event at its one endpoint.
fn delivery(stack: &Stack, sk: &str, event: &str) -> Value {
    get(stack, sk, &format!("/v1/events/{event}/deliveries"))["data"][0].clone()
}

fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(40), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn about(object: &str) -> impl Fn(&Received) -> bool {
    move |received| received.event()["data"]["object"]["id"] == object
}

/// For the verifiers: what came, and the same signed ten minutes ago.
fn line(received: &Received, secret: &str) -> String {
    let tag = |key: &[u8], text: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
        aws_lc_rs::hmac::sign(&key, text.as_bytes())
    };
    let (body, id) = (&received.body, &received.headers["webhook-id"]);
    let time = received.headers["webhook-timestamp"].parse::<i64>().unwrap() - 600;
    let stripe = HEXLOWER.encode(tag(secret.as_bytes(), &format!("{time}.{body}")).as_ref());
    let bytes = BASE64.decode(secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let standard = BASE64.encode(tag(&bytes, &format!("{id}.{time}.{body}")).as_ref());
    let old = json!({ "webhook-timestamp": time.to_string(), "webhook-signature": format!("v1,{standard}") });
    json!({
        "headers": received.headers, "body": body, "secret": secret,
        "old_stripe": format!("t={time},v1={stripe}"), "old_standard": old,
    })
    .to_string()
}

/// Both official verifiers, in both languages.
fn verify(lines: &[String]) {
    let python = workspace().join(tool("KURA_PYTHON", ".kura/tools/venv/bin/python"));
    let node = tool("KURA_NODE", "node");
    for (program, script) in [(python, "tests/interop/webhooks.py"), (node, "tests/interop/webhooks.mjs")] {
        let mut command = Command::new(&program);
        command.arg(workspace().join(script)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains(&format!("ok {}", lines.len())), "{script}: {said}");
    }
}

/// stripe-python, stripe-node and standardwebhooks take what is sent, and nothing else; while the secret is replaced, both
/// secrets are good; the old one is worth nothing afterwards. The secret is shown once and is nowhere in the database.
#[test]
fn official_verifiers_accept_them() {
    let stack = stack();
    let (sk, receiver) = (merchant(stack), Receiver::start());
    let form = [("url", receiver.url("/hooks?shop=1")), ("enabled_events[]", "*".into()), ("metadata[a]", "b".into())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = stack.try_post("/v1/webhook_endpoints", &sk, "webhook-once", &form).expect("an answer");
    let (id, secret) =
        (made.json()["id"].as_str().unwrap().to_owned(), made.json()["secret"].as_str().unwrap().to_owned());
    let again = stack.try_post("/v1/webhook_endpoints", &sk, "webhook-once", &form).expect("an answer");
    assert_eq!((again.status, again.json()), (200, made.json()), "asked twice, made once");
    assert_eq!(made.json()["development_mode"], true, "said aloud");
    let path = format!("/v1/webhook_endpoints/{id}");
    assert_eq!(get(stack, &sk, &path)["secret"], Value::Null);
    assert!(!get(stack, &sk, "/v1/webhook_endpoints").to_string().contains("whsec_"));

    let form = [("amount", "1500"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = stack.post("/v1/payment_intents", &sk, &form);
    assert_eq!(paid.status, 200, "{}", paid.text);
    let received = receiver.wait(3, |_| true);
    let mut kinds: Vec<String> = received.iter().map(Received::kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]);
    assert!(received.iter().all(|received| received.path == "/hooks?shop=1"));
    let lines: Vec<String> = received.iter().map(|received| line(received, &secret)).collect();
    verify(&lines);
    let sent = received[0].event();
    let mut kept = get(stack, &sk, &format!("/v1/events/{}", sent["id"].as_str().unwrap()));
    kept["pending_webhooks"] = sent["pending_webhooks"].clone();
    assert_eq!(kept, sent, "what is sent is what can be read");

    let roll = |key: &str, overlap: &str| {
        let rolled =
            stack.try_post(&format!("{path}/roll_secret"), &sk, key, &[("overlap", overlap)]).expect("an answer");
        assert_eq!(rolled.status, 200, "{}", rolled.text);
        rolled.json()
    };
    let rolled = roll("roll-1", "3600");
    assert_eq!(roll("roll-1", "3600"), rolled, "asked twice, rolled once");
    let new = rolled["secret"].as_str().unwrap();
    assert_ne!(new, secret);
    let during = customer(stack, &sk, "while the secret is replaced");
    let during = receiver.wait(1, about(&during)).remove(0);
    assert_eq!(during.headers["stripe-signature"].matches("v1=").count(), 2);
    verify(&[line(&during, &secret), line(&during, new)]);
    let newest = roll("roll-2", "0")["secret"].as_str().unwrap().to_owned();
    let after = customer(stack, &sk, "after it was replaced");
    let after = receiver.wait(1, about(&after)).remove(0);
    assert_eq!(after.headers["stripe-signature"].matches("v1=").count(), 1);
    verify(&[line(&after, &newest)]);

    for table in ["webhook_endpoints", "idempotency_keys", "events", "webhook_deliveries"] {
        let all = stack.sql("gateway", &format!("SELECT string_agg(t::text, ' ') FROM {table} t"));
        for text in [secret.as_str(), new, &newest] {
            assert!(!all.contains(text) && !all.contains(&HEXLOWER.encode(text.as_bytes())), "{table} holds a secret");
        }
    }
    assert!(!stack.log("gateway").contains("whsec_"));
}

/// What fails is tried again until it is taken, and can be sent again by hand; the events' list tells the two apart.
#[test]
fn failures_are_tried_again() {
    let stack = stack();
    let (sk, receiver) = (merchant(stack), Receiver::start());
    endpoint(stack, &sk, &receiver.url("/"), &["customer.created"]);
    receiver.answer(500, "busy \u{1f622} 4539578763621486", Duration::ZERO);
    let object = customer(stack, &sk, "tried again");
    receiver.wait(2, about(&object));
    let event = event_of(stack, &sk, &object);
    until("the failure to be on record", || delivery(stack, &sk, &event)["last_attempt"]["http_status"] == 500);
    let failing = delivery(stack, &sk, &event);
    assert_eq!(
        (&failing["status"], &failing["last_attempt"]["answer"]),
        (&json!("pending"), &Value::Null),
        "{failing}"
    );
    assert_eq!(get(stack, &sk, &format!("/v1/events/{event}"))["pending_webhooks"], 1);
    let listed = |success: &str| get(stack, &sk, &format!("/v1/events?delivery_success={success}")).to_string();
    assert!(listed("false").contains(&event) && !listed("true").contains(&event));

    receiver.answer(204, "", Duration::ZERO);
    until("it to be taken", || delivery(stack, &sk, &event)["status"] == "delivered");
    let taken = delivery(stack, &sk, &event);
    assert!(taken["attempts"].as_i64().unwrap() >= 3 && taken["next_attempt"].is_null(), "{taken}");
    assert_eq!(get(stack, &sk, &format!("/v1/events/{event}"))["pending_webhooks"], 0);
    assert!(!listed("false").contains(&event) && listed("true").contains(&event));
    let ids: Vec<String> = receiver.received().iter().map(|received| received.headers["webhook-id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == event), "one id for all attempts");

    let before = receiver.received().len();
    let again = stack.post(&format!("/v1/events/{event}/retry"), &sk, &[]);
    assert_eq!((again.status, &again.json()["pending_webhooks"]), (200, &json!(1)), "{}", again.text);
    receiver.wait(before + 1, about(&object));
    let other = endpoint(stack, &sk, &receiver.url("/other"), &["customer.deleted"]);
    let to_other = [("webhook_endpoint", other["id"].as_str().unwrap())];
    assert_eq!(stack.post(&format!("/v1/events/{event}/retry"), &sk, &to_other).status, 200);
    receiver.wait(1, |received| received.path == "/other" && about(&object)(received));
}

/// An endpoint that does nothing but fail is left alone, then switched off, with an event about it and what waited for it
/// given up; switched on again it is told again.
#[test]
fn nothing_but_failures_ends_it() {
    let stack = stack();
    let (sk, failing, well) = (merchant(stack), Receiver::start(), Receiver::start());
    failing.answer(503, "no", Duration::ZERO);
    let made = endpoint(stack, &sk, &failing.url("/"), &["customer.created"]);
    endpoint(stack, &sk, &well.url("/"), &["*"]);
    let object = customer(stack, &sk, "never taken");
    let told = well.wait(1, |received| received.kind() == "webhook_endpoint.disabled");
    assert_eq!(told.len(), 1);
    let shown = &told[0].event()["data"]["object"];
    assert_eq!(
        (&shown["id"], &shown["status"], &shown["disabled_by"]),
        (&made["id"], &json!("disabled"), &json!("failing"))
    );
    assert!(!told[0].body.contains("whsec_"));
    let attempts = failing.received().len();
    assert!((5..40).contains(&attempts), "{attempts}: with pauses that grow");
    let event = event_of(stack, &sk, &object);
    let of_failing = || {
        let all = get(stack, &sk, &format!("/v1/events/{event}/deliveries"));
        all["data"].as_array().unwrap().iter().find(|one| one["webhook_endpoint"] == made["id"]).cloned().unwrap()
    };
    until("it to be given up", || of_failing()["status"] == "failed");
    customer(stack, &sk, "of no interest to what is off");
    let path = format!("/v1/webhook_endpoints/{}", made["id"].as_str().unwrap());
    assert_eq!(get(stack, &sk, &path)["status"], "disabled");
    failing.answer(200, "yes", Duration::ZERO);
    assert_eq!(stack.post(&path, &sk, &[("disabled", "false")]).json()["status"], "enabled");
    let object = customer(stack, &sk, "taken again");
    failing.wait(1, about(&object));
    assert!(stack.log("gateway").contains("webhook endpoint switched off"));
}

/// A merchant whose server is slow waits alone: others, and its own other endpoint, are told at once.
#[test]
fn a_slow_endpoint_holds_up_nobody() {
    let stack = &Stack::start(Options::default());
    let (sk, slow, quick) = (merchant(stack), Receiver::start(), Receiver::start());
    slow.answer(200, "ok", Duration::from_secs(7));
    endpoint(stack, &sk, &slow.url("/"), &["customer.created"]);
    endpoint(stack, &sk, &quick.url("/"), &["customer.created"]);
    for number in 0..40 {
        customer(stack, &sk, &format!("{number}"));
    }
    quick.wait(40, |_| true);
    assert_eq!(slow.received().len(), 8, "eight at a time, and none of them has an answer yet");
    slow.answer(200, "ok", Duration::ZERO);
    slow.wait(40, |_| true);
}

/// An endpoint is told what it asked for, of its own merchant and mode, while it is there and enabled; not more.
#[test]
fn nobody_else_is_told() {
    let stack = stack();
    let (sk, other_sk) = (merchant(stack), merchant(stack));
    let receivers: Vec<Receiver> = (0..4).map(|_| Receiver::start()).collect();
    endpoint(stack, &sk, &receivers[0].url("/"), &["customer.created", "customer.created"]);
    let of_other = endpoint(stack, &other_sk, &receivers[1].url("/"), &["*"]);
    let deleted = endpoint(stack, &sk, &receivers[2].url("/"), &["*", "customer.created"]);
    assert_eq!(deleted["enabled_events"], json!(["*"]));
    let disabled = endpoint(stack, &sk, &receivers[3].url("/"), &["*"]);
    let path = |made: &Value| format!("/v1/webhook_endpoints/{}", made["id"].as_str().unwrap());
    let gone = stack.delete(&path(&deleted), &sk).json();
    assert_eq!(gone, json!({ "id": deleted["id"], "object": "webhook_endpoint", "deleted": true }));
    assert_eq!(stack.delete(&path(&deleted), &sk).json(), gone, "once is twice");
    assert_eq!(stack.read(&path(&deleted), &sk).status, 404);
    let off = stack.post(&path(&disabled), &sk, &[("disabled", "true")]).json();
    assert_eq!((&off["status"], &off["disabled_by"]), (&json!("disabled"), &json!("merchant")));
    let object = customer(stack, &sk, "first");
    stack.post(&format!("/v1/customers/{object}"), &sk, &[("description", "second")]);
    receivers[0].wait(1, about(&object));
    std::thread::sleep(Duration::from_secs(1));
    let came: Vec<usize> = receivers.iter().map(|receiver| receiver.received().len()).collect();
    assert_eq!(came, [1, 0, 0, 0]);
    for (method, path) in [("read", path(&of_other)), ("post", path(&of_other))] {
        let answer = if method == "read" { stack.read(&path, &sk) } else { stack.post(&path, &sk, &[]) };
        assert_eq!(answer.status, 404, "another merchant's");
    }
    let event = event_of(stack, &sk, &object);
    let to_other = [("webhook_endpoint", of_other["id"].as_str().unwrap())];
    assert_eq!(stack.post(&format!("/v1/events/{event}/retry"), &sk, &to_other).status, 404);
    let to_disabled = [("webhook_endpoint", disabled["id"].as_str().unwrap())];
    assert_eq!(stack.post(&format!("/v1/events/{event}/retry"), &sk, &to_disabled).status, 400);
}

/// What an endpoint can't be made of is refused, by name; and there are sixteen at the most.
#[test]
fn endpoints_have_their_bounds() {
    let stack = stack();
    let sk = merchant(stack);
    let url = ("url", "https://shop.example/hooks");
    let all = ("enabled_events[]", "*");
    for (form, param) in [
        (vec![all], "url"),
        (vec![url], "enabled_events"),
        (vec![url, ("enabled_events", "")], "enabled_events"),
        (vec![url, ("enabled_events[]", "no.such")], "enabled_events[0]"),
        (vec![url, all, ("connect", "true")], "connect"),
        (vec![url, all, ("api_version", "2020-01-01")], "api_version"),
        (vec![("url", "http://shop.example/"), all], "url"),
        (vec![("url", "https://10.0.0.1/"), all], "url"),
        (vec![("url", "https://169.254.169.254/"), all], "url"),
        (vec![("url", "https://shop.example:22/"), all], "url"),
        (vec![("url", "https://a:b@shop.example/"), all], "url"),
        (vec![("url", "nonsense"), all], "url"),
    ] {
        let refused = stack.post("/v1/webhook_endpoints", &sk, &form);
        assert_eq!((refused.status, refused.json()["error"]["param"].as_str()), (400, Some(param)), "{}", refused.text);
    }
    for _ in 0..16 {
        endpoint(stack, &sk, url.1, &["*"]);
    }
    let refused = stack.post("/v1/webhook_endpoints", &sk, &[url, all]);
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("webhook_endpoints_too_many")));
    let first = get(stack, &sk, "/v1/webhook_endpoints?limit=16");
    assert_eq!((first["data"].as_array().unwrap().len(), &first["has_more"]), (16, &json!(false)));
    let page = get(stack, &sk, "/v1/webhook_endpoints?limit=10");
    let last = page["data"][9]["id"].as_str().unwrap();
    let rest = get(stack, &sk, &format!("/v1/webhook_endpoints?limit=10&starting_after={last}"));
    assert_eq!(rest["data"].as_array().unwrap().len(), 6);
    assert_eq!(rest["data"][5], first["data"][15]);
}

/// Outside of development nothing inside is reached: not when an endpoint is made, not when one is there already, and not by
/// a name. The gateway does not say that it is in development mode; in development it does.
#[test]
fn production_reaches_nothing_inside() {
    let aloud = |stack: &Stack| {
        let logged = stack.log("gateway").contains("DEVELOPMENT MODE: webhooks");
        (logged, stack.get(&format!("{}/healthz", stack.run().gateway)).text.contains("DEVELOPMENT MODE"))
    };
    assert_eq!(aloud(stack()), (true, true));
    let options = Options::default().set("gateway.webhooks.development=false").set("gateway.webhooks.every_ms=100");
    let stack = Stack::start(options.set("gateway.webhooks.first_pause_ms=100"));
    assert_eq!(aloud(&stack), (false, false));
    let (sk, receiver) = (stack.run().keys.sk_test.clone(), Receiver::start());
    for url in [receiver.url("/"), receiver.url("/").replace("127.0.0.1", "localhost"), "https://localhost/".into()] {
        let refused = stack.post("/v1/webhook_endpoints", &sk, &[("url", &url), ("enabled_events[]", "*")]);
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("url")), "{url}");
    }
    let made = endpoint(&stack, &sk, "https://shop.example/hooks", &["customer.created"]);
    assert_eq!(made["development_mode"], false);
    for inner in [receiver.url("/"), receiver.url("/").replace("http:", "https:"), "https://ip6-localhost:8443/".into()]
    {
        stack.sql(
            "gateway",
            &format!(
                "UPDATE webhook_endpoints SET url = '{inner}', failures = 0, failing_since = NULL, open_until = NULL"
            ),
        );
        let object = customer(&stack, &sk, "inside");
        let event = event_of(&stack, &sk, &object);
        until("it to fail", || !delivery(&stack, &sk, &event)["last_attempt"].is_null());
        let failure = delivery(&stack, &sk, &event)["last_attempt"]["failure"].clone();
        let expected =
            if inner.contains("ip6") { vec!["address_refused", "connection_failed"] } else { vec!["address_refused"] };
        assert!(expected.contains(&failure.as_str().unwrap()), "{inner}: {failure}");
    }
    assert_eq!(receiver.received().len(), 0);
}

/// A gateway that is killed while it sends has lost nothing: the next one sends it, at least once.
#[test]
fn a_killed_gateway_loses_nothing() {
    let options = Options::default().restart().set("gateway.webhooks.every_ms=100");
    let stack = Stack::start(options.set("gateway.webhooks.timeout_ms=3000"));
    let (sk, receiver) = (stack.run().keys.sk_test.clone(), Receiver::start());
    endpoint(&stack, &sk, &receiver.url("/"), &["customer.created"]);
    receiver.answer(200, "ok", Duration::from_millis(2500));
    let objects: Vec<String> = (0..12).map(|number| customer(&stack, &sk, &format!("{number}"))).collect();
    receiver.wait(1, |_| true);
    stack.kill9_and_wait("gateway");
    receiver.answer(200, "ok", Duration::ZERO);
    for object in &objects {
        receiver.wait(1, about(object));
        let event = event_of(&stack, &sk, object);
        until("it to be taken", || delivery(&stack, &sk, &event)["status"] == "delivered");
    }
}
