//! Every operation of the API's own document, asked about another merchant's objects: in its path, in each of its parameters. The
//! answer is the one for an id of nothing, those who watch are told, and the other merchant's objects stay as they are. A new
//! endpoint, or a new parameter, is asked too, or this test says what it doesn't know.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_shopper::{TypedCard, checked_key, seal};
use kura_tests::planes::Plane;
use kura_tests::{Options, Stack, block_on};
use kura_wire::ids::ApiKeyId;
use kura_wire::sealed_box::Suite;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| Stack::start(Options::default().unlimited()))
}

/// Objects of one merchant, by the words of their ids.
type Belongings = BTreeMap<&'static str, String>;

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("{object}")).to_owned()
}

/// One object of each kind.
fn belongings(sk: &str, pk: &str) -> Belongings {
    let stack = stack();
    let post = |path: &str, form: &[(&str, &str)]| {
        let answer = stack.post(path, sk, form);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    };
    let get = |path: &str| stack.read(path, sk).json();
    let made = stack.post("/v1/customers", sk, &[("payment_method", "pm_card_visa")]);
    let (customer, log) = (id(&made.json()), made.headers["request-id"].to_str().unwrap().to_owned());
    let saved = id(&get(&format!("/v1/customers/{customer}/payment_methods"))["data"][0]);
    let form = [("amount", "1500"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let paid = post("/v1/payment_intents", &form);
    let charge = paid["latest_charge"].as_str().unwrap().to_owned();
    let refund = id(&post("/v1/refunds", &[("charge", &charge), ("amount", "100")]));
    let product = id(&post("/v1/products", &[("name", "月刊蔵")]));
    let of_product = ("product", product.as_str());
    let price = [of_product, ("currency", "jpy"), ("unit_amount", "900"), ("recurring[interval]", "month")];
    let price = id(&post("/v1/prices", &price));
    let form =
        [("customer", customer.as_str()), ("items[0][price]", &price), ("payment_behavior", "default_incomplete")];
    let subscription = post("/v1/subscriptions", &form);
    let form = [("mode", "setup"), ("success_url", "https://shop.example/"), ("customer", customer.as_str())];
    let session = id(&post("/v1/checkout/sessions", &form));
    let form = [("customer", customer.as_str()), ("items[0][price]", &price), ("default_payment_method", &saved)];
    let running = id(&post("/v1/subscriptions", &form));
    let hook = [("url", "https://shop.example/hooks"), ("enabled_events[]", "customer.created")];
    let keys =
        serde_json::from_str(&stack.get(&format!("{}/checkout/sealing_keys", stack.run().gateway)).text).unwrap();
    let key = checked_key(&keys, &stack.run().vault_identity, Suite::X25519).unwrap();
    let card = TypedCard::new("4242424242424242", "123");
    let sealed = seal(&key, &card, pk, &stack.run().fronts, clock::now_ms()).unwrap();
    let token = stack.post_json("/v1/tokens", pk, &json!({ "card": { "sealed_box": sealed } })).json();
    [
        ("cus", customer.clone()),
        ("pm", saved),
        // One that a customer can still be given.
        ("pm_loose", id(&post("/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]))),
        ("pi", id(&post("/v1/payment_intents", &form_of_an_open_payment()))),
        ("seti", id(&post("/v1/setup_intents", &[]))),
        ("txn", id(&get(&format!("/v1/balance_transactions?source={charge}"))["data"][0])),
        ("dp", dispute(sk, &charge)),
        ("ch", charge),
        ("re", refund),
        ("evt", id(&get("/v1/events?limit=1")["data"][0])),
        ("prod", product),
        ("price", price),
        ("sub", id(&subscription)),
        // One whose items can be changed.
        ("sub_paid", running),
        ("si", id(&subscription["items"]["data"][0])),
        ("ii", id(&post("/v1/invoiceitems", &[("customer", &customer), ("amount", "70"), ("currency", "jpy")]))),
        ("in", subscription["latest_invoice"].as_str().unwrap().to_owned()),
        ("cs", session),
        ("clock", id(&post("/v1/test_helpers/test_clocks", &[("frozen_time", "1800000000")]))),
        ("we", id(&post("/v1/webhook_endpoints", &hook))),
        ("tok", id(&token)),
        ("req", log),
    ]
    .into()
}

const fn form_of_an_open_payment() -> [(&'static str, &'static str); 2] {
    [("amount", "1500"), ("currency", "jpy")]
}

/// A dispute about this charge, once it is heard of.
fn dispute(sk: &str, charge: &str) -> String {
    let stack = stack();
    let bytes: kura_wire::ids::ChargeId = charge.parse().unwrap();
    let find = "SELECT network_reference FROM attempts WHERE kind = 'authorize' AND charge_id";
    let reference = stack.sql("gateway", &format!("{find} = '{}'", Uuid::from_bytes(*bytes.as_bytes())));
    let url = format!("{}/disputes/acts/open", stack.run().networks);
    let wish = json!({ "reference": reference, "reason": "general", "amount_minor": 100 });
    block_on(async { Stack::http().post(url).json(&wish).send().await.unwrap() });
    let began = Instant::now();
    loop {
        let found = stack.read(&format!("/v1/disputes?charge={charge}"), sk).json();
        if let Some(id) = found["data"][0]["id"].as_str() {
            return id.to_owned();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What stands at `{id}` in a path.
fn kind_of_path(path: &str) -> &'static str {
    let collection = path.split("/{id}").next().unwrap();
    match collection.strip_prefix("/v1/").unwrap() {
        "balance_transactions" => "txn",
        "charges" => "ch",
        "checkout/sessions" => "cs",
        "customers" => "cus",
        "disputes" => "dp",
        "events" => "evt",
        "invoiceitems" => "ii",
        "invoices" => "in",
        "payment_intents" => "pi",
        "payment_methods" => "pm",
        "prices" => "price",
        "products" => "prod",
        "refunds" => "re",
        "request_logs" => "req",
        "setup_intents" => "seti",
        "subscription_items" => "si",
        "subscriptions" => "sub",
        "test_helpers/test_clocks" => "clock",
        "tokens" => "tok",
        "webhook_endpoints" => "we",
        new => panic!("which objects are at {new}? Say it here, and make one in `belongings`"),
    }
}

/// Parameters that are texts and no ids.
const TEXTS: [&str; 50] = [
    "address",
    "api_version",
    "cancel_at",
    "cancel_url",
    "ciphertext",
    "city",
    "client_reference_id",
    "client_secret",
    "code",
    "comment",
    "confirmation_number",
    "country",
    "currency",
    "description",
    "email",
    "enc",
    "expand",
    "feedback",
    "key_id",
    "line1",
    "line2",
    "lookup_key",
    "lookup_keys",
    "metadata",
    "name",
    "nickname",
    "origin",
    "pause_collection",
    "phone",
    "postal_code",
    "product_description",
    "receipt_email",
    "return_url",
    "state",
    "success_url",
    "type",
    "types",
    "uncategorized_text",
    "unit_label",
    "url",
    // Not there yet, and no ids when they come.
    "statement_descriptor",
    "locale",
    "method",
    "status",
    "interval",
    "reason",
    "mode",
    "usage",
    "currency_options",
    "tax_code",
]; // fmt: skip

/// Which kind of object a parameter names; `None` for texts.
fn kind_of_parameter(path: &str, name: &str) -> Option<&'static str> {
    let parts: Vec<&str> = name.split('.').filter(|part| *part != "0").collect();
    Some(match *parts.last().unwrap() {
        "charge" | "duplicate_charge_id" => "ch",
        _ if parts.first() == Some(&"evidence") => return None,
        "invoice" => "in",
        "customer" => "cus",
        "payment_method" | "default_payment_method" => "pm",
        "payment_intent" => "pi",
        "price" | "default_price" => "price",
        "product" => "prod",
        "subscription" => "sub",
        "test_clock" => "clock",
        "token" => "tok",
        "webhook_endpoint" => "we",
        "source" => "ch",
        "after" => "evt",
        "ids" => "prod",
        "id" => "si",
        "starting_after" | "ending_before" => match path {
            // Lines have no ids that are known elsewhere: any other object's is as good.
            "/v1/checkout/sessions/{id}/line_items" | "/v1/invoices/{id}/lines" => "si",
            "/v1/customers/{id}/payment_methods" => "pm",
            _ => kind_of_path(path),
        },
        number if number.ends_with("_decimal") => return None,
        text if TEXTS.contains(&text) => return None,
        new => panic!("{path}: is {new} an id? Say it here, or that it is none in `TEXTS`"),
    })
}

/// An operation, with the dotted names of its parameters that are texts.
struct Operation {
    method: Method,
    path: String,
    texts: BTreeSet<String>,
}

fn operations() -> Vec<Operation> {
    let document = stack().get(&format!("{}/openapi.json", stack().run().gateway)).json();
    let schemas = &document["components"]["schemas"];
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let mut texts = BTreeSet::new();
            for parameter in operation["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "query") {
                let name = parameter["name"].as_str().unwrap().trim_end_matches("[]");
                gather(schemas, &parameter["schema"], name, &mut texts, 0);
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            gather(schemas, body, "", &mut texts, 0);
            let method = method.to_ascii_uppercase().parse().unwrap();
            all.push(Operation { method, path: path.clone(), texts });
        }
    }
    assert!(all.len() > 60);
    all
}

fn gather(schemas: &Value, schema: &Value, name: &str, texts: &mut BTreeSet<String>, depth: usize) {
    assert!(depth < 30, "{name} never ends");
    if let Some(reference) = schema["$ref"].as_str() {
        gather(schemas, &schemas[reference.rsplit('/').next().unwrap()], name, texts, depth + 1);
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        for one in schema[kind].as_array().into_iter().flatten() {
            gather(schemas, one, name, texts, depth + 1);
        }
    }
    for (part, schema) in schema["properties"].as_object().into_iter().flatten() {
        let inner = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
        gather(schemas, schema, &inner, texts, depth + 1);
    }
    if schema["items"].is_object() {
        gather(schemas, &schema["items"], &format!("{name}.0"), texts, depth + 1);
    }
    let is_text =
        schema["type"] == "string" || schema["type"].as_array().is_some_and(|all| all.contains(&json!("string")));
    if is_text && schema.get("enum").is_none() && schema.get("const").is_none() {
        texts.insert(name.to_owned());
    }
}

/// What must be sent beside an id so that nothing else is wrong.
fn beside(method: &Method, path: &str, name: &str, own: &Belongings) -> Vec<(String, String)> {
    let own = |kind: &str| own[kind].as_str();
    let form = match path {
        "/v1/payment_methods" if method == Method::GET => vec![("customer", own("cus"))],
        "/v1/subscription_items" if method == Method::GET => vec![("subscription", own("sub"))],
        _ if method != Method::POST => Vec::new(),
        "/v1/payment_intents" => form_of_an_open_payment().to_vec(),
        "/v1/invoiceitems" if name.contains("price") => vec![("customer", own("cus"))],
        "/v1/invoiceitems" => vec![("customer", own("cus")), ("amount", "70"), ("currency", "jpy")],
        "/v1/payment_intents/{id}/confirm" | "/v1/setup_intents/{id}/confirm" => Vec::new(),
        "/v1/payment_methods" => vec![("type", "card")],
        "/v1/payment_methods/{id}/attach" => vec![("customer", own("cus"))],
        "/v1/prices" => vec![("currency", "jpy"), ("unit_amount", "100")],
        "/v1/subscriptions" => vec![("customer", own("cus")), ("items[0][price]", own("price"))],
        "/v1/subscription_items" => vec![("subscription", own("sub")), ("price", own("price"))],
        "/v1/invoices/create_preview" => vec![("subscription", own("sub_paid"))],
        "/v1/checkout/sessions" if name.starts_with("line_items") => {
            vec![("mode", "payment"), ("success_url", "https://shop.example/")]
        }
        "/v1/checkout/sessions" => vec![("mode", "setup"), ("success_url", "https://shop.example/")],
        "/v1/test_helpers/test_clocks/{id}/advance" => vec![("frozen_time", "1900000000")],
        "/v1/products" => vec![("name", "x")],
        _ => Vec::new(),
    };
    let mut form: Vec<(String, String)> =
        form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if let Some(at) = name.strip_suffix(".product").filter(|at| at.ends_with("price_data")) {
        for (part, value) in [("currency", "jpy"), ("unit_amount", "100"), ("recurring.interval", "month")] {
            if part == "recurring.interval" && ["/v1/checkout/sessions", "/v1/invoiceitems"].contains(&path) {
                continue;
            }
            form.push((bracketed(&format!("{at}.{part}")), value.to_owned()));
        }
        // A price, or what makes one.
        let price = bracketed(&format!("{}.price", at.trim_end_matches(".price_data")));
        form.retain(|(name, _)| *name != price && (at != "price_data" || name != "price"));
    }
    if name.ends_with("card.token") && path != "/v1/payment_methods" {
        form.push(("payment_method_data[type]".to_owned(), "card".to_owned()));
    }
    form.retain(|(sent, _)| *sent != bracketed(name));
    form
}

/// `items.0.price` as forms have it.
fn bracketed(name: &str) -> String {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| format!("{all}[{part}]"))
}

/// An id of the same kind, with another letter at its end but one.
fn nonsense_like(id: &str) -> String {
    let (kept, tail) = id.split_at(id.len() - 2);
    let (letter, last) = tail.split_at(1);
    format!("{kept}{}{last}", if letter == "a" { "b" } else { "a" })
}

struct Attacker {
    key: String,
    id: Uuid,
}

impl Attacker {
    /// With a key of its own, so that its signals can be told from others'.
    fn new() -> Self {
        let asked =
            json!({ "merchant": stack().run().merchants.main, "kind": "secret", "livemode": false, "bounds": {} });
        let (status, made) = Plane::gateway_control(stack()).post("/control/v1/keys", &asked);
        assert_eq!(status, 201, "{made}");
        let id: ApiKeyId = made["id"].as_str().unwrap().parse().unwrap();
        Self { key: made["key"].as_str().unwrap().to_owned(), id: Uuid::from_bytes(*id.as_bytes()) }
    }

    /// The answer, without what is the request's own. Of a stream that begins, its status.
    fn ask(&self, method: &Method, path: &str, form: &[(String, String)]) -> (u16, Value) {
        let request = Stack::http().request(method.clone(), format!("{}{path}", stack().run().gateway));
        let request = request.bearer_auth(&self.key);
        let request = if method == Method::POST { request.form(form) } else { request.query(form) };
        block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            if response.headers()["content-type"] == "text/event-stream" {
                return (status, Value::Null);
            }
            let mut body: Value = response.json().await.unwrap();
            if let Some(error) = body["error"].as_object_mut() {
                error.remove("request_log_url");
            }
            (status, body)
        })
    }

    /// Asks with another merchant's id and with nobody's: what is wrong about it, if anything is.
    fn probe(
        &self,
        method: &Method,
        foreign: &str,
        ask: impl Fn(&str) -> (String, Vec<(String, String)>),
    ) -> Option<String> {
        let answer = |id: &str| {
            let (path, form) = ask(id);
            self.ask(method, &path, &form)
        };
        let (theirs, nothing) = (answer(foreign), answer(&nonsense_like(foreign)));
        let (status, body) = &theirs;
        let is_empty = *status == 200 && body["data"].as_array().is_some_and(Vec::is_empty);
        let is_missing = *status == 404 && body["error"]["code"] == "resource_missing";
        if theirs != nothing {
            return Some(format!("tells apart: {theirs:?} {nothing:?}"));
        }
        (!is_empty && !is_missing).then(|| format!("{status} {body}"))
    }
}

/// A path as those who watch see it.
fn shown(path: &str) -> String {
    let is_word = |part: &str| part == "v1" || part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    path.split('/').map(|part| if is_word(part) && part.len() <= 20 { part } else { "*" }).collect::<Vec<_>>().join("/")
}

/// All that the other merchant has, as it sees it.
fn seen_by_its_owner(theirs: &Belongings, sk: &str) -> Vec<Value> {
    let paths = operations();
    let retrieved = paths.iter().filter(|one| one.method == Method::GET && one.path.ends_with("/{id}"));
    let read = |one: &Operation| {
        let id = &theirs[kind_of_path(&one.path)];
        let answer = stack().read(&one.path.replace("{id}", id), sk);
        assert_eq!(answer.status, 200, "{}: {}", one.path, answer.text);
        answer.json()
    };
    retrieved.map(read).collect()
}

/// The walk.
#[test]
fn no_operation_knows_another_merchants_objects() {
    let run = stack().run();
    let theirs = belongings(&run.keys.other_sk_test, &run.keys.other_pk_test);
    let own = belongings(&run.keys.sk_test, &run.keys.pk_test);
    let attacker = Attacker::new();
    let before = seen_by_its_owner(&theirs, &run.keys.other_sk_test);
    let (mut wrong, mut expected, mut probes) = (Vec::new(), BTreeMap::<String, i64>::new(), 0);
    let mut note = |method: &Method, path: &str, what: &str, foreign: &str, said: Option<String>| {
        probes += 1;
        let path = shown(&path.replace("{id}", "X").replace("{payment_method}", "X"));
        *expected.entry(format!("{method} {path} {foreign}")).or_default() += 1;
        wrong.extend(said.map(|said| format!("{method} {path} {what}: {said}")));
    };
    for operation in operations() {
        let (method, path) = (&operation.method, operation.path.as_str());
        if path.contains("{id}") {
            let foreign = &theirs[kind_of_path(path)];
            let said = attacker.probe(method, foreign, |id| {
                let path = path.replace("{id}", id).replace("{payment_method}", &own["pm"]);
                (path, beside(method, &operation.path, "", &own))
            });
            note(method, path, "{id}", foreign, said);
        }
        if path.contains("{payment_method}") {
            let said = attacker.probe(method, &theirs["pm"], |id| {
                (path.replace("{id}", &own["cus"]).replace("{payment_method}", id), Vec::new())
            });
            note(method, path, "{payment_method}", &theirs["pm"], said);
        }
        assert_eq!(
            path.replace("{id}", "").replace("{payment_method}", "").find('{'),
            None,
            "{path}: what stands there?"
        );
        let own_id = match path {
            "/v1/payment_methods/{id}/attach" => Some("pm_loose"),
            "/v1/subscriptions/{id}" => Some("sub_paid"),
            _ => None,
        };
        for name in &operation.texts {
            let Some(kind) = kind_of_parameter(path, name) else { continue };
            if (path, name.as_str()) == ("/v1/customers", "invoice_settings.default_payment_method") {
                // It must be what `payment_method` of the same request says; it is never looked up.
                continue;
            }
            let foreign = &theirs[kind];
            let said = attacker.probe(method, foreign, |id| {
                let mut form = beside(method, path, name, &own);
                form.push((bracketed(name).replace("ids[0]", "ids[]"), id.to_owned()));
                let in_path =
                    if path.contains("{id}") { &own[own_id.unwrap_or_else(|| kind_of_path(path))] } else { "" };
                (path.replace("{id}", in_path), form)
            });
            note(method, path, name, foreign, said);
        }
    }
    assert!(wrong.is_empty(), "{} of {probes}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(probes > 150, "{probes}");
    assert_eq!(before, seen_by_its_owner(&theirs, &run.keys.other_sk_test), "nothing of it was touched");

    are_seen(&attacker, &expected);
}

/// Each probe is a signal: as many as there were of a method, a path and an object.
fn are_seen(attacker: &Attacker, expected: &BTreeMap<String, i64>) {
    let seen = format!(
        "SELECT route || ' ' || object, sum(times) FROM signals WHERE kind = 'foreign_object' AND key_id = '{}'
             AND owner_id <> merchant_id GROUP BY 1",
        attacker.id
    );
    let began = Instant::now();
    loop {
        let rows = stack().sql("gateway", &seen);
        let seen: BTreeMap<&str, i64> = rows
            .lines()
            .filter_map(|row| row.split_once('|'))
            .map(|(what, times)| (what, times.parse().unwrap()))
            .collect();
        let unseen = |(what, times): &(&String, &i64)| seen.get(what.as_str()).is_none_or(|seen| seen < *times);
        let missing: Vec<_> = expected.iter().filter(unseen).collect();
        if missing.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{} probes left no signal: {missing:#?}", missing.len());
        std::thread::sleep(Duration::from_millis(300));
    }
}
