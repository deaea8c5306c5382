//! The vault as an owned gateway sees it: with the gateway's own certificate, asking everything that can be asked.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use kura_platform::tls::{TlsConfig, Vault};
use kura_platform::{clock, random};
use kura_shopper::{TypedCard, checked_key, seal, seal_text};
use kura_tests::{Stack, block_on};
use kura_wire::ids::{AttemptId, MerchantId, RequestId};
use kura_wire::sealed_box::{SealedBox, SealingKey, SignedKeySet, Suite};
use kura_wire::vault as wire;
use serde_json::{Value, json};

const PAN: &str = "4539578763621486";
const CVC: &str = "917";
const PK: &str = "pk_test_owned";
const ORIGIN: &str = "https://shop.example";

/// A client that holds the gateway's certificate, and everything the vault has said to it.
struct OwnedGateway {
    client: reqwest::Client,
    base: String,
    merchant: MerchantId,
    heard: std::sync::Mutex<String>,
}

impl OwnedGateway {
    fn new(stack: &Stack) -> Self {
        let directory = &stack.run().tls["gateway"];
        let file = |name: &str| directory.join(name);
        let tls = TlsConfig { certificate: file("certificate.pem"), private_key: file("key.pem"), ca: file("ca.pem") };
        let address = stack.run().vault_data_plane;
        Self {
            client: tls.http_client::<Vault>(address, Duration::from_secs(20)).unwrap(),
            base: TlsConfig::base_url::<Vault>(address),
            merchant: stack.run().merchants.main.parse().unwrap(),
            heard: std::sync::Mutex::new(String::new()),
        }
    }

    fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let (status, text) = block_on(async {
            let answer = request.send().await.expect("an answer");
            let headers = format!("{:?}", answer.headers());
            (answer.status().as_u16(), format!("{headers}\n{}", answer.text().await.expect("a body")))
        });
        self.heard.lock().unwrap().push_str(&text);
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body))
    }

    fn context(&self) -> Value {
        json!({ "request_id": RequestId::from_bytes(random::bytes()), "merchant": self.merchant, "livemode": false })
    }

    fn key(&self, identity: &str) -> SealingKey {
        let (status, set) = self.send(self.client.get(format!("{}{}", self.base, wire::PATH_SEALING_KEYS)));
        assert_eq!(status, 200);
        checked_key(&serde_json::from_value::<SignedKeySet>(set).unwrap(), identity, Suite::X25519).unwrap()
    }

    fn tokenize(&self, sealed: &SealedBox, publishable_key: &str) -> (u16, Value) {
        let body = json!({ "context": self.context(), "publishable_key": publishable_key, "sealed": sealed });
        self.post(wire::PATH_TOKENIZE, &body)
    }

    fn authorize(&self, token: &Value, merchant: MerchantId, attempt: AttemptId, reference: &str) -> (u16, Value) {
        let mut context = self.context();
        context["merchant"] = json!(merchant);
        self.post(
            wire::PATH_AUTHORIZE,
            &json!({ "context": context, "attempt": attempt, "network_reference": reference, "token": token,
                     "money": { "amount_minor": 1500, "currency": "JPY" }, "capture": true }),
        )
    }
}

fn identity(stack: &Stack) -> String {
    let config = std::fs::read_to_string(stack.state().join("gateway/gateway.toml")).unwrap();
    let line = config.lines().find_map(|line| line.strip_prefix("vault_identity = ")).expect("the pinned identity");
    line.trim_matches('"').to_owned()
}

fn attempt() -> AttemptId {
    AttemptId::from_bytes(random::bytes())
}

fn reference() -> String {
    let number = u64::from_be_bytes(random::bytes()) % 1_000_000_000_000;
    format!("{number:012}")
}

/// Whoever holds the gateway's certificate and asks everything, rightly and wrongly, hears no number and no code: there is no
/// path that opens a token, and no answer that repeats what was sealed.
#[test]
fn no_request_makes_the_vault_return_a_number() {
    let stack = Stack::shared();
    let owned = OwnedGateway::new(stack);
    let key = owned.key(&identity(stack));
    let sealed = seal(&key, &TypedCard::new(PAN, CVC), PK, ORIGIN, clock::now_ms()).unwrap();
    let (status, made) = owned.tokenize(&sealed, PK);
    assert_eq!(status, 200, "{made}");
    assert_eq!((&made["card"]["last_four"], &made["cvc_held"]), (&json!("1486"), &json!(true)));
    let token = &made["token"];
    let id = attempt();
    let (status, paid) = owned.authorize(token, owned.merchant, id, &reference());
    assert_eq!((status, &paid["outcome"]), (200, &json!("approved")), "{paid}");
    assert_eq!(paid["cvc_check"], "pass");

    let opens = ["detokenize", "open", "reveal", "cards", "decrypt", "tokens", "export", "unseal", "debug", "metrics"];
    for word in opens {
        for path in [format!("/v1/{word}"), format!("/{word}"), format!("/v1/{word}/{}", token.as_str().unwrap())] {
            let body = json!({ "context": owned.context(), "token": token });
            assert_eq!(owned.post(&path, &body).0, 404, "{path}");
            assert_eq!(owned.send(owned.client.get(format!("{}{path}", owned.base))).0, 404, "{path}");
        }
    }
    let bodies = [
        json!({ "context": owned.context(), "token": token }),
        json!({ "context": owned.context(), "attempt": id }),
        json!({ "context": owned.context(), "attempt": id, "expand": ["pan"] }),
        json!({ "context": owned.context(), "token": token, "number": PAN }),
        json!([]),
    ];
    let paths = [
        wire::PATH_TOKENIZE,
        wire::PATH_TEST_CARD,
        wire::PATH_ATTACH,
        wire::PATH_SET_EXPIRY,
        wire::PATH_AUTHORIZE,
        wire::PATH_CAPTURE,
        wire::PATH_VOID,
        wire::PATH_REFUND,
        wire::PATH_RESOLVE,
    ];
    for path in paths {
        for body in &bodies {
            let (status, answer) = owned.post(path, body);
            assert!(status < 500, "{path} {body}: {status} {answer}");
        }
        assert_eq!(owned.send(owned.client.get(format!("{}{path}", owned.base))).0, 405);
    }
    let heard = owned.heard.lock().unwrap();
    for part in [PAN, &PAN[..12], &PAN[4..], "\"cvc\"", "pan_sealed"] {
        assert!(!heard.contains(part), "the vault said {part}");
    }
    assert!(heard.contains("1486"), "the search finds what is there");
}

/// Every way in which a box or its card can be wrong has its own closed code, with nothing else in the answer.
#[test]
fn each_wrong_box_has_its_code() {
    let stack = Stack::shared();
    let owned = OwnedGateway::new(stack);
    let key = owned.key(&identity(stack));
    let now = clock::now_ms();
    let good = seal(&key, &TypedCard::new(PAN, CVC), PK, ORIGIN, now).unwrap();
    let text = |text: &str| seal_text(&key, text, PK, ORIGIN, now).unwrap();
    let cases = [
        (good.clone(), "pk_test_another_merchant", "box_unopenable"),
        (SealedBox { origin: "https://evil.example".into(), ..good.clone() }, PK, "box_unopenable"),
        (SealedBox { ciphertext: "AAAA".into(), ..good.clone() }, PK, "box_unopenable"),
        (SealedBox { enc: String::new(), ..good.clone() }, PK, "box_unopenable"),
        (SealedBox { key_id: "hk000AAAAAAAAAAAAAAAA".into(), ..good.clone() }, PK, "sealing_key_expired"),
        (SealedBox { sealed_at_ms: now - 24 * 3_600_000, ..good.clone() }, PK, "box_expired"),
        (text("not a card"), PK, "card_malformed"),
        (text(r#"{"number":"4539578763621487","exp_month":12,"exp_year":2035}"#), PK, "card_number_incorrect"),
        (text(r#"{"number":"4539578763621486","exp_month":1,"exp_year":2020}"#), PK, "card_expired"),
        (text(r#"{"number":"4539578763621486","exp_month":13,"exp_year":2035}"#), PK, "expiry_month_invalid"),
        (text(r#"{"number":"4539578763621486","exp_month":12,"exp_year":2099}"#), PK, "expiry_year_invalid"),
        (text(r#"{"number":"4539578763621486","exp_month":12,"exp_year":2035,"cvc":"12"}"#), PK, "cvc_invalid"),
    ];
    for (sealed, publishable_key, code) in cases {
        let (status, answer) = owned.tokenize(&sealed, publishable_key);
        assert_eq!((status, answer), (422, json!({ "code": code })));
    }
    assert_eq!(owned.tokenize(&good, PK).0, 200, "the box that all were made of is good");
}

/// One attempt id moves money once, however often it is sent and whatever is changed in it; another merchant can use neither
/// the token nor the attempt; a single-use token pays once.
#[test]
fn an_attempt_is_sent_once_and_a_token_is_its_merchants() {
    let stack = Stack::shared();
    let owned = OwnedGateway::new(stack);
    let stranger: MerchantId = stack.run().merchants.other.parse().unwrap();
    let key = owned.key(&identity(stack));
    let sealed = seal(&key, &TypedCard::new(PAN, CVC), PK, ORIGIN, clock::now_ms()).unwrap();
    let token = owned.tokenize(&sealed, PK).1["token"].clone();

    assert_eq!(owned.authorize(&token, stranger, attempt(), &reference()), (404, json!({ "code": "token_unknown" })));
    let (id, own_reference) = (attempt(), reference());
    let first = owned.authorize(&token, owned.merchant, id, &own_reference);
    assert_eq!(first.1["outcome"], "approved");
    for _ in 0..3 {
        assert_eq!(owned.authorize(&token, owned.merchant, id, &own_reference), first, "told again, not done again");
    }
    assert_eq!(owned.authorize(&token, owned.merchant, id, &reference()).1["code"], "attempt_mismatch");
    assert_eq!(owned.authorize(&token, owned.merchant, attempt(), &reference()).1["code"], "token_used");
    let booked = stack.get(&format!("{}/acquirer/books?reference={own_reference}", stack.run().networks)).json();
    assert_eq!(booked["entries"].as_array().map(Vec::len), Some(1), "{booked}");

    let mut context = owned.context();
    context["merchant"] = json!(stranger);
    let resolved = owned.post(wire::PATH_RESOLVE, &json!({ "context": context, "attempt": id }));
    assert_eq!(resolved, (404, json!({ "code": "attempt_unknown" })));
    let refund = json!({ "context": context, "attempt": attempt(), "network_reference": reference(), "original": id,
                         "money": { "amount_minor": 1500, "currency": "JPY" } });
    assert_eq!(owned.post(wire::PATH_REFUND, &refund), (404, json!({ "code": "attempt_unknown" })));
}

/// An attempt that was given up before it arrived can't arrive later: the question buries it.
#[test]
fn an_attempt_that_was_asked_about_first_never_happens() {
    let stack = Stack::shared();
    let owned = OwnedGateway::new(stack);
    let (id, own_reference) = (attempt(), reference());
    let resolve = json!({ "context": owned.context(), "attempt": id });
    assert_eq!(owned.post(wire::PATH_RESOLVE, &resolve), (200, json!({ "outcome": "reversed" })));
    let made =
        owned.post(wire::PATH_TEST_CARD, &json!({ "context": owned.context(), "name": "visa", "allows": "multi" }));
    let late = owned.authorize(&made.1["token"], owned.merchant, id, &own_reference);
    assert_eq!(late, (200, json!({ "outcome": "reversed" })));
    let booked = stack.get(&format!("{}/acquirer/books?reference={own_reference}", stack.run().networks)).json();
    assert_eq!(booked["entries"], json!([]));
}

/// An answer that was lost is asked for, and money that moved is known; a request that never arrived is taken back. Neither
/// is ever sent again.
#[test]
fn a_lost_answer_is_found_and_a_lost_request_is_taken_back() {
    let stack = Stack::shared();
    let owned = OwnedGateway::new(stack);
    for (name, outcome, approved) in [("answerLost", "approved", 1), ("networkTimeout", "reversed", 0)] {
        let body = json!({ "context": owned.context(), "name": name, "allows": "multi" });
        let token = owned.post(wire::PATH_TEST_CARD, &body).1["token"].clone();
        let (id, own_reference) = (attempt(), reference());
        let sent = owned.authorize(&token, owned.merchant, id, &own_reference);
        assert_eq!(sent, (200, json!({ "outcome": "unknown" })), "{name}");
        let resolve = json!({ "context": owned.context(), "attempt": id });
        for _ in 0..2 {
            assert_eq!(owned.post(wire::PATH_RESOLVE, &resolve).1["outcome"], outcome, "{name}");
        }
        let booked = stack.get(&format!("{}/acquirer/books?reference={own_reference}", stack.run().networks)).json();
        let live = booked["entries"].as_array().unwrap().iter();
        let live = live.filter(|entry| entry["response_code"] == "00" && entry["reversed"] == false);
        let live = live.filter(|entry| entry["kind"] == "purchase");
        assert_eq!(live.count(), approved, "{name}: {booked}");
    }
}

/// An attachment whose answer was lost is asked for again, and answers the same; a token that paid can't be attached.
#[test]
fn an_attachment_may_be_asked_for_again() {
    let stack = Stack::shared();
    let owned = OwnedGateway::new(stack);
    let key = owned.key(&identity(stack));
    let token = || {
        let sealed = seal(&key, &TypedCard::new(PAN, CVC), PK, ORIGIN, clock::now_ms()).unwrap();
        owned.tokenize(&sealed, PK).1["token"].clone()
    };
    let attach = |token: &Value| owned.post(wire::PATH_ATTACH, &json!({ "context": owned.context(), "token": token }));
    let saved = token();
    let first = attach(&saved);
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(attach(&saved), first);
    let spent = token();
    assert_eq!(owned.authorize(&spent, owned.merchant, attempt(), &reference()).1["outcome"], "approved");
    assert_eq!(attach(&spent), (409, json!({ "code": "token_used" })));
}
