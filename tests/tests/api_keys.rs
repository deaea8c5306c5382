//! Merchants' keys within their bounds: rights, addresses, origins, end, revocation, roll; and the signals of who tries what is
//! not theirs. The tests stand as the one proxy that the gateway trusts, so each request says where it comes from.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kura_tests::planes::Plane;
use kura_tests::{Answer, Options, Stack, block_on};
use reqwest::Method;
use serde_json::{Value, json};

/// "In force within a second", with a little for the clock and the machine.
const IN_FORCE_WITHIN: Duration = Duration::from_millis(1_100);
const HERE: &str = "198.51.100.7";

fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| Stack::start(Options::default().unlimited().set("gateway.trusted_proxies=1")))
}

struct Made {
    id: String,
    key: String,
}

fn make(kind: &str, bounds: Value) -> Made {
    make_in(kind, false, bounds)
}

fn make_in(kind: &str, livemode: bool, bounds: Value) -> Made {
    let asked =
        json!({ "merchant": stack().run().merchants.main, "kind": kind, "livemode": livemode, "bounds": bounds });
    let (status, made) = Plane::gateway_control(stack()).post("/control/v1/keys", &asked);
    assert_eq!(status, 201, "{asked}: {made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Made { id: text("id"), key: text("key") }
}

fn control(path: &str, body: Value) -> (u16, Value) {
    Plane::gateway_control(stack()).post(path, &body)
}

struct Asked<'a> {
    method: Method,
    path: &'a str,
    key: &'a str,
    from: &'a str,
    form: &'a [(&'a str, &'a str)],
    idempotency: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn get(path: &'a str, key: &'a str) -> Self {
        Self { method: Method::GET, path, key, from: HERE, form: &[], idempotency: None }
    }

    fn post(path: &'a str, key: &'a str, form: &'a [(&'a str, &'a str)]) -> Self {
        Self { method: Method::POST, form, ..Self::get(path, key) }
    }

    fn from(self, from: &'a str) -> Self {
        Self { from, ..self }
    }

    fn send(self) -> Answer {
        let mut request = Stack::http().request(self.method.clone(), format!("{}{}", stack().run().gateway, self.path));
        request = request.bearer_auth(self.key).header("x-forwarded-for", format!("203.0.113.99, {}", self.from));
        if let Some(key) = self.idempotency {
            request = request.header("idempotency-key", key);
        }
        if self.method == Method::POST {
            request = request.form(self.form);
        }
        block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
            // A stream has no end.
            let text = if is_stream { String::new() } else { response.text().await.unwrap() };
            Answer { status, headers, text }
        })
    }

    fn code(self) -> String {
        code(&self.send())
    }
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn random() -> String {
    data_encoding::HEXLOWER.encode(&kura_platform::random::bytes::<8>())
}

/// How long it takes until something is so; it must not be so at first.
fn until(what: &str, so: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(25));
    }
    began.elapsed()
}

/// Signals of a kind with this key.
fn signals(kind: &str, key: &str) -> Vec<Value> {
    let merchant = &stack().run().merchants.main;
    let (status, page) =
        Plane::gateway_control(stack()).get(&format!("/control/v1/signals?limit=100&merchant={merchant}"));
    assert_eq!(status, 200, "{page}");
    let of = |signal: &&Value| signal["kind"] == kind && signal["key"] == key;
    page["signals"].as_array().unwrap().iter().filter(of).cloned().collect()
}

fn signal(kind: &str, key: &str) -> Value {
    until(&format!("no signal {kind}"), || !signals(kind, key).is_empty());
    signals(kind, key)[0].clone()
}

fn operations() -> Vec<(Method, String, String)> {
    let document = stack().get(&format!("{}/openapi.json", stack().run().gateway)).json();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let filled: Vec<&str> =
                path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            all.push((method, filled.join("/"), operation["x-kura-right"].as_str().unwrap().to_owned()));
        }
    }
    assert!(all.len() > 30);
    all
}

/// Every endpoint asks for its right: the key with all others is refused, the one with only this right is not, one that may only
/// read can't write; a publishable key gets to none but its own.
#[test]
fn rights_are_asked_for_at_every_endpoint() {
    let operations = operations();
    let resources: BTreeSet<&str> = operations.iter().map(|(_, _, right)| right.split_once(':').unwrap().0).collect();
    for resource in &resources {
        let others: Vec<String> =
            resources.iter().filter(|other| *other != resource).map(|other| format!("{other}:write")).collect();
        let without = make("restricted", json!({ "rights": others }));
        let reading = make("restricted", json!({ "rights": [format!("{resource}:read")] }));
        let writing = make("restricted", json!({ "rights": [format!("{resource}:write")] }));
        for (method, path, right) in
            operations.iter().filter(|(_, _, right)| right.starts_with(&format!("{resource}:")))
        {
            let ask = |key: &str| Asked { method: method.clone(), ..Asked::get(path, key) }.send();
            if ask(&stack().run().keys.sk_test).json()["error"]["code"] == "publishable_key_required" {
                assert_eq!(code(&ask(&writing.key)), "publishable_key_required", "{path}");
                continue;
            }
            let refused = ask(&without.key);
            assert_eq!(
                (refused.status, code(&refused).as_str()),
                (403, "more_permissions_required"),
                "{method} {path}"
            );
            assert!(refused.text.contains(right), "it is said which one: {}", refused.text);
            assert_ne!(code(&ask(&writing.key)), "more_permissions_required", "{method} {path}");
            let reads = code(&ask(&reading.key)) != "more_permissions_required";
            assert_eq!(reads, right.ends_with(":read"), "{method} {path}");
            assert_eq!(code(&ask(&stack().run().keys.pk_test)), "secret_key_required", "{method} {path}");
        }
        signal("right_missing", &without.id);
    }
}

/// What an answer holds of other objects needs the right to those too: by `expand`, and in what was answered to another key.
#[test]
fn expansions_and_replays_need_the_rights() {
    let sk = &stack().run().keys.sk_test;
    let customer = ok(&Asked::post("/v1/customers", sk, &[("description", "only for those who may")]).send());
    let customer = customer["id"].as_str().unwrap();
    let form = [("amount", "1500"), ("currency", "jpy"), ("customer", customer), ("expand[]", "customer")];
    let name = random();
    let made = ok(&Asked { idempotency: Some(&name), ..Asked::post("/v1/payment_intents", sk, &form) }.send());
    assert_eq!(made["customer"]["description"], "only for those who may");

    let key = make("restricted", json!({ "rights": ["payment_intents:write"] }));
    let path = format!("/v1/payment_intents/{}", made["id"].as_str().unwrap());
    assert_eq!(ok(&Asked::get(&path, &key.key).send())["customer"], customer);
    assert_eq!(Asked::get(&format!("{path}?expand[]=customer"), &key.key).code(), "more_permissions_required");
    let replayed = Asked { idempotency: Some(&name), ..Asked::post("/v1/payment_intents", &key.key, &form) }.send();
    assert_eq!(code(&replayed), "idempotency_key_reused", "{}", replayed.text);

    let both = make("restricted", json!({ "rights": ["payment_intents:write", "customers:read"] }));
    let expanded = ok(&Asked::get(&format!("{path}?expand[]=customer"), &both.key).send());
    assert_eq!(expanded["customer"]["id"], customer);
    let listed = format!("/v1/payment_intents?limit=3&customer={customer}&expand[]=data.customer");
    assert_eq!(Asked::get(&listed, &key.key).code(), "more_permissions_required");
    assert_eq!(ok(&Asked::get(&listed, &both.key).send())["data"][0]["customer"]["id"], customer);

    // With its client secret an invoice's payment can be confirmed.
    let invoice = ok(&Asked::post("/v1/invoices", sk, &[("customer", customer), ("currency", "jpy")]).send());
    let invoice = invoice["id"].as_str().unwrap();
    let form = [("customer", customer), ("amount", "300"), ("invoice", invoice)];
    ok(&Asked::post("/v1/invoiceitems", sk, &form).send());
    ok(&Asked::post(&format!("/v1/invoices/{invoice}/finalize"), sk, &[]).send());
    let path = format!("/v1/invoices/{invoice}?expand[]=confirmation_secret");
    let reads = make("restricted", json!({ "rights": ["invoices:write", "payment_intents:read"] }));
    assert_eq!(Asked::get(&path, &reads.key).code(), "more_permissions_required");
    let confirms = make("restricted", json!({ "rights": ["invoices:read", "payment_intents:write"] }));
    let shown = ok(&Asked::get(&path, &confirms.key).send());
    assert!(shown["confirmation_secret"]["client_secret"].as_str().unwrap().starts_with("pi_"), "{shown}");
}

/// A client secret lets a page go on with a payment, so it is shown to those alone who may change it: not to a key that may only
/// read, wherever in an answer the payment stands, nor in what was answered to another key.
#[test]
fn client_secrets_are_for_those_who_may_write() {
    let sk = &stack().run().keys.sk_test;
    let form = [("amount", "1500"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = ok(&Asked::post("/v1/payment_intents", sk, &form).send());
    let setup = ok(&Asked::post("/v1/setup_intents", sk, &[("payment_method", "pm_card_visa")]).send());
    let (id, charge) = (paid["id"].as_str().unwrap(), paid["latest_charge"].as_str().unwrap());
    let paths = [
        format!("/v1/payment_intents/{id}"),
        "/v1/payment_intents?limit=3".to_owned(),
        format!("/v1/charges/{charge}?expand[]=payment_intent"),
        format!("/v1/setup_intents/{}", setup["id"].as_str().unwrap()),
    ];
    let reading =
        make("restricted", json!({ "rights": ["payment_intents:read", "setup_intents:read", "charges:write"] }));
    let writing =
        make("restricted", json!({ "rights": ["payment_intents:write", "setup_intents:write", "charges:read"] }));
    for path in &paths {
        let shown = |key: &str| ok(&Asked::get(path, key).send()).to_string().contains("_secret_");
        assert_eq!((shown(sk), shown(&writing.key), shown(&reading.key)), (true, true, false), "{path}");
    }
}

/// A key with addresses is good from those alone. What stands in the header before our own proxy's word counts for nothing.
#[test]
fn keys_are_bound_to_addresses() {
    for (kind, rights) in [("secret", json!([])), ("restricted", json!(["charges:read"]))] {
        let made =
            make(kind, json!({ "rights": rights, "addresses": ["192.0.2.0/28", "2001:db8::/32", "192.0.2.77"] }));
        for address in ["192.0.2.1", "192.0.2.15", "192.0.2.77", "2001:db8::5", "::ffff:192.0.2.2"] {
            ok(&Asked::get("/v1/charges", &made.key).from(address).send());
        }
        for address in ["192.0.2.16", "192.0.2.78", "2001:db9::5", HERE, "192.0.2.1, 198.51.100.1"] {
            let refused = Asked::get("/v1/charges", &made.key).from(address).send();
            assert_eq!((refused.status, code(&refused).as_str()), (403, "address_not_allowed"), "{address}");
        }
        let seen = signal("address_refused", &made.id);
        assert_eq!((seen["route"].as_str(), seen["object"].is_null()), (Some("GET /v1/charges"), true));
        let change = json!({ "bounds": { "rights": rights, "addresses": [HERE] } });
        assert_eq!(control(&format!("/control/v1/keys/{}", made.id), change).0, 200);
        let took = until("not changed", || Asked::get("/v1/charges", &made.key).send().status == 200);
        assert!(took < IN_FORCE_WITHIN, "{took:?}");
        assert_eq!(Asked::get("/v1/charges", &made.key).from("192.0.2.1").code(), "address_not_allowed");
    }
}

/// Tokens are made on the pages that the publishable key allows, within a second of a change; the card fields can be framed
/// by those alone.
#[test]
fn publishable_keys_are_bound_to_origins() {
    let shop = "https://shop.example";
    let made = make("publishable", json!({ "origins": [shop] }));
    let form = |origin: &'static str| {
        [("key_id", "a"), ("enc", "a"), ("ciphertext", "a"), ("origin", origin), ("sealed_at_ms", "1")]
            .map(|(name, value)| (format!("card[sealed_box][{name}]"), value))
    };
    let token = |key: &str, origin| {
        let form = form(origin);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        Asked::post("/v1/tokens", key, &form).code()
    };
    let frame = |key: &str| {
        let page = stack().get(&format!("{}/checkout/card?key={key}", stack().run().gateway));
        page.headers
            .get("content-security-policy")
            .map(|policy| policy.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    assert!(token(&made.key, "https://shop.example").starts_with("seal"), "past the check, for the vault to refuse");
    for other in ["https://shop.example.evil.example", "http://shop.example", "https://shop.example:444", "null"] {
        assert_eq!(token(&made.key, other), "origin_not_allowed", "{other}");
    }
    signal("origin_refused", &made.id);
    assert!(frame(&made.key).contains("frame-ancestors https://shop.example;"));
    assert_eq!(token(&stack().run().keys.sk_test, "https://shop.example"), "publishable_key_required");

    let change = json!({ "bounds": { "origins": ["https://new.example"] } });
    assert_eq!(control(&format!("/control/v1/keys/{}", made.id), change).0, 200);
    let took = until("not changed", || token(&made.key, "https://shop.example") == "origin_not_allowed");
    assert!(took < IN_FORCE_WITHIN, "{took:?}");
    assert!(token(&made.key, "https://new.example").starts_with("seal"));
    let (status, _) =
        Plane::gateway_control(stack()).post(&format!("/control/v1/keys/{}/revoke", made.id), &Value::Null);
    assert_eq!(status, 204);
    let took = until("not revoked", || {
        frame(&made.key).contains("frame-ancestors") && !frame(&made.key).contains("new.example")
    });
    assert!(took < IN_FORCE_WITHIN, "{took:?}");
    assert_eq!(token(&made.key, "https://new.example"), "api_key_expired");
}

/// A revoked key is refused within a second, although it was used a moment ago; an ended one at its end. Both leave a signal, and
/// neither can be rolled, changed or revoked again.
#[test]
fn a_key_ends_within_a_second() {
    let made = make("secret", json!({}));
    ok(&Asked::get("/v1/charges", &made.key).send());
    let (status, _) = control(&format!("/control/v1/keys/{}/revoke", made.id), Value::Null);
    assert_eq!(status, 204);
    let took = until("still good", || Asked::get("/v1/charges", &made.key).send().status == 401);
    assert!(took < IN_FORCE_WITHIN, "{took:?}");
    assert_eq!(Asked::get("/v1/charges", &made.key).code(), "api_key_expired");
    assert_eq!(signal("key_revoked", &made.id)["address"], HERE);

    let end = kura_platform::clock::now() + Duration::from_millis(1_500);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    let ending = make("restricted", json!({ "rights": ["charges:read"], "expires_at": end }));
    ok(&Asked::get("/v1/charges", &ending.key).send());
    let took = until("still good", || Asked::get("/v1/charges", &ending.key).send().status == 401);
    assert!(took < Duration::from_millis(1_700), "{took:?}");
    signal("key_expired", &ending.id);
    for id in [&made.id, &ending.id] {
        assert_eq!(control(&format!("/control/v1/keys/{id}/roll"), json!({ "overlap_s": 60 })).0, 404);
        assert_eq!(control(&format!("/control/v1/keys/{id}"), json!({ "bounds": {} })).0, 404);
    }
    assert_eq!(control(&format!("/control/v1/keys/{}/revoke", made.id), Value::Null).0, 404);
}

/// A rolled key has a successor with its bounds; both are good until the overlap is over, and then the new one alone. What was
/// asked with the old key under an Idempotency-Key is not done again with the new one.
#[test]
fn a_key_is_rolled_with_an_overlap() {
    let bounds = json!({ "name": "till 3", "rights": ["payment_intents:write"], "addresses": [format!("{HERE}/32")] });
    let old = make("restricted", bounds.clone());
    let form = [("amount", "1500"), ("currency", "jpy")];
    let name = random();
    let ask = |key: &str| Asked { idempotency: Some(&name), ..Asked::post("/v1/payment_intents", key, &form) }.send();
    let first = ok(&ask(&old.key));
    let (status, made) = control(&format!("/control/v1/keys/{}/roll", old.id), json!({ "overlap_s": 3 }));
    assert_eq!(status, 201, "{made}");
    let new = made["key"].as_str().unwrap();
    let again = ask(new);
    assert_eq!(
        (ok(&again)["id"].clone(), again.headers["idempotent-replayed"].to_str().unwrap()),
        (first["id"].clone(), "true")
    );
    ok(&ask(&old.key));
    assert_eq!(Asked::get("/v1/charges", new).code(), "more_permissions_required");
    assert_eq!(Asked::get("/v1/payment_intents", new).from("192.0.2.1").code(), "address_not_allowed");
    let (status, _) = control(&format!("/control/v1/keys/{}/roll", old.id), json!({ "overlap_s": 3 }));
    assert_eq!(status, 404, "once");
    let rolled = json!({ "bounds": { "name": "till 3", "rights": ["payment_intents:write"] } });
    let (status, shown) = control(&format!("/control/v1/keys/{}", old.id), rolled);
    assert_eq!(status, 200);
    assert!(shown["bounds"]["expires_at"].is_string(), "a change does not give back what was taken: {shown}");
    let took = until("still good", || ask(&old.key).status == 401);
    assert!(took < Duration::from_secs(4), "{took:?}");
    ok(&ask(new));

    let merchant = &stack().run().merchants.main;
    let (_, all) = Plane::gateway_control(stack()).get(&format!("/control/v1/keys?merchant={merchant}"));
    let kept = all.as_array().unwrap().iter().find(|key| key["id"] == made["id"]).unwrap().clone();
    assert_eq!((&kept["bounds"]["name"], &kept["bounds"]["rights"]), (&bounds["name"], &bounds["rights"]));
    assert!(!all.to_string().contains(new), "shown once");
    for overlap in [30 * 86_400 + 1, u32::MAX] {
        let id = made["id"].as_str().unwrap();
        assert_eq!(control(&format!("/control/v1/keys/{id}/roll"), json!({ "overlap_s": overlap })).0, 400);
    }
}

/// It is known when a key was last used, to the minute; a refused use is none.
#[test]
fn last_use_is_known_to_the_minute() {
    let (used, unused) =
        (make("secret", json!({ "addresses": [HERE] })), make("secret", json!({ "addresses": ["192.0.2.1"] })));
    ok(&Asked::get("/v1/charges", &used.key).send());
    assert_eq!(Asked::get("/v1/charges", &unused.key).send().status, 403);
    let last = |id: &str| {
        let merchant = &stack().run().merchants.main;
        let (_, all) = Plane::gateway_control(stack()).get(&format!("/control/v1/keys?merchant={merchant}"));
        all.as_array().unwrap().iter().find(|key| key["id"] == id).unwrap()["last_used_at"].clone()
    };
    until("not written down", || last(&used.id).is_string());
    let at = last(&used.id);
    assert!(at.as_str().unwrap().ends_with(":00Z"), "{at}");
    assert!(last(&unused.id).is_null());
}

/// The id of another merchant's object is told apart from nonsense by those who watch, and not by who asks: wherever it stands, the
/// answers are the same but for the request's own id.
#[test]
fn probes_of_foreign_objects_are_seen() {
    let other = &stack().run().keys.other_sk_test;
    let customer = ok(&Asked::post("/v1/customers", other, &[]).send())["id"].as_str().unwrap().to_owned();
    let form = [("amount", "1500"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = ok(&Asked::post("/v1/payment_intents", other, &form).send());
    let of = |name: &str| paid[name].as_str().unwrap().to_owned();
    let event = ok(&Asked::get("/v1/events?limit=1", other).send())["data"][0]["id"].as_str().unwrap().to_owned();
    let made = |path: &str, form: &[(&str, &str)]| {
        ok(&Asked::post(path, other, form).send())["id"].as_str().unwrap().to_owned()
    };
    let product = made("/v1/products", &[("name", "x")]);
    let price =
        [("product", product.as_str()), ("currency", "jpy"), ("unit_amount", "100"), ("recurring[interval]", "month")];
    let price = made("/v1/prices", &price);
    let clock = made("/v1/test_helpers/test_clocks", &[("frozen_time", "1800000000")]);
    let asks: [(&str, String); 11] = [
        ("/v1/customers/ID", customer.clone()),
        ("/v1/payment_intents/ID", of("id")),
        ("/v1/charges/ID", of("latest_charge")),
        ("/v1/payment_methods/ID", of("payment_method")),
        ("/v1/events/ID", event),
        ("/v1/products/ID", product),
        ("/v1/prices/ID", price),
        ("/v1/test_helpers/test_clocks/ID", clock),
        ("/v1/payment_intents?customer=ID", customer.clone()),
        ("POST /v1/refunds charge", of("latest_charge")),
        ("POST /v1/payment_intents customer", customer),
    ];
    for (ask, foreign) in asks {
        let key = make("secret", json!({}));
        let nonsense = nonsense_like(&foreign);
        let answer = |id: &str| {
            let answered = match ask.strip_prefix("POST ").and_then(|rest| rest.split_once(' ')) {
                Some((path, name)) => Asked::post(
                    path,
                    &key.key,
                    &[("amount", "1500"), ("currency", "jpy"), (name, id)][if name == "charge" { 2.. } else { 0.. }],
                )
                .send(),
                None => Asked::get(&ask.replace("ID", id), &key.key).send(),
            };
            let mut body = answered.json();
            if let Some(error) = body["error"].as_object_mut() {
                error.remove("request_log_url");
            }
            (answered.status, body)
        };
        assert_eq!(answer(&foreign), answer(&nonsense), "{ask}");
        let seen = signal("foreign_object", &key.id);
        assert_eq!(
            (&seen["object"], &seen["owner"]),
            (&json!(foreign), &json!(stack().run().merchants.other)),
            "{ask}"
        );
        let nothing = signal("missing_object", &key.id);
        assert_eq!((&nothing["object"], nothing["owner"].is_null()), (&json!(nonsense), true), "{ask}");
        assert_eq!(
            (signals("foreign_object", &key.id).len(), signals("missing_object", &key.id).len()),
            (1, 1),
            "{ask}"
        );
    }
}

/// An id of the same kind, with another letter at its end but one.
fn nonsense_like(id: &str) -> String {
    let (kept, tail) = id.split_at(id.len() - 2);
    let (letter, last) = tail.split_at(1);
    format!("{kept}{}{last}", if letter == "a" { "b" } else { "a" })
}

/// A publishable key where a secret one is needed is a signal, with key, address, route and request; equal ones of one moment are
/// counted, not repeated.
#[test]
fn a_publishable_key_on_the_servers_side_is_seen() {
    let made = make("publishable", json!({ "origins": ["https://shop.example"] }));
    let answer = Asked::get("/v1/customers/cus_00000000000000000000000000", &made.key).send();
    assert_eq!(code(&answer), "secret_key_required");
    let seen = signal("publishable_key", &made.id);
    assert_eq!(seen["address"], HERE);
    assert_eq!(seen["route"], "GET /v1/customers/*");
    assert_eq!(seen["request_id"], answer.headers["request-id"].to_str().unwrap());
    assert_eq!(seen["key_hint"], format!("pk_test_...{}", &made.key[made.key.len() - 4..]));
    let path = "/v1/charges";
    for _ in 0..20 {
        Asked::get(path, &made.key).send();
    }
    let times = || {
        let seen = signals("publishable_key", &made.id);
        (
            seen.iter()
                .filter(|seen| seen["route"] == "GET /v1/charges")
                .map(|seen| seen["times"].as_i64().unwrap())
                .sum::<i64>(),
            seen.len(),
        )
    };
    until("not counted", || times().0 == 20);
    assert!(times().1 < 20, "{:?}", times());
}

/// Live keys are of live mode: they see nothing of test mode, and the vault's test network is not theirs. Commands make them too.
#[test]
fn live_keys_see_nothing_of_test_mode() {
    let live = make_in("secret", true, json!({}));
    assert!(live.key.starts_with("sk_live_"));
    let customer = ok(&Asked::post("/v1/customers", &stack().run().keys.sk_test, &[]).send());
    let path = format!("/v1/customers/{}", customer["id"].as_str().unwrap());
    assert_eq!(Asked::get(&path, &live.key).code(), "resource_missing");
    let own = ok(&Asked::post("/v1/customers", &live.key, &[]).send());
    assert_eq!(own["livemode"], true);
    let path = format!("/v1/customers/{}", own["id"].as_str().unwrap());
    assert_eq!(Asked::get(&path, &stack().run().keys.sk_test).code(), "resource_missing");

    let merchant = stack().run().merchants.main.as_str();
    let printed = stack().command(
        "gateway",
        &[
            "add-key",
            "--merchant",
            merchant,
            "--kind",
            "restricted",
            "--live",
            "--right",
            "customers:read",
            "--name",
            "crm",
        ],
    );
    let made: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("rk_live_"));
    ok(&Asked::get(&path, key).send());
    let id = made["id"].as_str().unwrap();
    stack().command("gateway", &["change-key", "--key", id, "--right", "charges:read"]);
    until("not changed", || Asked::get(&path, key).code() == "more_permissions_required");
    let rolled = stack().command("gateway", &["roll-key", "--key", id, "--overlap-s", "60"]);
    assert!(rolled.contains("rk_live_"));
    let listed = stack().command("gateway", &["list-keys", "--merchant", merchant]);
    assert!(listed.contains(id) && !listed.contains(key));
    stack().command("gateway", &["revoke-key", "--key", id]);
    until("not revoked", || Asked::get(&path, key).code() == "api_key_expired");
}
