//! Disputes from the issuer's page to the merchant's books and back: opened, answered, decided, told of, and settled.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kura_platform::clock;
use kura_platform::standard_webhooks::{ID, SIGNATURE, Secret, TIMESTAMP};
use kura_tests::planes::Plane;
use kura_tests::{Stack, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

/// Both sides' books are compared: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sk(stack: &Stack) -> &str {
    &stack.run().keys.sk_test
}

fn get(stack: &Stack, path: &str) -> Value {
    let answer = stack.read(path, sk(stack));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn post(stack: &Stack, path: &str, form: &[(&str, &str)]) -> Value {
    let answer = stack.post(path, sk(stack), form);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn refused(stack: &Stack, path: &str, form: &[(&str, &str)]) -> String {
    stack.post(path, sk(stack), form).json()["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

struct Paid {
    payment: String,
    charge: String,
    reference: String,
}

/// A payment, and what the network knows it by.
fn paid(stack: &Stack, manual: bool) -> Paid {
    let method = if manual { "manual" } else { "automatic" };
    let form = [
        ("amount", "1500"),
        ("currency", "jpy"),
        ("payment_method", "pm_card_visa"),
        ("confirm", "true"),
        ("capture_method", method),
    ];
    let made = post(stack, "/v1/payment_intents", &form);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    if manual {
        post(stack, &format!("/v1/payment_intents/{}/capture", text("id")), &[("amount_to_capture", "1200")]);
    }
    let charge: kura_wire::ids::ChargeId = text("latest_charge").parse().unwrap();
    let charge = Uuid::from_bytes(*charge.as_bytes());
    // The network knows a payment by its authorization, however it was captured.
    let find = format!("SELECT network_reference FROM attempts WHERE charge_id = '{charge}' AND kind = 'authorize'");
    Paid { payment: text("id"), charge: text("latest_charge"), reference: stack.sql("gateway", &find) }
}

fn act(stack: &Stack, path: &str, body: &Value) -> Value {
    let url = format!("{}/disputes/acts/{path}", stack.run().networks);
    let done: Value =
        block_on(async { Stack::http().post(url).json(body).send().await.unwrap().json().await.unwrap() });
    assert_eq!(done["became"], "done", "{done}");
    done
}

fn open(stack: &Stack, paid: &Paid, amount: Option<u64>) -> String {
    let body = json!({ "reference": paid.reference, "reason": "product_not_received", "amount_minor": amount });
    act(stack, "open", &body)["dispute"].as_str().unwrap().to_owned()
}

/// The charge's dispute, once it stands so.
fn stands(stack: &Stack, paid: &Paid, status: &str) -> Value {
    let began = Instant::now();
    loop {
        let found = get(stack, &format!("/v1/disputes?charge={}", paid.charge));
        if found["data"][0]["status"] == status {
            return found["data"][0].clone();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not {status}: {found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What was told of the dispute, oldest first.
fn told(stack: &Stack, dispute: &Value) -> Vec<(String, String)> {
    let all = get(stack, "/v1/events?limit=100");
    let about = |event: &&Value| event["data"]["object"]["id"] == dispute["id"];
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(about)
        .map(|event| {
            (word(&event["type"])["charge.dispute.".len()..].to_owned(), word(&event["data"]["object"]["status"]))
        })
        .collect();
    told.reverse();
    told
}

fn moved(dispute: &Value) -> Vec<(i64, String)> {
    let all = dispute["balance_transactions"].as_array().unwrap().iter();
    let mut all: Vec<_> = all
        .map(|one| (one["amount"].as_i64().unwrap(), one["reporting_category"].as_str().unwrap().to_owned()))
        .collect();
    all.sort();
    all
}

fn words(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
}

/// The networks' books and ours say the same of today.
fn agree(stack: &Stack) {
    let asked = json!({ "livemode": false, "network": "card", "day": clock::now().date().to_string() });
    assert_eq!(Plane::gateway_control(stack).post("/control/v1/reconciliation", &asked).0, 200);
    let open = Plane::gateway_control(stack).get("/control/v1/reconciliation").1;
    assert_eq!(open["open_count"], 0, "{open}");
}

/// What is about a person, is a file, or would have to be kept goes nowhere, though what may be said stands beside it.
fn is_not_taken(stack: &Stack, path: &str, say: (&str, &str)) {
    let name = ("evidence[customer_name]", "Taro Yamada");
    assert_eq!(refused(stack, path, &[name]), "dispute_evidence_personal");
    assert_eq!(refused(stack, path, &[("evidence[receipt]", "file_1")]), "parameter_unknown");
    assert_eq!(refused(stack, path, &[say, ("submit", "false")]), "dispute_evidence_not_staged");
    assert_eq!(refused(stack, path, &[("submit", "true")]), "dispute_evidence_not_staged");
    let duplicate = ("evidence[duplicate_charge_id]", "ch_00000000000000000000000000");
    assert_eq!(refused(stack, path, &[say, duplicate]), "resource_missing");
    assert_eq!(get(stack, path)["status"], "needs_response", "what was refused went nowhere");
}

/// Opened about a part, answered with evidence, won: the money goes and comes back, each is on the books and told once, the
/// charge can't be refunded meanwhile, and the settlement agrees at every step.
#[test]
fn a_dispute_is_answered_and_won() {
    let _alone = alone();
    let stack = Stack::shared();
    let paid = paid(stack, false);
    let case = open(stack, &paid, Some(1000));
    let dispute = stands(stack, &paid, "needs_response");
    assert_eq!((&dispute["amount"], &dispute["reason"]), (&json!(1000), &json!("product_not_received")));
    assert_eq!((&dispute["payment_intent"], &dispute["charge"]), (&json!(paid.payment), &json!(paid.charge)));
    assert_eq!(moved(&dispute), [(-1000, "dispute".to_owned())]);
    let charge = get(stack, &format!("/v1/charges/{}", paid.charge));
    assert_eq!((&charge["disputed"], &charge["amount_refunded"]), (&json!(true), &json!(0)));
    assert_eq!(refused(stack, "/v1/refunds", &[("charge", &paid.charge)]), "charge_disputed");
    agree(stack);

    let path = format!("/v1/disputes/{}", dispute["id"].as_str().unwrap());
    assert_eq!(refused(stack, &path, &[("evidence[uncategorized_text]", "")]), "parameter_invalid_empty");
    let say = ("evidence[uncategorized_text]", "Taro Yamada signed for it.");
    is_not_taken(stack, &path, say);
    let say = [say, ("evidence[product_description]", "靴"), ("submit", "true"), ("metadata[desk]", "4")];
    let answered = post(stack, &path, &say);
    assert_eq!((&answered["status"], &answered["metadata"]["desk"]), (&json!("under_review"), &json!("4")));
    assert_eq!(
        (&answered["evidence_details"]["has_evidence"], &answered["evidence"]["uncategorized_text"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(refused(stack, &path, &say), "dispute_already_answered");
    assert_eq!(refused(stack, &format!("{path}/close"), &[]), "dispute_already_answered");
    let at_network = stack.get(&format!("{}/disputes/acts/{case}", stack.run().networks)).json();
    assert_eq!(at_network["evidence"], "product_description: 靴\nuncategorized_text: Taro Yamada signed for it.");

    let noted = post(stack, &path, &[("metadata[desk]", "5")]);
    assert_eq!((&noted["metadata"]["desk"], &noted["intended_submission_method"]), (&json!("5"), &json!("manual")));
    act(stack, &format!("{case}/decide"), &json!({ "won": true }));
    let won = stands(stack, &paid, "won");
    assert_eq!(moved(&won), [(-1000, "dispute".to_owned()), (1000, "dispute_reversal".to_owned())]);
    let expected = [
        ("created", "needs_response"),
        ("funds_withdrawn", "needs_response"),
        ("updated", "under_review"),
        ("updated", "under_review"),
        ("closed", "won"),
        ("funds_reinstated", "won"),
    ];
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told(stack, &won), words(&expected), "notices that came after the answer told nothing more");
    agree(stack);
    let by_id = get(stack, &format!("/v1/balance_transactions?source={}", won["id"].as_str().unwrap()));
    assert_eq!(by_id["data"].as_array().unwrap().len(), 2);
    post(stack, "/v1/refunds", &[("charge", &paid.charge)]);
    agree(stack);
    let kept = stack.sql("gateway", "SELECT count(*) FROM disputes WHERE disputes::text LIKE '%Yamada%'");
    let logged = stack.log("gateway");
    assert!(kept == "0" && !logged.contains("Yamada"), "what was said is not kept");
}

/// Of a captured payment, given in to: lost. Nothing comes back.
#[test]
fn a_dispute_is_given_in_to() {
    let _alone = alone();
    let stack = Stack::shared();
    let paid = paid(stack, true);
    open(stack, &paid, None);
    let dispute = stands(stack, &paid, "needs_response");
    assert_eq!(dispute["amount"], 1200);
    let path = format!("/v1/disputes/{}", dispute["id"].as_str().unwrap());
    let closed = post(stack, &format!("{path}/close"), &[]);
    assert_eq!((&closed["status"], &closed["evidence_details"]["has_evidence"]), (&json!("lost"), &json!(false)));
    std::thread::sleep(Duration::from_secs(1));
    let expected = [("created", "needs_response"), ("funds_withdrawn", "needs_response"), ("closed", "lost")];
    assert_eq!(told(stack, &closed), words(&expected));
    assert_eq!(moved(&get(stack, &path)), [(-1200, "dispute".to_owned())]);
    assert_eq!(refused(stack, "/v1/refunds", &[("charge", &paid.charge)]), "charge_disputed");
    agree(stack);
    let other = stack.read(&path, &stack.run().keys.other_sk_test);
    assert_eq!(other.status, 404);
    assert_eq!(get(stack, &format!("/v1/charges/{}", paid.charge))["disputed"], true);
}

/// Sends what only the network can.
fn notice(stack: &Stack, secret: &Secret, body: &Value) -> u16 {
    let (id, second, body) = (body["id"].as_str().unwrap(), clock::now().unix_timestamp(), body.to_string());
    let signature = secret.sign(id, second, body.as_bytes());
    let request = Stack::http()
        .post(format!("{}/networks/card/notices", stack.run().gateway))
        .header("content-type", "application/json")
        .header(ID, id)
        .header(TIMESTAMP, second)
        .header(SIGNATURE, signature);
    block_on(async { request.body(body).send().await.unwrap().status().as_u16() })
}

/// Notices come twice, late, in any order and all at once: what they tell follows once. One that is not signed by the card network,
/// or is about more than was taken, changes nothing.
#[test]
fn notices_follow_once_in_any_order() {
    let _alone = alone();
    let stack = Stack::shared();
    let paid = paid(stack, false);
    let secret = Secret::read(&stack.state().join("notices/card.secret")).unwrap();
    let at = clock::now().format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = |version: u32, state: &str, amount: i64| {
        json!({ "id": format!("n-{}-{version}", paid.reference), "dispute": paid.reference.chars().rev().collect::<String>(),
                "version": version, "network_reference": paid.reference, "reason": "general", "state": state,
                "money": { "amount_minor": amount, "currency": "JPY" }, "respond_by": at, "at": at })
    };
    let stranger = Secret::parse(&Secret::draw()).unwrap();
    assert_eq!(notice(stack, &stranger, &body(1, "needs_response", 700)), 401);
    let konbini = Secret::read(&stack.state().join("notices/konbini.secret")).unwrap();
    assert_eq!(notice(stack, &konbini, &body(1, "needs_response", 700)), 401);
    assert_eq!(notice(stack, &secret, &body(1, "needs_response", 1501)), 400);
    let mut unknown = body(1, "needs_response", 700);
    unknown["network_reference"] = json!("NOTHINGTHERE");
    assert_eq!(notice(stack, &secret, &unknown), 404);
    assert_eq!(get(stack, &format!("/v1/disputes?charge={}", paid.charge))["data"], json!([]));

    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(notice(stack, &secret, &body(3, "won", 700)), 204));
        }
    });
    for (version, state) in [(1, "needs_response"), (2, "under_review"), (3, "won"), (4, "lost"), (5, "needs_response")]
    {
        assert_eq!(notice(stack, &secret, &body(version, state, 700)), 204);
    }
    let dispute = stands(stack, &paid, "won");
    assert_eq!(moved(&dispute), [(-700, "dispute".to_owned()), (700, "dispute_reversal".to_owned())]);
    let expected = [
        ("created", "needs_response"),
        ("funds_withdrawn", "needs_response"),
        ("closed", "won"),
        ("funds_reinstated", "won"),
    ];
    assert_eq!(told(stack, &dispute), words(&expected));
}
