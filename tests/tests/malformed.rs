//! Bad input: each kind gets its documented 4xx envelope, never a 500, and never an echo of what was sent.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kura_platform::clock;
use kura_shopper::{TypedCard, checked_key, seal, seal_text};
use kura_tests::{Answer, Stack, block_on};
use kura_wire::sealed_box::{SealedBox, SealingKey, Suite};
use serde_json::{Value, json};

/// In every bad request, and in no answer.
const MARK: &str = "zebra7Q9x";
const PAN: &str = "4539578763621486";

struct Sent<'a> {
    what: &'a str,
    path: &'a str,
    key: &'a str,
    content_type: Option<&'a str>,
    body: Vec<u8>,
}

fn send(stack: &Stack, sent: &Sent<'_>) -> Answer {
    let mut request = Stack::http().post(format!("{}{}", stack.run().gateway, sent.path)).bearer_auth(sent.key);
    if let Some(kind) = sent.content_type {
        request = request.header("content-type", kind);
    }
    let body = sent.body.clone();
    block_on(async {
        let response = request.body(body).send().await.unwrap_or_else(|error| panic!("{}: {error}", sent.what));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    })
}

/// The envelope is whole, names its documentation, and repeats nothing of the request.
fn assert_envelope(stack: &Stack, what: &str, answer: &Answer, status: u16, code: &str) {
    let error = &answer.json()["error"];
    assert_eq!((answer.status, error["code"].as_str()), (status, Some(code)), "{what}: {}", answer.text);
    assert!((400..500).contains(&answer.status), "{what}");
    for field in ["type", "message", "doc_url"] {
        assert!(error[field].is_string(), "{what}: no {field} in {}", answer.text);
    }
    assert!(answer.headers.get("request-id").is_some_and(|id| id.to_str().unwrap().starts_with("req_")), "{what}");
    let said = format!("{:?}{}", answer.headers, answer.text);
    for part in [MARK, PAN, &PAN[..10], "8763621486"] {
        assert!(!said.contains(part), "{what}: repeats what was sent: {said}");
    }
    let page = stack.get(error["doc_url"].as_str().unwrap().split('#').next().unwrap());
    assert_eq!(page.status, 200, "{what}: its documentation is there");
    assert!(page.text.contains(code), "{what}: its code is documented");
}

/// Bodies that can't be read or mean nothing, for every kind of body that there is.
#[test]
fn unreadable_bodies_get_their_envelope() {
    let stack = Stack::shared();
    let key = stack.run().keys.sk_test.as_str();
    let (form, json) = (Some("application/x-www-form-urlencoded"), Some("application/json"));
    let path = "/v1/payment_intents";
    let case = |what, content_type, body: Vec<u8>| Sent { what, path, key, content_type, body };
    let deep_form = format!("metadata{}={MARK}", "[a]".repeat(200));
    let deep_json = format!("{}\"{MARK}\"{}", "{\"a\":".repeat(2000), "}".repeat(2000));
    let escaped: String = PAN.bytes().map(|digit| format!("\\u00{digit:02x}")).collect();
    let twice = format!("{{\"amount\":100,\"currency\":\"jpy\",\"description\":\"{escaped}\",\"description\":\"x\"}}");
    let inside = format!("{{\"amount\":100,\"currency\":\"jpy\",\"metadata\":{{\"a\":\"{escaped}\",\"a\":\"x\"}}}}");
    let mark = MARK.as_bytes();
    let cases = [
        (case("no body", None, vec![]), 400, "parameter_missing"),
        (case("empty form", form, vec![]), 400, "parameter_missing"),
        (case("empty JSON", json, vec![]), 400, "parameter_missing"),
        (case("a JSON list", json, format!("[\"{MARK}\"]").into_bytes()), 400, "body_malformed"),
        (case("half of JSON", json, format!("{{\"amount\": \"{MARK}").into_bytes()), 400, "body_malformed"),
        (case("bad UTF-8 in a form", form, [b"amount=\xff\xfe".as_slice(), mark].concat()), 400, "body_malformed"),
        (case("bad UTF-8, escaped", form, [b"amount=%ff%fe".as_slice(), mark].concat()), 400, "body_malformed"),
        (
            case("bad UTF-8 in JSON", json, [b"{\"amount\":\"\xff".as_slice(), mark, b"\"}"].concat()),
            400,
            "body_malformed",
        ),
        (case("deep brackets", form, deep_form.into_bytes()), 400, "body_malformed"),
        (case("deep JSON", json, deep_json.into_bytes()), 400, "body_malformed"),
        // Searched would be the one, and dropped the other.
        (case("JSON that says a name twice", json, twice.into_bytes()), 400, "body_malformed"),
        (case("JSON that says a name twice, inside", json, inside.into_bytes()), 400, "body_malformed"),
        (
            case("a form that says a name twice", form, b"amount=100&amount=200&currency=jpy".to_vec()),
            400,
            "body_malformed",
        ),
        (case("2 MiB", form, [mark, &vec![b'a'; 2 << 20]].concat()), 413, "body_too_large"),
        (case("2 MiB of JSON", json, vec![b' '; 2 << 20]), 413, "body_too_large"),
        (
            case("another type", Some("text/xml"), format!("<a>{MARK}</a>").into_bytes()),
            415,
            "content_type_unsupported",
        ),
        (case("multipart", Some("multipart/form-data; boundary=x"), mark.to_vec()), 415, "content_type_unsupported"),
    ];
    for (sent, status, code) in &cases {
        assert_envelope(stack, sent.what, &send(stack, sent), *status, code);
    }
}

/// Values of the wrong type, unknown and missing parameters, wrong keys, wrong paths and methods.
#[test]
fn wrong_values_get_their_envelope() {
    let stack = Stack::shared();
    let key = stack.run().keys.sk_test.as_str();
    let intents = "/v1/payment_intents";
    let post = |form: &[(&str, &str)]| stack.post(intents, key, form);
    let jpy = ("currency", "jpy");
    for (what, answer, status, code) in [
        ("amount in words", post(&[("amount", MARK), jpy]), 400, "parameter_invalid_integer"),
        ("a fraction", post(&[("amount", "10.5"), jpy]), 400, "parameter_invalid_integer"),
        ("a huge number", post(&[("amount", "99999999999999999999999"), jpy]), 400, "parameter_invalid_integer"),
        ("nothing", post(&[("amount", "0"), jpy]), 400, "amount_too_small"),
        ("less than nothing", post(&[("amount", "-5"), jpy]), 400, "amount_too_small"),
        ("too much", post(&[("amount", "100000000"), jpy]), 400, "amount_too_large"),
        ("no such money", post(&[("amount", "100"), ("currency", MARK)]), 400, "parameter_invalid"),
        ("an unknown parameter", post(&[("amount", "100"), jpy, ("colour", MARK)]), 400, "parameter_unknown"),
        ("a list for a word", post(&[("amount[]", MARK), jpy]), 400, "parameter_invalid_integer"),
        ("no such method", post(&[("amount", "100"), jpy, ("payment_method", MARK)]), 404, "resource_missing"),
        ("a wrong key", stack.post(intents, &format!("sk_test_{MARK}"), &[jpy]), 401, "api_key_invalid"),
        ("a public key", stack.post(intents, &stack.run().keys.pk_test, &[jpy]), 403, "secret_key_required"),
        ("no such path", stack.post(&format!("/v1/{MARK}"), key, &[]), 404, "url_unknown"),
        ("no such object", stack.read(&format!("{intents}/pi_{MARK}"), key), 404, "resource_missing"),
        ("no such cursor", stack.read(&format!("{intents}?starting_after={MARK}"), key), 400, "parameter_invalid"),
    ] {
        let code = if what == "no such cursor" && answer.status == 404 { "resource_missing" } else { code };
        let status = if what == "no such cursor" { answer.status } else { status };
        assert_envelope(stack, what, &answer, status, code);
    }
}

fn current_key(stack: &Stack) -> SealingKey {
    let config = std::fs::read_to_string(stack.state().join("gateway/gateway.toml")).unwrap();
    let identity = config.lines().find_map(|line| line.strip_prefix("vault_identity = ")).unwrap().trim_matches('"');
    let keys = stack.get(&format!("{}/checkout/sealing_keys", stack.run().gateway));
    checked_key(&serde_json::from_str(&keys.text).unwrap(), identity, Suite::X25519).unwrap()
}

/// Boxes to an expired or foreign key, replayed for another merchant, from a page that is not allowed, damaged, too old; and
/// good boxes with bad cards. The box that all are made of is good.
#[test]
fn wrong_boxes_get_their_envelope() {
    let stack = Stack::shared();
    let (run, key, now) = (stack.run(), current_key(stack), clock::now_ms());
    let (pk, origin) = (run.keys.pk_test.as_str(), run.fronts.as_str());
    let token =
        |pk: &str, sealed: &Value| stack.post_json("/v1/tokens", pk, &json!({ "card": { "sealed_box": sealed } }));
    let card = TypedCard::new(PAN, "123");
    let good = seal(&key, &card, pk, origin, now).unwrap();
    let text = |text: &str| json!(seal_text(&key, text, pk, origin, now).unwrap());
    let of = |number: &str, year: u16, cvc: &str| {
        let card = TypedCard { exp_year: year, ..TypedCard::new(number, cvc) };
        json!(seal(&key, &card, pk, origin, now).unwrap())
    };
    let evil = "https://evil.example";
    let cases = [
        (
            "an expired key",
            pk,
            json!(SealedBox { key_id: "hk000expiredexpired".into(), ..good.clone() }),
            400,
            "sealing_key_expired",
        ),
        ("a foreign key", pk, json!(foreign_box(pk, origin, now, &key)), 400, "sealed_box_invalid"),
        ("another merchant's", run.keys.other_pk_test.as_str(), json!(good), 400, "sealed_box_invalid"),
        ("another page", pk, json!(seal(&key, &card, pk, evil, now).unwrap()), 403, "origin_not_allowed"),
        (
            "a damaged box",
            pk,
            json!(SealedBox { ciphertext: good.ciphertext.replace('A', "B"), ..good.clone() }),
            400,
            "sealed_box_invalid",
        ),
        ("not base64", pk, json!(SealedBox { enc: format!("!{MARK}"), ..good.clone() }), 400, "sealed_box_invalid"),
        ("too old", pk, json!(seal(&key, &card, pk, origin, now - 86_400_000).unwrap()), 400, "sealed_box_expired"),
        ("an expired card", pk, of(PAN, 2021, "123"), 402, "expired_card"),
        ("a wrong digit", pk, of("4539578763621487", 2035, "123"), 402, "incorrect_number"),
        ("a short code", pk, of(PAN, 2035, "1"), 402, "invalid_cvc"),
        ("no card", pk, text(MARK), 400, "sealed_box_invalid"),
    ];
    for (what, publishable_key, sealed, status, code) in &cases {
        assert_envelope(stack, what, &token(publishable_key, sealed), *status, code);
    }
    let made = token(pk, &json!(good));
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(made.json()["card"]["last4"], "1486");
}

/// Sealed to a key pair that the vault never had, under the name of one that it has.
fn foreign_box(pk: &str, origin: &str, now: i64, current: &SealingKey) -> SealedBox {
    use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as X25519;
    use rustls::crypto::hpke::Hpke;
    let (public, _) = X25519.generate_key_pair().unwrap();
    let foreign = SealingKey { public_key: data_encoding::BASE64URL_NOPAD.encode(&public.0), ..current.clone() };
    seal(&foreign, &TypedCard::new(PAN, "123"), pk, origin, now).unwrap()
}

/// A raw number is refused wherever it stands, in whatever spelling, and nothing of it is repeated or logged.
#[test]
fn raw_numbers_are_refused_everywhere() {
    let stack = Stack::shared();
    let key = stack.run().keys.sk_test.as_str();
    let intents = "/v1/payment_intents";
    let refused = |what: &str, answer: &Answer| assert_envelope(stack, what, answer, 400, "raw_card_data_refused");
    let grouped = "4539 5787 6362 1486";
    for (what, field, value) in [
        ("where cards went at Stripe", "payment_method_data[card][number]", PAN),
        ("in metadata", "metadata[note]", PAN),
        ("slashes between", "description", "4539/5787/6362/1486"),
        ("two spaces between", "description", "4539  5787  6362  1486"),
        ("a code in metadata", "metadata[cvc]", "737"),
        ("a code by another name", "metadata[security_code]", "737"),
        ("grouped, in a sentence", "description", &format!("card {grouped} please")),
        ("as a parameter's name", PAN, "1"),
        ("as metadata's name", &format!("metadata[{PAN}]"), "1"),
    ] {
        let form = [("amount", "100"), ("currency", "jpy"), (field, value)];
        refused(what, &stack.post(intents, key, &form));
    }
    refused("as a number of JSON", &stack.post_json(intents, key, &json!({ "amount": 4_539_578_763_621_486_u64 })));
    refused("deep in JSON", &stack.post_json(intents, key, &json!({ "metadata": { "a": { "b": [PAN] } } })));
    refused("for a token", &stack.post("/v1/tokens", &stack.run().keys.pk_test, &[("card[number]", PAN)]));
    refused("a code alone", &stack.post("/v1/tokens", &stack.run().keys.pk_test, &[("card[cvc]", "123")]));
    refused("in the query", &stack.read(&format!("{intents}?customer={PAN}"), key));
    refused("in the path", &stack.read(&format!("{intents}/{PAN}"), key));
    let broken = Sent {
        what: "in a body that can't be read",
        path: intents,
        key,
        content_type: Some("application/json"),
        body: format!("{{\"number\": \"{PAN}\"").into_bytes(),
    };
    refused(broken.what, &send(stack, &broken));
    let replayed = stack.try_post(intents, key, PAN, &[("amount", "100"), ("currency", "jpy")]).expect("an answer");
    refused("as an Idempotency-Key", &replayed);
    for name in ["gateway", "vault", "fronts", "admin"] {
        assert!(!stack.log(name).contains(PAN), "{name} logged it");
    }
}
